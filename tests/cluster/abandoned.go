package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"time"
)

// untilAbandoned returns a context that also ends when stdin closes or the
// parent process dies, so that a killed test leaves no cluster behind. The
// parent is polled: the kernel's parent-death signal follows the thread that
// started us, and a test's thread ends before its process does. The lines of
// stdin go to lines, if somebody wants them.
func untilAbandoned(ctx context.Context, stdin io.Reader, lines chan<- string) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for scanner := bufio.NewScanner(stdin); scanner.Scan(); {
			if lines != nil {
				lines <- scanner.Text()
			}
		}
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
