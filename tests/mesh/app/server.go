package main

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// app answers all requests of one pod.
type app struct {
	config
	requests atomic.Uint64
	draining atomic.Bool
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	switch r.URL.Path {
	case "/healthz":
		a.answer(w, http.StatusOK, "ok")
	case "/counts":
		a.answer(w, http.StatusOK, map[string]uint64{"requests": a.requests.Load()})
	default:
		a.serve(w, r)
	}
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	n := a.requests.Add(1)
	wait := a.latency
	if value := r.URL.Query().Get("delay"); value != "" {
		delay, err := time.ParseDuration(value)
		if err != nil {
			a.answer(w, http.StatusBadRequest, map[string]string{"error": "delay must be a duration such as 2s, not " + strconv.Quote(value)})
			return
		}
		wait += delay
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-r.Context().Done(): // the client is gone
			return
		}
	}
	status := http.StatusOK
	if fails(n, a.errors) {
		status = http.StatusInternalServerError
		w.Header().Set("x-app-error", "1")
	}
	a.answer(w, status, map[string]string{"version": a.version, "pod": a.pod, "path": r.URL.Path, "host": r.Host})
}

// answer sends head and body in one write: a body sent after its head would
// wait for the delayed acknowledgement of the head.
func (a *app) answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		text, status = []byte(strconv.Quote(err.Error())), http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("x-version", a.version)
	h.Set("x-pod", a.pod)
	w.WriteHeader(status)
	w.Write(text)
}

// fails spreads the errors evenly: the n-th request fails when it makes the
// number of errors that are due a greater whole number.
func fails(n uint64, percent float64) bool {
	due := func(n uint64) float64 { return math.Floor(float64(n) * percent / 100) }
	return due(n) > due(n-1)
}
