package kubelet

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/klog/v2"
)

// hasty is how often a pod that is not Ready is probed; the kubelet, too, may
// probe oftener than asked then.
const hasty = 100 * time.Millisecond

// insecure is for probes by https: the kubelet does not verify either.
var insecure = &tls.Config{InsecureSkipVerify: true}

// probe is a probe with its defaults filled in.
type probe struct {
	check                func(context.Context) bool
	delay, period, limit time.Duration
	successes, failures  int32
	grace                time.Duration // for the process, when its liveness is lost
}

// verdict is what a probe's results so far amount to.
type verdict struct {
	ok  bool
	run int32 // results in a row that speak against it
}

// add counts a result, and tells whether the verdict changed.
func (v *verdict) add(success bool, p probe) bool {
	if success == v.ok {
		v.run = 0
		return false
	}
	v.run++
	if success && v.run < p.successes || !success && v.run < p.failures {
		return false
	}
	v.ok, v.run = success, 0
	return true
}

// watchProbes runs the pod's probes while the process lives. Without a
// readiness probe it is ready as soon as it runs.
func (p *process) watchProbes(pod *corev1.Pod, ip string) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-p.done
		cancel()
	}()
	if readiness, ok := probeOf(pod, ip, func(c corev1.Container) *corev1.Probe { return c.ReadinessProbe }); ok {
		go readiness.watch(ctx, verdict{ok: false}, hasty, p.setReady)
	} else {
		p.mu.Lock()
		p.ready = p.exitCode == nil
		p.mu.Unlock()
	}
	if liveness, ok := probeOf(pod, ip, func(c corev1.Container) *corev1.Probe { return c.LivenessProbe }); ok {
		go liveness.watch(ctx, verdict{ok: true}, liveness.period, func(alive bool) {
			if !alive {
				p.endBy(time.Now().Add(liveness.grace))
			}
		})
	}
}

// watch probes until ctx ends and reports every change of the verdict. While
// the verdict is bad it probes at least as often as hurry says.
func (p probe) watch(ctx context.Context, v verdict, hurry time.Duration, report func(ok bool)) {
	wait := p.delay
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		begin := time.Now()
		limited, cancel := context.WithTimeout(ctx, p.limit)
		success := p.check(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if v.add(success, p) {
			report(v.ok)
		}
		wait = p.period
		if !v.ok {
			wait = min(wait, hurry)
		}
		wait -= time.Since(begin)
	}
}

// probeOf is the first probe of a kind that the containers have and that can be
// done from outside; exec and grpc count as none.
func probeOf(pod *corev1.Pod, ip string, kind func(corev1.Container) *corev1.Probe) (probe, bool) {
	for _, c := range pod.Spec.Containers {
		spec := kind(c)
		if spec == nil {
			continue
		}
		check, err := checkOf(pod, c, ip, spec.ProbeHandler)
		if err != nil {
			klog.Warningf("pod %s/%s: a probe of container %s is passed over: %v", pod.Namespace, pod.Name, c.Name, err)
			return probe{}, false
		}
		seconds := func(n, otherwise int32) time.Duration { return time.Duration(cmp.Or(n, otherwise)) * time.Second }
		grace := cmp.Or(spec.TerminationGracePeriodSeconds, pod.Spec.TerminationGracePeriodSeconds)
		if grace == nil {
			grace = new(int64(corev1.DefaultTerminationGracePeriodSeconds))
		}
		return probe{
			check:     check,
			delay:     seconds(spec.InitialDelaySeconds, 0),
			period:    seconds(spec.PeriodSeconds, 10),
			limit:     seconds(spec.TimeoutSeconds, 1),
			successes: cmp.Or(spec.SuccessThreshold, 1),
			failures:  cmp.Or(spec.FailureThreshold, 3),
			grace:     time.Duration(*grace) * time.Second,
		}, true
	}
	return probe{}, false
}

func checkOf(pod *corev1.Pod, c corev1.Container, ip string, h corev1.ProbeHandler) (func(context.Context) bool, error) {
	switch {
	case h.HTTPGet != nil:
		get, err := httpGet(pod, c, ip, h.HTTPGet)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) bool {
			answer, err := quickClient.Do(get.WithContext(ctx))
			if err != nil {
				return false
			}
			answer.Body.Close()
			return answer.StatusCode >= 200 && answer.StatusCode < 400
		}, nil
	case h.TCPSocket != nil:
		port, err := portOf(pod, c, h.TCPSocket.Port)
		if err != nil {
			return nil, err
		}
		address := net.JoinHostPort(cmp.Or(h.TCPSocket.Host, ip), port)
		return func(ctx context.Context) bool {
			connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return false
			}
			connection.Close()
			return true
		}, nil
	}
	return nil, fmt.Errorf("it is neither httpGet nor tcpSocket")
}

// httpGet is the request of a probe or a hook.
func httpGet(pod *corev1.Pod, c corev1.Container, ip string, a *corev1.HTTPGetAction) (*http.Request, error) {
	port, err := portOf(pod, c, a.Port)
	if err != nil {
		return nil, err
	}
	scheme := strings.ToLower(string(cmp.Or(a.Scheme, corev1.URISchemeHTTP)))
	path := "/" + strings.TrimPrefix(a.Path, "/")
	r, err := http.NewRequest(http.MethodGet, scheme+"://"+net.JoinHostPort(cmp.Or(a.Host, ip), port)+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "kube-probe")
	for _, h := range a.HTTPHeaders {
		if strings.EqualFold(h.Name, "Host") {
			r.Host = h.Value
		} else {
			r.Header.Add(h.Name, h.Value)
		}
	}
	return r, nil
}

// portOf resolves a named port, first among the container's own.
func portOf(pod *corev1.Pod, c corev1.Container, port intstr.IntOrString) (string, error) {
	if port.Type == intstr.Int {
		return strconv.Itoa(port.IntValue()), nil
	}
	for _, c := range append([]corev1.Container{c}, pod.Spec.Containers...) {
		for _, p := range c.Ports {
			if p.Name == port.StrVal {
				return strconv.Itoa(int(p.ContainerPort)), nil
			}
		}
	}
	return "", fmt.Errorf("port %q is the name of no container's port", port.StrVal)
}
