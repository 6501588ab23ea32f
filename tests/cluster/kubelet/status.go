package kubelet

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const nodeIP = "192.0.2.10"

// status is what the pod's status should be. Conditions of others and the
// transition times of conditions that hold on are kept.
func (l *life) status(pod *corev1.Pod, ready bool, now time.Time) corev1.PodStatus {
	s := *pod.Status.DeepCopy()
	s.ObservedGeneration = pod.Generation
	bound := seconds(l.bound)
	s.StartTime = &bound
	s.HostIP, s.HostIPs = nodeIP, []corev1.HostIP{{IP: nodeIP}}
	s.PodIP, s.PodIPs = l.ip, []corev1.PodIP{{IP: l.ip}}
	s.Phase = l.phase()

	s.ContainerStatuses = nil
	var unready []string
	for _, c := range pod.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, l.containerStatus(pod, c, ready))
		if !ready {
			unready = append(unready, c.Name)
		}
	}
	var reason, message string
	switch {
	case ready:
	case s.Phase == corev1.PodSucceeded:
		reason = "PodCompleted"
	case s.Phase == corev1.PodFailed:
		reason = "PodFailed"
	default:
		reason, message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	setCondition(&s, corev1.PodInitialized, true, "", "", now)
	setCondition(&s, corev1.ContainersReady, ready, reason, message, now)
	setCondition(&s, corev1.PodReady, ready, reason, message, now)
	return s
}

func (l *life) phase() corev1.PodPhase {
	switch l.stage {
	case starting, pullBackOff:
		return corev1.PodPending
	case ended:
		if l.exitCode != 0 {
			return corev1.PodFailed
		}
		return corev1.PodSucceeded
	default:
		return corev1.PodRunning
	}
}

func (l *life) containerStatus(pod *corev1.Pod, c corev1.Container, ready bool) corev1.ContainerStatus {
	started := l.stage == running
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: ready, Started: &started, RestartCount: l.crashes}
	if l.stage > pullBackOff {
		s.ImageID = c.Image
	}
	if l.crashes > 0 {
		s.LastTerminationState.Terminated = l.terminated()
	}
	waiting := func(reason, message string) {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	}
	switch l.stage {
	case starting:
		waiting("ContainerCreating", "")
	case pullBackOff:
		waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: manifest unknown", c.Image))
	case running:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(l.ran)}
	case crashBackOff:
		waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			backOff(l.crashes), c.Name, pod.Name, pod.Namespace, pod.UID))
	case ended:
		s.State.Terminated = l.terminated()
	}
	return s
}

func (l *life) terminated() *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{Reason: "Completed", ExitCode: l.exitCode, StartedAt: seconds(l.ran), FinishedAt: seconds(l.finished)}
	if l.exitCode != 0 {
		t.Reason = "Error"
	}
	return t
}

func setCondition(s *corev1.PodStatus, t corev1.PodConditionType, ok bool, reason, message string, now time.Time) {
	want := corev1.PodCondition{Type: t, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: s.ObservedGeneration, LastTransitionTime: seconds(now)}
	if ok {
		want.Status = corev1.ConditionTrue
	}
	for i, have := range s.Conditions {
		if have.Type != t {
			continue
		}
		if have.Status == want.Status {
			want.LastTransitionTime = have.LastTransitionTime
		}
		s.Conditions[i] = want
		return
	}
	s.Conditions = append(s.Conditions, want)
}

// seconds is a time as the API server keeps it; with fractions no status would
// ever equal the one written.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }
