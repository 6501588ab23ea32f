package kubelet

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestVerdictsChangeAtTheirThresholds(t *testing.T) {
	p := probe{successes: 2, failures: 3}
	v := verdict{}
	var got []bool
	for _, success := range []bool{true, false, true, true, false, false, true, false, false, false, true, true} {
		v.add(success, p)
		got = append(got, v.ok)
	}
	want := []bool{false, false, false, true, true, true, true, true, true, false, false, true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}

func TestAWatchReportsChangesOnly(t *testing.T) {
	results := []bool{false, true, true, false, false, true}
	ctx, cancel := context.WithCancel(t.Context())
	p := probe{successes: 1, failures: 1, limit: time.Hour, check: func(context.Context) bool {
		if len(results) == 0 {
			cancel()
			return false
		}
		next := results[0]
		results = results[1:]
		return next
	}}
	var got []bool
	p.watch(ctx, verdict{}, 0, func(ok bool) { got = append(got, ok) })
	if want := []bool{true, false, true}; !reflect.DeepEqual(got, want) {
		t.Errorf("reports %v, want %v", got, want)
	}
}

func TestProbesLookAtThePod(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/bad", http.StatusFound)
		case r.URL.Path == "/bad" || r.Host == "bad" || r.Header.Get("x-bad") != "":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	p := pod(func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "other", ContainerPort: 1}}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "d", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: int32(number)}}})
	})
	get := func(path, port string, headers ...corev1.HTTPHeader) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.Parse(port), HTTPHeaders: headers}}
	}
	tcp := func(port string) corev1.ProbeHandler {
		return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.Parse(port)}}
	}
	for name, c := range map[string]struct {
		handler corev1.ProbeHandler
		want    bool
	}{
		"answers":              {get("/", "http"), true},
		"by number, bare path": {get("", at.Port()), true},
		"redirect is success":  {get("/moved", "http"), true},
		"answers an error":     {get("/bad", "http"), false},
		"host header":          {get("/", "http", corev1.HTTPHeader{Name: "Host", Value: "bad"}), false},
		"other header":         {get("/", "http", corev1.HTTPHeader{Name: "x-bad", Value: "1"}), false},
		"nobody listens":       {get("/", "other"), false},
		"tcp":                  {tcp("http"), true},
		"tcp, nobody listens":  {tcp("other"), false},
	} {
		check, err := checkOf(p, p.Spec.Containers[0], at.Hostname(), c.handler)
		if err != nil || check(t.Context()) != c.want {
			t.Errorf("%s: error %v, want success %t", name, err, c.want)
		}
	}
	for name, handler := range map[string]corev1.ProbeHandler{"unknown port": get("/", "grpc"), "exec": {Exec: &corev1.ExecAction{}}} {
		if _, err := checkOf(p, p.Spec.Containers[0], at.Hostname(), handler); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestProbesHaveTheKubeletsDefaults(t *testing.T) {
	p := pod()
	if _, ok := probeOf(p, "10.244.0.1", func(c corev1.Container) *corev1.Probe { return c.ReadinessProbe }); ok {
		t.Error("a pod without a probe has one")
	}
	p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "d", LivenessProbe: &corev1.Probe{
		InitialDelaySeconds: 7,
		ProbeHandler:        corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}},
	}})
	got, ok := probeOf(p, "10.244.0.1", func(c corev1.Container) *corev1.Probe { return c.LivenessProbe })
	got.check = nil
	want := probe{delay: 7 * time.Second, period: 10 * time.Second, limit: time.Second, successes: 1, failures: 3, grace: 30 * time.Second}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
