package kubelet

import (
	"context"
	"net"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestMain lets the test's own program be the one that serves pods.
func TestMain(m *testing.M) {
	switch os.Getenv("ROLE") {
	case "":
		os.Exit(m.Run())
	case "exit3":
		os.Exit(3)
	case "obeys":
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		call()
		<-term
	case "ignores":
		signal.Ignore(syscall.SIGTERM)
		call()
		select {}
	}
}

// call tells the test that the process is ready for signals.
func call() {
	if c, err := net.Dial("tcp", os.Getenv("CALL")); err == nil {
		c.Close()
	}
}

func env(name, value string) podOption {
	return func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
}

// run starts the test's program in a role, and waits until it calls if it does.
func run(t *testing.T, role string, options ...podOption) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(os.Args[0], pod(append(options, env("ROLE", role), env("CALL", l.Addr().String()))...), "127.0.0.1", 1, "n/p", func() {})
	t.Cleanup(func() {
		if p.alive() {
			p.signal(syscall.SIGKILL)
		}
		<-p.done
	})
	if role != "exit3" {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	return p
}

func TestAProcessEndsWithItsRealCode(t *testing.T) {
	exits := run(t, "exit3")
	killed := run(t, "obeys")
	killed.signal(syscall.SIGKILL)
	missing := start("/nonexistent", pod(), "127.0.0.1", 1, "n/p", func() {})
	for want, p := range map[int32]*process{3: exits, 137: killed, startErrorCode: missing} {
		<-p.done
		if f := p.facts(); f.exitCode == nil || *f.exitCode != want || f.ready || f.run != 1 {
			t.Errorf("facts are %+v, want exit code %d, not ready", f, want)
		}
	}
}

func TestAProcessWithoutAProbeIsReadyWhenItRuns(t *testing.T) {
	if p := run(t, "obeys"); !p.facts().ready {
		t.Error("not ready")
	}
}

func TestAProcessEndsAfterItsHooks(t *testing.T) {
	p := run(t, "obeys")
	hooked := make(chan bool, 1)
	p.hooks = []hook{func(context.Context) { hooked <- p.alive() }}
	p.endBy(time.Now().Add(time.Hour))
	if alive := <-hooked; !alive {
		t.Error("it ended before its hook")
	}
	<-p.done
	if code := *p.facts().exitCode; code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestAnOverdueHookIsCutShort(t *testing.T) {
	p := run(t, "obeys")
	p.hooks = []hook{func(ctx context.Context) { <-ctx.Done() }}
	p.endBy(time.Now().Add(time.Hour))
	p.endBy(time.Now()) // a second deletion with a shorter grace period
	<-p.done
	if code := *p.facts().exitCode; code != 0 {
		t.Errorf("exit code %d, want 0: SIGTERM has its time after a long hook", code)
	}
}

func TestAProcessThatIgnoresSIGTERMIsKilled(t *testing.T) {
	p := run(t, "ignores")
	p.least = 0
	p.endBy(time.Now())
	<-p.done
	if code := *p.facts().exitCode; code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
}

func TestTheKillAnnotationWorksOncePerValue(t *testing.T) {
	first := &played{process: run(t, "obeys")}
	by := pod(annotated("kill", "1"))
	first.killOnce(by)
	<-first.process.done
	again := &played{process: run(t, "obeys"), killed: first.killed}
	again.killOnce(by)
	if !reflect.DeepEqual(again.killed, map[string]bool{"1": true}) || !again.process.alive() {
		t.Errorf("killed by %v, alive: %t; want the second process alive", again.killed, again.process.alive())
	}
	by.Annotations[killAnnotation] = "2"
	again.killOnce(by)
	<-again.process.done
}

func TestAProcessKnowsItsPod(t *testing.T) {
	p := pod(env("ERRORS", "5"), func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		c.Ports = []corev1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP}}
		field := func(name, path string) corev1.EnvVar {
			return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
		}
		c.Env = append(c.Env, field("ME", "metadata.name"), field("HERE", "status.podIP"), field("NODE", "spec.nodeName"))
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "d", Ports: []corev1.ContainerPort{{ContainerPort: 9090}, {ContainerPort: 80}}})
	})
	want := []string{"POD_IP=10.244.0.1", "POD_NAME=p", "IMAGE=example.test:5000/web:1", "PORTS=80,9090", "ERRORS=5", "ME=p", "HERE=10.244.0.1"}
	if got := environment(p, "10.244.0.1"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ports(pod()); !reflect.DeepEqual(got, []string{"8080"}) {
		t.Errorf("a pod without ports has %q", got)
	}
}

func TestSleepsAreReadFromCommands(t *testing.T) {
	for _, c := range []struct {
		command []string
		want    time.Duration
		ok      bool
	}{
		{[]string{"sleep", "5"}, 5 * time.Second, true},
		{[]string{"/bin/sleep", "0.5"}, 500 * time.Millisecond, true},
		{[]string{"sh", "-c", "sleep 3"}, 3 * time.Second, true},
		{[]string{"/bin/bash", "-c", "sleep 1m"}, time.Minute, true},
		{[]string{"sh", "-c", "sleep 3; nginx -s quit"}, 0, false},
		{[]string{"nginx", "-s"}, 0, false},
		{[]string{"sleep"}, 0, false},
		{[]string{"sleep", "long"}, 0, false},
		{nil, 0, false},
	} {
		if got, ok := sleepOf(c.command); ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %s %t, want %s %t", c.command, got, ok, c.want, c.ok)
		}
	}
}
