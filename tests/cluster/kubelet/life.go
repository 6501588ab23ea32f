package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// stage is where a pod is in its life.
//
//	starting ─► running ─► ended
//	   │  ▲       │  ▲
//	   ▼  │       ▼  │
//	pullBackOff  crashBackOff
type stage int

const (
	starting     stage = iota // bound to a node, nothing runs
	pullBackOff               // the image cannot be pulled
	running                   // the containers run
	crashBackOff              // the containers crashed and wait for their restart
	ended                     // Succeeded or Failed, for good
)

const (
	crashExitCode = 1
	// Restarts wait far less than the kubelet's 10s to 5m, so that tests need not.
	firstBackOff, longestBackOff = time.Second, 32 * time.Second
)

// life is one pod's past. It is kept in memory because times in a pod's status
// have whole seconds only.
type life struct {
	uid       types.UID
	ip        string
	stage     stage
	bound     time.Time // when the pod was first seen on a node
	since     time.Time // when the stage began
	ran       time.Time // when the containers last began to run
	readyAt   time.Time // when the pod became Ready in this run, zero before
	finished  time.Time // when the containers last ended
	exitCode  int32     // how they ended
	crashes   int32
	runs      int32     // how often the containers began to run
	deletedAt time.Time // when the deletion was first seen
}

// facts are what the process that serves a pod did in one run of its
// containers, and what the pod's readiness probe found.
type facts struct {
	run      int32  // which run, counted from 1
	exitCode *int32 // how the process ended, nil while it has not
	ready    bool
}

func newLife(uid types.UID, ip string, now time.Time) *life {
	return &life{uid: uid, ip: ip, bound: now, since: now}
}

// advance moves the pod on as far as the time allows. It returns how long
// until there is more to do, or zero when only an edit can change the pod.
func (l *life) advance(b behaviour, now time.Time) time.Duration {
	for {
		due, next := l.next(b, now)
		if next == nil {
			return 0
		}
		if wait := due.Sub(now); wait > 0 {
			return wait
		}
		next()
	}
}

// next is what happens to the pod next, and when. A nil step means nothing will.
func (l *life) next(b behaviour, now time.Time) (time.Time, func()) {
	switch l.stage {
	case starting:
		if b.pullError {
			return l.since.Add(b.delay), func() { l.enter(pullBackOff, now) }
		}
		return l.since.Add(b.delay), func() { l.enter(running, now) }
	case pullBackOff:
		if !b.pullError {
			return now, func() { l.enter(starting, now) }
		}
	case crashBackOff:
		return l.since.Add(backOff(l.crashes)), func() { l.enter(running, now) }
	case running:
		at, end := l.nextExit(b, now)
		if due, become := l.nextReady(b, now); become != nil && (end == nil || due.Before(at)) {
			return due, become
		}
		return at, end
	}
	return time.Time{}, nil
}

// nextExit is when the running containers end, if they do.
func (l *life) nextExit(b behaviour, now time.Time) (time.Time, func()) {
	crash := func() { l.exit(crashExitCode, b.restart, now) }
	switch {
	case l.seen(b).exitCode != nil:
		return now, func() { l.exit(*l.seen(b).exitCode, b.restart, now) }
	case b.crashesAtStart():
		return l.since.Add(b.delay), crash
	case b.exitCode != nil:
		return l.since.Add(b.delay), func() { l.exit(*b.exitCode, b.restart, now) }
	case b.crashAfter != nil && !l.readyAt.IsZero():
		return l.readyAt.Add(*b.crashAfter), crash
	}
	return time.Time{}, nil
}

// nextReady is when the running pod first becomes Ready, if it does.
func (l *life) nextReady(b behaviour, now time.Time) (time.Time, func()) {
	become := func() { l.readyAt = now }
	switch {
	case !l.readyAt.IsZero() || b.crashesAtStart():
	case b.ready != nil && *b.ready:
		return now, become
	case b.ready == nil && !b.neverReady && (b.served == nil || l.seen(b).ready):
		return l.since.Add(b.readyAfter), become
	}
	return time.Time{}, nil
}

// ready tells whether the pod is Ready, given where it is in its life.
func (l *life) ready(b behaviour) bool {
	if l.stage != running || l.readyAt.IsZero() || b.crashesAtStart() {
		return false
	}
	if b.ready != nil {
		return *b.ready
	}
	return !b.neverReady && (b.served == nil || l.seen(b).ready)
}

// seen is what is known of the process in this run; nothing until it has started.
func (l *life) seen(b behaviour) facts {
	if b.served == nil || b.served.run != l.runs {
		return facts{}
	}
	return *b.served
}

func (b behaviour) crashesAtStart() bool { return b.crashAfter != nil && *b.crashAfter == 0 }

func (l *life) enter(s stage, now time.Time) {
	l.stage, l.since = s, now
	if s == running {
		l.ran, l.readyAt = now, time.Time{}
		l.runs++
	}
}

// exit ends the containers; the restart policy decides whether the pod ends too.
// Every crash counts as a restart: the kubelet's first restart, which has no
// back-off, is taken as done.
func (l *life) exit(code int32, restart corev1.RestartPolicy, now time.Time) {
	l.exitCode, l.finished = code, now
	if restart == corev1.RestartPolicyNever || restart == corev1.RestartPolicyOnFailure && code == 0 {
		l.enter(ended, now)
		return
	}
	l.crashes++
	l.enter(crashBackOff, now)
}

// backOff is how long the n-th crash keeps the containers down.
func backOff(crashes int32) time.Duration {
	wait := firstBackOff
	for range crashes - 1 {
		wait = min(2*wait, longestBackOff)
	}
	return wait
}
