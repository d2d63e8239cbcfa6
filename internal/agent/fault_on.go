//go:build faults

package agent

import (
	"os"
	"time"
)

// faultPoint breaks as PAPERKNIFE_FAULT says, to show that a mail server then tries again (THREATS C17). It is only
// in binaries built with the tag "faults", which are never installed.
func faultPoint() {
	switch os.Getenv("PAPERKNIFE_FAULT") {
	case "panic":
		panic("fault on request")
	case "goroutine":
		go func() { panic("fault on request") }()
		time.Sleep(time.Minute)
	case "stack":
		overflow(0)
	case "exit":
		os.Exit(2)
	case "hang":
		time.Sleep(time.Hour)
	case "memory":
		var held [][]byte
		for {
			b := make([]byte, 64<<20)
			for i := range b {
				b[i] = 1
			}
			held = append(held, b)
			_ = held
		}
	}
}

func overflow(n int) int { return overflow(n+1) + 1 }
