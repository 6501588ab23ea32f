// Package kubelet plays the kubelet of every node without running a container:
// it watches pods that are bound to a node and writes the status that a real
// kubelet would, as the pod's annotations and image tags ask (behaviour.go).
// Given a program, it serves every pod with a process of it (process.go).
package kubelet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

const (
	workers   = 32
	heartbeat = 10 * time.Second
	askAgain  = 5 * time.Second // for a deletion that was asked for and has not come
	// killedExitCode is that of a container ended by SIGTERM.
	killedExitCode = 143
)

type kubelet struct {
	client    kubernetes.Interface
	pods      listers.PodLister
	queue     workqueue.TypedRateLimitingInterface[cache.ObjectName]
	program   string         // serves the pods; empty: none does
	processes sync.WaitGroup // those that have not ended

	mu     sync.Mutex // guards the map; a played pod itself belongs to the worker that holds its key
	played map[cache.ObjectName]*played
	lastIP uint32
}

// played is one pod's life, and the process of its latest run if it is served.
type played struct {
	*life
	process *process
	killed  map[string]bool // values of the kill annotation that had their effect
}

// Run registers the nodes, keeps their leases fresh and plays every bound pod's
// life until ctx ends. With a program it serves the pods, Jobs' apart, by it.
func Run(ctx context.Context, client kubernetes.Interface, nodes int, program string) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods()
	k := &kubelet{
		client:  client,
		pods:    informer.Lister(),
		program: program,
		played:  map[cache.ObjectName]*played{},
		// Without the default limiter's 10 retries a second over all pods.
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](5*time.Millisecond, time.Second)),
	}
	enqueue := func(obj any) {
		if key, err := cache.DeletionHandlingObjectToName(obj); err == nil {
			k.queue.Add(key)
		}
	}
	if _, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, obj any) { enqueue(obj) },
		DeleteFunc: enqueue,
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		return errors.New("pod informer did not sync")
	}
	defer k.endProcesses()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer k.queue.ShutDown()
	for range workers {
		wg.Go(func() { k.work(ctx) })
	}
	for i := range nodes {
		if err := k.registerNode(ctx, i); err != nil {
			return fmt.Errorf("registering node %d: %w", i, err)
		}
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		for i := range nodes {
			if err := k.renewLease(ctx, nodeName(i)); err != nil && ctx.Err() == nil {
				klog.Warningf("heartbeat of %s: %v", nodeName(i), err) // the next one tries again
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (k *kubelet) work(ctx context.Context) {
	for {
		key, quit := k.queue.Get()
		if quit {
			return
		}
		wait, err := k.step(ctx, key)
		switch {
		case err == nil || apierrors.IsNotFound(err):
			k.queue.Forget(key)
			if wait > 0 {
				k.queue.AddAfter(key, wait)
			}
		default: // most often a conflict with an edit whose event is under way
			if !apierrors.IsConflict(err) && ctx.Err() == nil {
				klog.Warningf("pod %s: %v", key, err)
			}
			k.queue.AddRateLimited(key)
		}
		k.queue.Done(key)
	}
}

// step moves one pod on and writes its status if that changed. It returns how
// long until it is due again, zero for not before an event.
func (k *kubelet) step(ctx context.Context, key cache.ObjectName) (time.Duration, error) {
	pod, err := k.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		k.forget(key)
		return 0, nil
	}
	if err != nil || pod.Spec.NodeName == "" {
		return 0, err
	}
	now := time.Now()
	p := k.playedOf(key, pod, now)
	if pod.DeletionTimestamp != nil {
		return k.terminate(ctx, pod, p, now)
	}
	b := k.behaviourOf(pod, p)
	wait := p.advance(b, now)
	if b.served != nil && k.sync(key, pod, p, b) {
		b = k.behaviourOf(pod, p)
		wait = p.advance(b, now)
	}
	if p.stage == starting {
		return wait, nil
	}
	return wait, k.writeStatus(ctx, pod, p.status(pod, p.ready(b), now))
}

// terminate lets a deleted pod linger as asked, then removes it. Like the
// kubelet it reports the end of the containers first where somebody waits for
// that: the Job controller, by its finalizer.
func (k *kubelet) terminate(ctx context.Context, pod *corev1.Pod, p *played, now time.Time) (time.Duration, error) {
	b, l := k.behaviourOf(pod, p), p.life
	var grace time.Duration
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	if l.deletedAt.IsZero() {
		l.deletedAt = now
	}
	if p.stop(pod, grace) { // its end comes as an event
		return 0, k.writeStatus(ctx, pod, l.status(pod, l.ready(b), now))
	}
	if wait := l.deletedAt.Add(min(b.terminateAfter, grace)).Sub(now); wait > 0 && l.stage != ended {
		return wait, nil
	}
	if len(pod.Finalizers) > 0 {
		if l.stage != ended {
			code := int32(killedExitCode)
			if served := l.seen(b).exitCode; served != nil {
				code = *served
			}
			l.exit(code, corev1.RestartPolicyNever, now)
		}
		if err := k.writeStatus(ctx, pod, l.status(pod, false, now)); err != nil {
			return 0, err
		}
	}
	if grace == 0 { // already asked for
		if len(pod.Finalizers) > 0 {
			return 0, nil // a finalizer holds it
		}
		// The API server may have ended between its two writes of a deletion.
		if wait := l.deletedAt.Add(askAgain).Sub(now); wait > 0 {
			return wait, nil
		}
	}
	at := metav1.NewUIDPreconditions(string(pod.UID))
	return 0, k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: at})
}

func (k *kubelet) writeStatus(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	if equality.Semantic.DeepEqual(pod.Status, status) {
		return nil
	}
	pod = pod.DeepCopy()
	pod.Status = status
	_, err := k.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// playedOf returns what is known of the pod; a new pod under an old name starts anew.
func (k *kubelet) playedOf(key cache.ObjectName, pod *corev1.Pod, now time.Time) *played {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.played[key]
	if !ok || p.uid != pod.UID {
		if ok {
			p.kill()
		}
		k.lastIP++
		p = &played{life: newLife(pod.UID, podIP(k.lastIP), now)}
		k.played[key] = p
	}
	return p
}

// forget drops a pod that is gone. Deleted by force, it may still have a process.
func (k *kubelet) forget(key cache.ObjectName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.played[key]; ok {
		p.kill()
		delete(k.played, key)
	}
}

// podIP is the n-th address of 10.244.0.0/16, without its first and last.
// EndpointSlices refuse loopback addresses.
func podIP(n uint32) string {
	n = (n-1)%(1<<16-2) + 1
	return fmt.Sprintf("10.244.%d.%d", n>>8, n&255)
}
