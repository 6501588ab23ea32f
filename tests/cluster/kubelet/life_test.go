package kubelet

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type podOption func(*corev1.Pod)

func image(name string) podOption {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Image = name }
}

func annotated(name, value string) podOption {
	return func(p *corev1.Pod) { p.Annotations[prefix+name] = value }
}

func ofJob(restart corev1.RestartPolicy) podOption {
	return func(p *corev1.Pod) {
		controller := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "j", Controller: &controller}}
		p.Spec.RestartPolicy = restart
	}
}

func pod(options ...podOption) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", Annotations: map[string]string{}}}
	p.Spec.RestartPolicy = corev1.RestartPolicyAlways
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: "example.test:5000/web:1"}}
	for _, o := range options {
		o(p)
	}
	return p
}

// seen is a pod as a person would tell it: phase, readiness, state, restarts.
func seen(l *life, p *corev1.Pod, now time.Time) string {
	return told(l.status(p, l.ready(behaviourOf(p)), now))
}

func told(s corev1.PodStatus) string {
	c := s.ContainerStatuses[0]
	state := "Running"
	switch {
	case c.State.Waiting != nil:
		state = c.State.Waiting.Reason
	case c.State.Terminated != nil:
		state = fmt.Sprintf("exit %d", c.State.Terminated.ExitCode)
	}
	return fmt.Sprintf("%s ready=%t %s restarts=%d", s.Phase, c.Ready, state, c.RestartCount)
}

func TestPodsLiveAsAsked(t *testing.T) {
	never, onFailure := corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		at   time.Duration
		want string
	}{
		"waits for its delay":            {pod(), 299 * time.Millisecond, "Pending ready=false ContainerCreating restarts=0"},
		"is ready when it runs":          {pod(), 300 * time.Millisecond, "Running ready=true Running restarts=0"},
		"keeps its own delay":            {pod(annotated("delay", "2s")), time.Second, "Pending ready=false ContainerCreating restarts=0"},
		"not ready before ready-after":   {pod(annotated("ready-after", "5s")), 5 * time.Second, "Running ready=false Running restarts=0"},
		"ready after ready-after":        {pod(annotated("ready-after", "5s")), 5300 * time.Millisecond, "Running ready=true Running restarts=0"},
		"never ready":                    {pod(annotated("never-ready", "true")), time.Hour, "Running ready=false Running restarts=0"},
		"never ready by image":           {pod(image("web:2-never-ready")), time.Hour, "Running ready=false Running restarts=0"},
		"annotation wins over image":     {pod(image("web:never-ready"), annotated("never-ready", "false")), time.Second, "Running ready=true Running restarts=0"},
		"made ready by hand":             {pod(image("web:never-ready"), annotated("ready", "true")), time.Second, "Running ready=true Running restarts=0"},
		"made unready by hand":           {pod(annotated("ready", "false")), time.Hour, "Running ready=false Running restarts=0"},
		"a repository's name is no tag":  {pod(image("crash:5000/hang/crash:1")), time.Hour, "Running ready=true Running restarts=0"},
		"a digest is no tag":             {pod(image("web@sha256:crash")), time.Hour, "Running ready=true Running restarts=0"},
		"image cannot be pulled":         {pod(image("web:badimage")), time.Hour, "Pending ready=false ImagePullBackOff restarts=0"},
		"crash image crashes":            {pod(image("web:crash")), 700 * time.Millisecond, "Running ready=false CrashLoopBackOff restarts=1"},
		"crash image is never ready":     {pod(image("web:crash"), annotated("ready", "true")), 400 * time.Millisecond, "Running ready=false Running restarts=0"},
		"crash image restarts":           {pod(image("web:crash")), 1700 * time.Millisecond, "Running ready=false Running restarts=1"},
		"crash image crashes again":      {pod(image("web:crash")), 2 * time.Second, "Running ready=false CrashLoopBackOff restarts=2"},
		"ready until it crashes":         {pod(annotated("crash-after", "3s")), 3200 * time.Millisecond, "Running ready=true Running restarts=0"},
		"crashes after ready":            {pod(annotated("crash-after", "3s")), 3300 * time.Millisecond, "Running ready=false CrashLoopBackOff restarts=1"},
		"ready again after a crash":      {pod(annotated("crash-after", "3s")), 4300 * time.Millisecond, "Running ready=true Running restarts=1"},
		"job pod is ready while it runs": {pod(ofJob(never)), 500 * time.Millisecond, "Running ready=true Running restarts=0"},
		"job pod succeeds":               {pod(ofJob(never)), 600 * time.Millisecond, "Succeeded ready=false exit 0 restarts=0"},
		"job pod fails by code":          {pod(ofJob(never), annotated("exit-code", "3")), time.Second, "Failed ready=false exit 3 restarts=0"},
		"job pod fails by image":         {pod(ofJob(never), image("job:exit1")), time.Second, "Failed ready=false exit 1 restarts=0"},
		"job pod that crashes fails":     {pod(ofJob(never), image("job:crash")), time.Second, "Failed ready=false exit 1 restarts=0"},
		"job pod is restarted":           {pod(ofJob(onFailure), image("job:exit1")), time.Second, "Running ready=false CrashLoopBackOff restarts=1"},
		"job pod hangs":                  {pod(ofJob(never), annotated("hang", "true")), time.Hour, "Running ready=true Running restarts=0"},
		"job pod hangs by image":         {pod(ofJob(never), image("job:hang")), time.Hour, "Running ready=true Running restarts=0"},
		"exit1 is for jobs only":         {pod(image("web:exit1")), time.Hour, "Running ready=true Running restarts=0"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Unix(1_000_000, 0)
			l := newLife("u", "10.244.0.1", begin)
			for at := time.Duration(0); at <= c.at; at += 100 * time.Millisecond {
				l.advance(behaviourOf(c.pod), begin.Add(at))
			}
			l.advance(behaviourOf(c.pod), begin.Add(c.at))
			if got := seen(l, c.pod, begin.Add(c.at)); got != c.want {
				t.Errorf("after %s: %s, want %s", c.at, got, c.want)
			}
		})
	}
}

