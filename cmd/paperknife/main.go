// Command paperknife is the postmaster's tool.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"paperknife/internal/tool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(tool.Run(ctx, os.Args[1:], tool.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
