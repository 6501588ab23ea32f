package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy is a fixed address in front of a server that comes and goes. While
// there is no server, connections are reset: nobody hangs, and nobody else can
// take the port meanwhile.
type proxy struct {
	listener net.Listener
	delay    atomic.Int64 // nanoseconds that bytes wait, in each direction

	mu     sync.Mutex
	target string // address of the server; empty: there is none
	open   map[net.Conn]struct{}
}

func newProxy() (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, open: map[net.Conn]struct{}{}}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go p.serve(client.(*net.TCPConn))
		}
	}()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// lead lets new connections go to target; the open ones end with their server.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// cut resets all open connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		reset(conn.(*net.TCPConn))
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.cut()
}

func (p *proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target == "" {
		reset(client)
		return
	}
	conn, err := net.Dial("tcp", target)
	if err != nil {
		reset(client)
		return
	}
	server := conn.(*net.TCPConn)
	p.mu.Lock()
	p.open[client], p.open[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { p.pass(client, server) })
	wg.Go(func() { p.pass(server, client) })
	wg.Wait()
	client.Close()
	server.Close()
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mu.Unlock()
}

// pass carries bytes one way, in their order, each as late as the delay was
// when it came.
func (p *proxy) pass(from, to *net.TCPConn) {
	type chunk struct {
		bytes []byte
		due   time.Time
	}
	chunks := make(chan chunk, 256)
	var wg sync.WaitGroup
	wg.Go(func() {
		for c := range chunks {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.bytes); err != nil {
				reset(from) // ends the reading below
			}
		}
	})
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			due := time.Now().Add(time.Duration(p.delay.Load()))
			chunks <- chunk{append([]byte(nil), buffer[:n]...), due}
		}
		if err != nil {
			close(chunks)
			wg.Wait()
			if err == io.EOF {
				to.CloseWrite()
			} else {
				reset(to)
			}
			return
		}
	}
}

// reset closes a connection so that the other end sees an error.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
