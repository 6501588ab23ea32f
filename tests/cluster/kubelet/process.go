package kubelet

import (
	"bytes"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	// startErrorCode is that of a container whose command cannot be run.
	startErrorCode = 128
	// shortestTermination is what a process gets after SIGTERM in any case, as on a node.
	shortestTermination = 2 * time.Second
	defaultPort         = 8080
)

// process is what serves a pod in one run of its containers. It is told to
// end with the kubelet by its standard input, which closes even if the kubelet
// is killed.
type process struct {
	run     int32
	cmd     *exec.Cmd
	hooks   []hook
	least   time.Duration // from SIGTERM to SIGKILL
	changed func()        // called after every change of the facts
	done    chan struct{} // closed when it has ended

	mu       sync.Mutex
	exitCode *int32
	ready    bool
	ending   *ending // nil until it is asked to end
}

// behaviourOf is what a pod is to do, with the facts if a process serves it.
func (k *kubelet) behaviourOf(pod *corev1.Pod, p *played) behaviour {
	if k.program == "" || ofAJob(pod) {
		return behaviourOf(pod)
	}
	return servedBehaviourOf(pod, p.process.facts())
}

// sync gives a run its process, and ends one whose run is over. It tells
// whether it started one.
func (k *kubelet) sync(key cache.ObjectName, pod *corev1.Pod, p *played, b behaviour) bool {
	runs := p.stage == running && !b.crashesAtStart()
	have := p.process.facts()
	if !runs || have.run != p.runs {
		p.kill()
	}
	if !runs || have.run == p.runs || p.process.alive() { // the end of an old one comes as an event
		p.killOnce(pod)
		return false
	}
	p.process = start(k.program, pod, p.ip, p.runs, key.String(), func() { k.queue.Add(key) })
	k.processes.Go(func() { <-p.process.done })
	p.killOnce(pod)
	return true
}

// stop lets a deleted pod's process end within the grace period, which may be
// shortened later. It tells whether there is one that has not ended.
func (p *played) stop(pod *corev1.Pod, grace time.Duration) bool {
	if !p.process.alive() {
		return false
	}
	p.killOnce(pod)
	if grace == 0 {
		p.kill()
	} else {
		p.process.endBy(p.deletedAt.Add(grace))
	}
	return true
}

// killOnce kills the process at a new value of the annotation.
func (p *played) killOnce(pod *corev1.Pod) {
	value, ok := pod.Annotations[killAnnotation]
	if !ok || p.killed[value] || !p.process.alive() {
		return
	}
	if p.killed == nil {
		p.killed = map[string]bool{}
	}
	p.killed[value] = true
	p.kill()
}

func (p *played) kill() {
	if p.process.alive() {
		p.process.signal(syscall.SIGKILL)
	}
}

// endProcesses leaves none behind.
func (k *kubelet) endProcesses() {
	k.mu.Lock()
	for _, p := range k.played {
		p.kill()
	}
	k.mu.Unlock()
	k.processes.Wait()
}

// start runs the program for a pod. A program that cannot be run has ended at once.
func start(program string, pod *corev1.Pod, ip string, run int32, name string, changed func()) *process {
	p := &process{run: run, hooks: hooksOf(pod, ip), least: shortestTermination, changed: changed, done: make(chan struct{})}
	p.cmd = exec.Command(program)
	p.cmd.Env = environment(pod, ip)
	log := &lineLog{prefix: name}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.WaitDelay = time.Second                           // for a child of its own that holds its output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for the kubelet only
	_, err := p.cmd.StdinPipe()                             // open until the process or the kubelet ends
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		klog.Errorf("pod %s: cannot start: %v", name, err)
		p.ended(startErrorCode)
		return p
	}
	go func() {
		p.cmd.Wait() // what it says is in the state of the process
		p.ended(exitCodeOfProcess(p.cmd))
	}()
	p.watchProbes(pod, ip)
	return p
}

func (p *process) ended(code int32) {
	p.mu.Lock()
	p.exitCode, p.ready = &code, false
	p.mu.Unlock()
	close(p.done)
	p.changed()
}

// facts are those of no run while there is no process.
func (p *process) facts() facts {
	if p == nil {
		return facts{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return facts{run: p.run, exitCode: p.exitCode, ready: p.ready}
}

func (p *process) alive() bool { return p != nil && p.facts().exitCode == nil }

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) } // an error means that it has ended

// setReady reports what the readiness probe says.
func (p *process) setReady(ready bool) {
	p.mu.Lock()
	p.ready = ready && p.exitCode == nil
	p.mu.Unlock()
	p.changed()
}

// exitCodeOfProcess is as a shell and a container runtime tell it.
func exitCodeOfProcess(cmd *exec.Cmd) int32 {
	if cmd.ProcessState == nil {
		return startErrorCode
	}
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int32(s.Signal())
	}
	return int32(cmd.ProcessState.ExitCode())
}

// environment is the pod's own facts, then the first container's variables, which win.
func environment(pod *corev1.Pod, ip string) []string {
	first := pod.Spec.Containers[0]
	env := []string{"POD_IP=" + ip, "POD_NAME=" + pod.Name, "IMAGE=" + first.Image, "PORTS=" + strings.Join(ports(pod), ",")}
	for _, v := range first.Env {
		switch {
		case v.ValueFrom == nil:
			env = append(env, v.Name+"="+v.Value)
		case v.ValueFrom.FieldRef == nil:
		case v.ValueFrom.FieldRef.FieldPath == "metadata.name":
			env = append(env, v.Name+"="+pod.Name)
		case v.ValueFrom.FieldRef.FieldPath == "status.podIP":
			env = append(env, v.Name+"="+ip)
		}
	}
	return env
}

// ports are those of all containers, since one process serves them all.
func ports(pod *corev1.Pod) []string {
	var all []string
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			port := strconv.Itoa(int(p.ContainerPort))
			if (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) && !slices.Contains(all, port) {
				all = append(all, port)
			}
		}
	}
	if all == nil {
		all = []string{strconv.Itoa(defaultPort)}
	}
	return all
}

// lineLog puts whole lines of a process's output into the kubelet's log.
type lineLog struct {
	prefix string
	rest   []byte
}

func (l *lineLog) Write(text []byte) (int, error) {
	l.rest = append(l.rest, text...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(text), nil
		}
		klog.Infof("pod %s: %s", l.prefix, line)
		l.rest = rest
	}
}