func TestServedPodsFollowTheirProcess(t *testing.T) {
	started, ready, killed := facts{run: 1}, facts{run: 1, ready: true}, facts{run: 1, exitCode: new(int32(137))}
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		facts facts
		at    time.Duration
		want  string
	}{
		"waits for its delay":             {pod(), ready, 200 * time.Millisecond, "Pending ready=false ContainerCreating restarts=0"},
		"runs before its process does":    {pod(), facts{}, time.Second, "Running ready=false Running restarts=0"},
		"not ready before its probe":      {pod(), started, time.Hour, "Running ready=false Running restarts=0"},
		"ready with its probe":            {pod(), ready, 300 * time.Millisecond, "Running ready=true Running restarts=0"},
		"not ready before ready-after":    {pod(annotated("ready-after", "5s")), ready, 5 * time.Second, "Running ready=false Running restarts=0"},
		"never ready":                     {pod(image("web:2-never-ready")), ready, time.Hour, "Running ready=false Running restarts=0"},
		"made ready by hand":              {pod(annotated("ready", "true")), started, time.Second, "Running ready=true Running restarts=0"},
		"made unready by hand":            {pod(annotated("ready", "false")), ready, time.Second, "Running ready=false Running restarts=0"},
		"crashes with its process":        {pod(), killed, 500 * time.Millisecond, "Running ready=false CrashLoopBackOff restarts=1"},
		"restarts, the old process apart": {pod(), killed, 1300 * time.Millisecond, "Running ready=false Running restarts=1"},
		"fails if never restarted":        {pod(func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }), killed, time.Second, "Failed ready=false exit 137 restarts=0"},
		"crash image crashes":             {pod(image("web:2-crash")), facts{}, 700 * time.Millisecond, "Running ready=false CrashLoopBackOff restarts=1"},
		"crash5s is for the process":      {pod(image("web:2-crash5s")), ready, time.Hour, "Running ready=true Running restarts=0"},
		"image cannot be pulled":          {pod(image("web:2-badimage")), facts{}, time.Hour, "Pending ready=false ImagePullBackOff restarts=0"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Unix(1_000_000, 0)
			l, b := newLife("u", "10.244.0.1", begin), servedBehaviourOf(c.pod, c.facts)
			for at := time.Duration(0); at <= c.at; at += 100 * time.Millisecond {
				l.advance(b, begin.Add(at))
			}
			if got := told(l.status(c.pod, l.ready(b), begin.Add(c.at))); got != c.want {
				t.Errorf("after %s: %s, want %s", c.at, got, c.want)
			}
		})
	}
}

func TestReadinessComesAndGoesWithTheProbe(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p, l := pod(), newLife("u", "10.244.0.1", now)
	for i, ready := range []bool{false, true, false, true} {
		b := servedBehaviourOf(p, facts{run: 1, ready: ready})
		now = now.Add(time.Second)
		l.advance(b, now)
		if got := l.ready(b); got != ready {
			t.Errorf("probe %d: ready is %t, want %t", i, got, ready)
		}
	}
}

func TestAnEditChangesReadinessAtOnce(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p, l := pod(), newLife("u", "10.244.0.1", now)
	for i, c := range []struct {
		ready string
		want  bool
	}{{"", true}, {"false", false}, {"true", true}, {"", true}} {
		p.Annotations[readyAnnotation] = c.ready
		now = now.Add(time.Second)
		l.advance(behaviourOf(p), now)
		if got := l.ready(behaviourOf(p)); got != c.want {
			t.Errorf("edit %d: ready is %t, want %t", i, got, c.want)
		}
	}
}

func TestAStatusIsWrittenOnlyOnChange(t *testing.T) {
	now := time.Unix(1_000_000, 123_456_789)
	p, l := pod(), newLife("u", "10.244.0.1", now)
	now = now.Add(time.Second)
	l.advance(behaviourOf(p), now)
	p.Status = l.status(p, true, now)
	again := l.status(p, true, now.Add(time.Minute))
	if !equality.Semantic.DeepEqual(p.Status, again) {
		t.Errorf("second status differs:\n%v\n%v", p.Status, again)
	}
}

func TestBackOffDoublesToItsLimit(t *testing.T) {
	for crashes, want := range map[int32]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 99: longestBackOff} {
		if got := backOff(crashes); got != want {
			t.Errorf("back-off %d is %s, want %s", crashes, got, want)
		}
	}
}

func TestPodAddressesStayInTheirNetwork(t *testing.T) {
	for n, want := range map[uint32]string{1: "10.244.0.1", 256: "10.244.1.0", 65534: "10.244.255.254", 65535: "10.244.0.1"} {
		if got := podIP(n); got != want {
			t.Errorf("address %d is %s, want %s", n, got, want)
		}
	}
}
