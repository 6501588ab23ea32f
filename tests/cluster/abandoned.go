package main

import (
	"context"
	"io"
	"os"
	"time"
)

// untilAbandoned returns a context that also ends when stdin closes or the
// parent process dies, so that a killed test leaves no cluster behind. The
// parent is polled: the kernel's parent-death signal follows the thread that
// started us, and a test's thread ends before its process does.
func untilAbandoned(ctx context.Context, stdin io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, stdin)
		cancel()
	}()
	parent := os.Getppid()
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if os.Getppid() != parent {
					cancel()
					return
				}
			}
		}
	}()
	return ctx
}
