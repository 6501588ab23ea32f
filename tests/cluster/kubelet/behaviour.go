package kubelet

import (
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations on a pod choose what the fake kubelet makes of it. One that is
// set wins over what the image's tag asks for.
const (
	prefix = "testcluster/"

	delayAnnotation          = prefix + "delay"            // time before a step: until Running, until a Job's pod ends; default 300ms
	readyAfterAnnotation     = prefix + "ready-after"      // time from Running to Ready, default 0
	neverReadyAnnotation     = prefix + "never-ready"      // "true": runs, is never Ready
	readyAnnotation          = prefix + "ready"            // "true" or "false": sets Ready of a running pod at once
	crashAfterAnnotation     = prefix + "crash-after"      // time from Ready to a crash; 0s: crashes before it is Ready
	pullErrorAnnotation      = prefix + "image-pull-error" // "true": stays in ImagePullBackOff
	exitCodeAnnotation       = prefix + "exit-code"        // ends with this code; a Job's pod ends with 0 without it
	hangAnnotation           = prefix + "hang"             // "true": a Job's pod never ends
	terminateAfterAnnotation = prefix + "terminate-after"  // time from deletion to disappearing, at most the grace period; default 0
	killAnnotation           = prefix + "kill"             // each new value kills a served pod's process once
)

const defaultDelay = 300 * time.Millisecond

// behaviour is what a pod is to do, read anew at every step, so that an edit
// of the annotations has its effect at once.
type behaviour struct {
	delay, readyAfter, terminateAfter time.Duration
	crashAfter                        *time.Duration // nil: never
	ready                             *bool          // nil: decided by time
	exitCode                          *int32         // nil: does not end by itself
	neverReady, pullError             bool
	restart                           corev1.RestartPolicy
	served                            *facts // nil: no process serves the pod, time alone decides
}

// behaviourOf reads a pod's annotations and its containers' image tags.
func behaviourOf(pod *corev1.Pod) behaviour { return readBehaviour(pod, strings.Contains) }

// servedBehaviourOf does so for a pod that a process serves. Only whole words
// of a tag count: crash5s is for the process, crash for the kubelet.
func servedBehaviourOf(pod *corev1.Pod, f facts) behaviour {
	b := readBehaviour(pod, func(tag, word string) bool {
		return strings.Contains("-"+tag+"-", "-"+word+"-")
	})
	b.served = &f
	return b
}

func readBehaviour(pod *corev1.Pod, has func(tag, word string) bool) behaviour {
	tagHas := func(word string) bool {
		for _, c := range pod.Spec.Containers {
			if has(tag(c.Image), word) {
				return true
			}
		}
		return false
	}
	b := behaviour{
		delay:          durationOr(pod, delayAnnotation, defaultDelay),
		readyAfter:     durationOr(pod, readyAfterAnnotation, 0),
		terminateAfter: durationOr(pod, terminateAfterAnnotation, 0),
		neverReady:     boolOr(pod, neverReadyAnnotation, tagHas("never-ready")),
		pullError:      boolOr(pod, pullErrorAnnotation, tagHas("badimage")),
		restart:        pod.Spec.RestartPolicy,
	}
	if after := durationOr(pod, crashAfterAnnotation, -1); after >= 0 {
		b.crashAfter = &after
	} else if tagHas("crash") {
		b.crashAfter = new(time.Duration)
	}
	if ready, err := strconv.ParseBool(pod.Annotations[readyAnnotation]); err == nil {
		b.ready = &ready
	}
	b.exitCode = exitCodeOf(pod, tagHas)
	return b
}

// exitCodeOf is nil for a pod that runs on. Only a Job's pods end unasked.
func exitCodeOf(pod *corev1.Pod, tagHas func(string) bool) *int32 {
	job := ofAJob(pod)
	if job && boolOr(pod, hangAnnotation, tagHas("hang")) {
		return nil
	}
	if code, err := strconv.ParseInt(pod.Annotations[exitCodeAnnotation], 10, 32); err == nil {
		code := int32(code)
		return &code
	}
	if !job {
		return nil
	}
	code := int32(0)
	if tagHas("exit1") {
		code = 1
	}
	return &code
}

func ofAJob(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "Job"
}

// tag is the part of an image's name after the colon, without a digest.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndex(image, "/")+1:] // a registry's port is no tag
	_, tag, _ := strings.Cut(image, ":")
	return tag
}

// durationOr is the annotation's value; one that does not parse counts as absent.
func durationOr(pod *corev1.Pod, name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(pod.Annotations[name]); err == nil && d >= 0 {
		return d
	}
	return otherwise
}

func boolOr(pod *corev1.Pod, name string, otherwise bool) bool {
	if b, err := strconv.ParseBool(pod.Annotations[name]); err == nil {
		return b
	}
	return otherwise
}
