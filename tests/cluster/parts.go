package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Parts are etcd and the API server as processes of their own, each behind a
// proxy, so that tests may kill them and start them again on the same data
// while all else goes on: with -faults, which also takes commands on stdin, one
// a line, each answered on stdout by "DONE ..." or "FAILED ...":
//
//	kill etcd|apiserver      SIGKILL, and its end
//	start etcd|apiserver     starts it again and waits until it is ready
//	start apiserver uncached the same, without watch caches: a watch from an old
//	                         resource version then shows all that happened since
//	delay DURATION           bytes to and from the API server wait so long, each way
//	cut                      resets all connections to the API server
//
// The processes are this program, so there is nothing else to build.
type parts struct {
	dir, auditLog string
	metrics       *url.URL
	etcd, api     *proxy
	etcdRun       *part
	apiRun        *part
	ready         func(context.Context) error
}

// part is one run of a process.
type part struct {
	command *exec.Cmd
	stdin   io.Closer // closes with us, and ends it
	address string    // where it serves
	ended   chan struct{}
}

// startParts starts etcd; the API server follows with startAPIServer.
func startParts(ctx context.Context, dir, auditLog string, metrics *url.URL) (*parts, error) {
	p := &parts{dir: dir, auditLog: auditLog, metrics: metrics}
	var err error
	if p.etcd, err = newProxy(); err != nil {
		return nil, err
	}
	if p.api, err = newProxy(); err != nil {
		return nil, err
	}
	return p, p.startEtcd(ctx)
}

func (p *parts) startEtcd(ctx context.Context) (err error) {
	p.etcdRun, err = startPart(ctx, "etcd", "-dir", p.dir)
	if err == nil {
		p.etcd.lead(p.etcdRun.address)
	}
	return err
}

func (p *parts) startAPIServer(ctx context.Context, flags ...string) (err error) {
	args := append([]string{"-dir", p.dir, "-etcd", "http://" + p.etcd.address(),
		"-audit-log", p.auditLog, "-metrics", p.metrics.String()}, flags...)
	p.apiRun, err = startPart(ctx, "apiserver", args...)
	if err == nil {
		p.api.lead(p.apiRun.address)
	}
	return err
}

// run is the API server for the group of parts: it ends only when told to.
func (p *parts) run(ctx context.Context) error {
	if err := p.startAPIServer(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// stop ends both; their data is not needed any more.
func (p *parts) stop() {
	p.apiRun.kill()
	p.etcdRun.kill()
	p.api.close()
	p.etcd.close()
}

// obey carries out a command and returns the answer.
func (p *parts) obey(ctx context.Context, line string) string {
	if err := p.do(ctx, strings.Fields(line)); err != nil {
		return fmt.Sprintf("FAILED %s: %v", line, err)
	}
	return "DONE " + line
}

func (p *parts) do(ctx context.Context, words []string) error {
	switch line := strings.Join(words, " "); line {
	case "kill etcd":
		p.etcd.lead("")
		p.etcdRun.kill()
	case "kill apiserver":
		p.api.lead("")
		p.apiRun.kill()
	case "start etcd":
		return p.startEtcd(ctx)
	case "start apiserver":
		if err := p.startAPIServer(ctx); err != nil {
			return err
		}
		return p.ready(ctx)
	case "start apiserver uncached":
		if err := p.startAPIServer(ctx, "-watch-cache=false"); err != nil {
			return err
		}
		return p.ready(ctx)
	case "cut":
		p.api.cut()
	default:
		if len(words) != 2 || words[0] != "delay" {
			return errors.New("unknown command")
		}
		delay, err := time.ParseDuration(words[1])
		if err != nil {
			return err
		}
		p.api.delay.Store(int64(delay))
	}
	return nil
}

// waitReady returns what waits until the API server says that it is ready,
// asked on its own address: the proxy may be slow.
func (p *parts) waitReady(config *rest.Config) (func(context.Context) error, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	return func(ctx context.Context) error {
		return poll(ctx, nil, func(ctx context.Context) bool {
			answer, err := client.Get("https://" + p.apiRun.address + "/readyz")
			if err != nil {
				return false
			}
			defer answer.Body.Close()
			return answer.StatusCode == http.StatusOK
		})
	}, nil
}

// startPart starts this program again as one part, on a port of 127.0.0.1 that
// it inherits, and waits until it has told that it listens.
func startPart(ctx context.Context, name string, args ...string) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(self, append([]string{"-part", name, "-until-stdin-closes"}, args...)...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &part{command: command, stdin: stdin, ended: make(chan struct{})}
	addresses := make(chan string, 1)
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if address, ok := strings.CutPrefix(lines.Text(), "SERVING "); ok {
				addresses <- address
			}
		}
		command.Wait()
	}()
	select {
	case p.address = <-addresses:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended at its start", name)
	case <-ctx.Done():
	case <-time.After(startLimit):
	}
	p.kill()
	return nil, fmt.Errorf("%s did not start", name)
}

func (p *part) kill() {
	if p == nil {
		return
	}
	p.command.Process.Kill()
	<-p.ended
	p.stdin.Close()
}

// runPart is the whole life of such a process.
func runPart(ctx context.Context, c config) error {
	switch c.part {
	case "etcd":
		etcd, err := startEtcd(c.dir)
		if err != nil {
			return err
		}
		defer etcd.Close()
		fmt.Println("SERVING", etcd.Clients[0].Addr())
		select {
		case <-ctx.Done():
			return nil
		case err := <-etcd.Err():
			return err
		}
	case "apiserver":
		metrics, err := url.Parse(c.metrics)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		api, err := newAPIServer(ctx, c.dir, c.etcd, c.auditLog, metrics, listener,
			fmt.Sprintf("--watch-cache=%t", c.watchCache), "--etcd-compaction-interval=0") // nothing of what happened is dropped
		if err != nil {
			return err
		}
		fmt.Println("SERVING", listener.Addr())
		return api.run(ctx)
	default:
		return fmt.Errorf("-part must be etcd or apiserver, found %q", c.part)
	}
}
