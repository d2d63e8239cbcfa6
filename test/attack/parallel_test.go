package attack_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"paperknife/internal/filter"
	"paperknife/internal/spool"
)

// THREATS C27, B01: many messages at once in one process, of which nothing of one gets into another.
func TestC27Mixed(t *testing.T) {
	l := theLab(t)
	a := l.newAgent(t)
	seeds := l.seeds(t)
	want := make([][]byte, len(seeds))
	run := func(i int) []byte {
		var out bytes.Buffer
		env := filter.Envelope{Recipient: classes[i%len(classes)] + "@example.net", RecipientKnown: true}
		if r := a.Filter(context.Background(), env, spool.FromBytes(seeds[i]), &out); !r.Delivered() {
			t.Errorf("%d: %v", i, r)
		}
		return out.Bytes()
	}
	for i := range seeds {
		want[i] = run(i)
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 40 {
				i := (n*7 + worker*3) % len(seeds)
				if got := run(i); !bytes.Equal(got, want[i]) {
					t.Errorf("message %d is another one when it is not alone", i)
				}
			}
		})
	}
	group.Wait()
}
