// Command app is what every pod of the mesh tests runs: an HTTP server on the
// pod's own address that says which version answered, and that fails, lags,
// starts, crashes and drains as its image's tag or its environment says.
// It ends when its standard input closes, so that it never outlives who started it.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	c, err := configOf(os.Getenv)
	if err != nil {
		fail(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	terminated := make(chan os.Signal, 1)
	if c.ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(terminated, syscall.SIGTERM)
	}
	select {
	case <-time.After(c.startup):
	case <-terminated:
		return
	}
	listeners, err := listen(c)
	if err != nil {
		fail(err)
	}
	if c.crashAfter != nil {
		time.AfterFunc(*c.crashAfter, crash)
	}
	if err := serve(c, listeners, terminated); err != nil {
		fail(err)
	}
}

func listen(c config) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, port := range c.ports {
		l, err := net.Listen("tcp", net.JoinHostPort(c.podIP, port))
		if err != nil {
			return nil, fmt.Errorf("cannot listen: %w (pod addresses need a route such as \"ip route add local 10.244.0.0/16 dev lo\")", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// serve answers until it is told to end; then it drains and lets the requests
// in flight finish.
func serve(c config, listeners []net.Listener, terminated <-chan os.Signal) error {
	a := &app{config: c}
	server := &http.Server{Handler: a}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- server.Serve(l) }()
	}
	select {
	case err := <-failed:
		return err
	case <-terminated:
	}
	a.draining.Store(true)
	time.Sleep(c.drain)
	return server.Shutdown(context.Background())
}

// crash ends the process as the kernel's out-of-memory killer would.
func crash() { syscall.Kill(os.Getpid(), syscall.SIGKILL) }

func fail(err error) {
	fmt.Fprintln(os.Stderr, "app:", err)
	os.Exit(1)
}
