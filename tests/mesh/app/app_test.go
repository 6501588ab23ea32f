package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

func environment(pairs ...string) func(string) string {
	m := map[string]string{"POD_IP": "127.0.0.1", "POD_NAME": "shop-1"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestTheTagAndTheEnvironmentConfigure(t *testing.T) {
	crash := 5 * time.Second
	plain := config{podIP: "127.0.0.1", pod: "shop-1", ports: []string{"8080"}, version: "v2"}
	with := func(change func(*config)) config { c := plain; change(&c); return c }
	for name, c := range map[string]struct {
		env  []string
		want config
	}{
		"version only":        {[]string{"IMAGE", "shop:v2"}, plain},
		"registry and digest": {[]string{"IMAGE", "example.test:5000/errors9/shop:v2@sha256:slow9s"}, plain},
		"no tag":              {[]string{"IMAGE", "example.test:5000/shop"}, with(func(c *config) { c.version = "latest" })},
		"all words": {[]string{"IMAGE", "shop:v2-errors0.5-slow20ms-start3s-crash5s-drain2s"}, with(func(c *config) {
			c.errors, c.latency, c.startup, c.crashAfter, c.drain = 0.5, 20*time.Millisecond, 3*time.Second, &crash, 2*time.Second
		})},
		"words of others": {[]string{"IMAGE", "shop:v2-never-ready-crash-started-errorsmany"}, plain},
		"environment wins": {[]string{"IMAGE", "shop:v2-errors5-drain2s", "ERRORS", "0", "DRAIN", "1s", "LATENCY", "10ms", "STARTUP", "1s", "CRASH_AFTER", "5s", "ON_TERM", "ignore", "PORTS", "80,9090"},
			with(func(c *config) {
				c.drain, c.latency, c.startup, c.crashAfter, c.ignoreTerm = time.Second, 10*time.Millisecond, time.Second, &crash, true
				c.ports = []string{"80", "9090"}
			})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := configOf(environment(c.env...))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestAWrongEnvironmentIsRefusedByName(t *testing.T) {
	for variable, value := range map[string]string{
		"POD_IP": "", "PORTS": "http", "ERRORS": "101", "LATENCY": "20", "STARTUP": "-1s", "CRASH_AFTER": "soon", "DRAIN": "x", "ON_TERM": "die",
	} {
		if _, err := configOf(environment(variable, value)); err == nil || !strings.HasPrefix(err.Error(), variable) {
			t.Errorf("%s=%q: error is %v, want one that names it", variable, value, err)
		}
	}
}

func TestErrorsAreSpreadEvenly(t *testing.T) {
	for percent, every := range map[float64]uint64{100: 1, 50: 2, 5: 20, 0.5: 200} {
		for n := uint64(1); n <= 400; n++ {
			if got, want := fails(n, percent), n%every == 0; got != want {
				t.Errorf("%v %%: request %d fails: %t, want %t", percent, n, got, want)
			}
		}
	}
	if fails(1000, 0) {
		t.Error("0 % fails a request")
	}
}

func TestAnswersTellWhoSentThem(t *testing.T) {
	a := &app{config: config{version: "v2", pod: "shop-1", errors: 50}}
	get := func(host, path string) (*http.Response, map[string]any) {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = host
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		var body map[string]any
		json.Unmarshal(w.Body.Bytes(), &body)
		return w.Result(), body
	}
	r, body := get("shop:8080", "/cart")
	want := map[string]any{"version": "v2", "pod": "shop-1", "path": "/cart", "host": "shop:8080"}
	if r.StatusCode != 200 || r.Header.Get("x-version") != "v2" || r.Header.Get("x-pod") != "shop-1" || !reflect.DeepEqual(body, want) {
		t.Errorf("first answer: %d %v %v", r.StatusCode, r.Header, body)
	}
	if r, _ := get("shop", "/healthz"); r.StatusCode != 200 {
		t.Errorf("healthz: %d", r.StatusCode)
	}
	if r, _ := get("shop", "/"); r.StatusCode != 500 || r.Header.Get("x-app-error") != "1" {
		t.Errorf("second answer: %d %v, want an injected error", r.StatusCode, r.Header)
	}
	get("shop", "/")
	if _, body := get("shop", "/counts"); body["requests"] != 3.0 {
		t.Errorf("counts: %v, want 3 requests", body)
	}
	a.draining.Store(true)
	if r, _ := get("shop", "/healthz"); r.Header.Get("Connection") != "close" {
		t.Errorf("draining: %v, want Connection: close", r.Header)
	}
}

func TestARequestInFlightIsAnsweredAfterSIGTERM(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	terminated, ended, answered := make(chan os.Signal, 1), make(chan error), make(chan string)
	go func() { ended <- serve(config{}, []net.Listener{l}, terminated) }()
	get := func(path string) string {
		r, err := http.Get(url + path)
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.Status + string(body)
	}
	go func() { answered <- get("/?delay=300ms") }()
	for !strings.Contains(get("/counts"), `"requests":1`) {
	}
	terminated <- syscall.SIGTERM
	if got := <-answered; !strings.HasPrefix(got, "200") {
		t.Errorf("answer: %s", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
