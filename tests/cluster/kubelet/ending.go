package kubelet

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// ending is a process on its way out: hooks, SIGTERM, SIGKILL when it is overdue.
type ending struct {
	by         time.Time
	overdue    *time.Timer
	stopHooks  context.CancelFunc
	terminated bool // SIGTERM is sent
}

// hook is what a container asks for before SIGTERM. It ends with its context.
type hook func(context.Context)

// endBy ends the process as a node does: the hooks and the time after SIGTERM
// share what there is until then, but SIGTERM has its shortest time in any case.
// A later call can only shorten it.
func (p *process) endBy(by time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.ending; e != nil {
		if by.Before(e.by) {
			e.by = by
			e.overdue.Reset(p.left(e))
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &ending{by: by, stopHooks: cancel}
	e.overdue = time.AfterFunc(time.Until(by), p.overdue)
	p.ending = e
	go func() {
		defer cancel()
		var wg sync.WaitGroup
		for _, h := range p.hooks {
			wg.Go(func() { h(ctx) })
		}
		wg.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		e.terminated = true
		e.overdue.Reset(p.left(e))
		p.signal(syscall.SIGTERM)
	}()
}

// left is how long until the next step is due by force.
func (p *process) left(e *ending) time.Duration {
	left := time.Until(e.by)
	if e.terminated {
		return max(left, p.least)
	}
	return left
}

// overdue ends the hooks, or the process itself.
func (p *process) overdue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending.terminated {
		p.signal(syscall.SIGKILL)
	} else {
		p.ending.stopHooks()
	}
}

// hooksOf are the containers' preStop hooks; those that cannot be done without
// a container are passed over.
func hooksOf(pod *corev1.Pod, ip string) []hook {
	var hooks []hook
	for _, c := range pod.Spec.Containers {
		if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
			continue
		}
		h, err := hookOf(pod, c, ip, c.Lifecycle.PreStop)
		if err != nil {
			klog.Warningf("pod %s/%s: preStop of container %s is passed over: %v", pod.Namespace, pod.Name, c.Name, err)
			continue
		}
		hooks = append(hooks, h)
	}
	return hooks
}

func hookOf(pod *corev1.Pod, c corev1.Container, ip string, handler *corev1.LifecycleHandler) (hook, error) {
	switch {
	case handler.Sleep != nil:
		return sleep(time.Duration(handler.Sleep.Seconds) * time.Second), nil
	case handler.Exec != nil:
		d, ok := sleepOf(handler.Exec.Command)
		if !ok {
			return nil, fmt.Errorf("command is %q, and only a sleep is played", handler.Exec.Command)
		}
		return sleep(d), nil
	case handler.HTTPGet != nil:
		get, err := httpGet(pod, c, ip, handler.HTTPGet)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) {
			if answer, err := quickClient.Do(get.WithContext(ctx)); err == nil {
				answer.Body.Close()
			}
		}, nil
	}
	return nil, fmt.Errorf("it is none of sleep, exec, httpGet")
}

func sleep(d time.Duration) hook {
	return func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
}

// sleepOf reads the time from a command that only sleeps, by a shell or not.
func sleepOf(command []string) (time.Duration, bool) {
	if len(command) == 3 && strings.HasSuffix("/"+command[0], "sh") && command[1] == "-c" {
		command = strings.Fields(command[2])
	}
	if len(command) != 2 || !strings.HasSuffix("/"+command[0], "/sleep") {
		return 0, false
	}
	d, err := time.ParseDuration(command[1])
	if err != nil {
		d, err = time.ParseDuration(command[1] + "s")
	}
	return d, err == nil && d >= 0
}

// quickClient makes each request on a connection of its own, as the kubelet does.
var quickClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: insecure},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
