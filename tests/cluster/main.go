// Command testcluster runs a real Kubernetes control plane for tests: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler and a fake kubelet in
// one process; with -faults etcd and kube-apiserver in processes of their own. It listens on 127.0.0.1 only, writes a kubeconfig, prints
// "READY <kubeconfig>" and runs until SIGTERM or SIGINT.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"testcluster/kubelet"
)

const (
	startLimit = 2 * time.Minute
	// stopLimit is when a stop that hangs gives way to a plain exit: no data outlives the process.
	stopLimit = 10 * time.Second
)

type config struct {
	dir, kubeconfig, auditLog, pods string
	nodes                           int
	commands                        chan string // with -faults; else nil

	part, etcd, metrics string // of a process that is one part
	watchCache          bool
}

func main() {
	var c config
	flag.StringVar(&c.kubeconfig, "kubeconfig", "kubeconfig", "file to write the admin kubeconfig to")
	flag.StringVar(&c.dir, "dir", "", "data folder, must be empty (default: a temporary one, removed at the end)")
	flag.IntVar(&c.nodes, "nodes", 3, "number of fake nodes")
	flag.StringVar(&c.auditLog, "audit-log", "", "file for the API server's audit log, JSON lines (default: none)")
	flag.StringVar(&c.pods, "pods", "", "program that serves each pod on its own address, a process a pod (default: none, pods are played)")
	faults := flag.Bool("faults", false, "run etcd and kube-apiserver as processes that commands on stdin kill and start again (parts.go)")
	flag.StringVar(&c.part, "part", "", "for such a process: which it is")
	flag.StringVar(&c.etcd, "etcd", "", "for such a process: the URL of etcd")
	flag.StringVar(&c.metrics, "metrics", "", "for such a process: the URL of the metrics API")
	flag.BoolVar(&c.watchCache, "watch-cache", true, "for such a process: whether kube-apiserver has watch caches")
	untilStdinCloses := flag.Bool("until-stdin-closes", false, "also end when stdin closes or the parent process dies")
	klog.InitFlags(nil)
	flag.Parse()

	// A dead reader of our log must lead to a clean end, not to a sudden one.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if *faults {
		c.commands = make(chan string, 16)
	}
	if *untilStdinCloses || *faults {
		ctx = untilAbandoned(ctx, os.Stdin, c.commands)
	}
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	do := run
	if c.part != "" {
		do = runPart
	}
	if err := do(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

// run starts the parts in order, says READY, and stops them in reverse order
// once ctx ends or a part fails.
func run(ctx context.Context, c config) error {
	begin := time.Now()
	report := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "testcluster: %7.3fs %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	if c.pods != "" {
		if _, err := exec.LookPath(c.pods); err != nil {
			return fmt.Errorf("-pods must name a program: %w", err)
		}
	}
	dir, cleanUp, err := dataDir(c.dir)
	if err != nil {
		return err
	}
	defer cleanUp()
	// A part that is stopped while it starts may call klog.Fatal.
	klog.OsExit = func(code int) {
		cleanUp()
		os.Exit(code)
	}
	context.AfterFunc(ctx, func() {
		time.AfterFunc(stopLimit, func() {
			report("did not stop in %s, giving up", stopLimit)
			klog.OsExit(1)
		})
	})

	metrics, err := newMetricsAPI()
	if err != nil {
		return fmt.Errorf("metrics API: %w", err)
	}
	var outside *parts // with -faults
	var etcdAddress string
	if c.commands != nil {
		if outside, err = startParts(ctx, dir, c.auditLog, metrics.url()); err != nil {
			return fmt.Errorf("etcd: %w", err)
		}
		defer outside.stop()
		etcdAddress = outside.etcd.address()
	} else {
		etcd, err := startEtcd(dir)
		if err != nil {
			return fmt.Errorf("etcd: %w", err)
		}
		defer etcd.Close()
		etcdAddress = etcd.Clients[0].Addr().String()
	}
	report("etcd ready")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	api, err := newAPIServer(ctx, dir, "http://"+etcdAddress, c.auditLog, metrics.url(), listener)
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	serve := api.run
	if outside != nil {
		// Keys and certificates are there now; the process that serves finds them.
		listener.Close()
		api.url, serve = "https://"+outside.api.address(), outside.run
		if outside.ready, err = outside.waitReady(api.restConfig(kubeletUser)); err != nil {
			return err
		}
	}
	if err := api.writeKubeconfig(c.kubeconfig, admin); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(api.restConfig(kubeletUser))
	if err != nil {
		return err
	}

	// Two groups: the clients stop before the API server, which stops before etcd.
	failed := make(chan error, 8)
	server, clients := newGroup(failed), newGroup(failed)
	defer server.stop()
	defer clients.stop()

	server.spawn("kube-apiserver", serve)
	if err := poll(ctx, failed, func(ctx context.Context) bool {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil
	}); err != nil {
		return endedOr(ctx, "waiting for kube-apiserver", err)
	}
	report("kube-apiserver ready at %s", api.url)

	groups, err := aggregator.NewForConfig(api.restConfig(kubeletUser))
	if err != nil {
		return err
	}
	if err := metrics.register(ctx, client, groups); err != nil {
		return endedOr(ctx, "registering the metrics API", err)
	}
	clients.spawn("metrics API", metrics.run)
	clients.spawn("kube-controller-manager", func(ctx context.Context) error { return runControllerManager(ctx, dir, api) })
	clients.spawn("kube-scheduler", func(ctx context.Context) error { return runScheduler(ctx, dir, api) })
	clients.spawn("fake kubelet", func(ctx context.Context) error { return kubelet.Run(ctx, client, c.nodes, c.pods) })
	if err := poll(ctx, failed, func(ctx context.Context) bool { return schedulable(ctx, client, c.nodes) }); err != nil {
		return endedOr(ctx, "waiting for nodes", err)
	}
	report("%d nodes schedulable", c.nodes)
	fmt.Println("READY", c.kubeconfig)

	for {
		select {
		case <-ctx.Done():
			report("stopping")
			return nil
		case err := <-failed:
			return err
		case line := <-c.commands:
			answer := outside.obey(ctx, line)
			report("%s", answer)
			fmt.Println(answer)
		}
	}
}

// dataDir returns the folder for all state and what removes it. A used folder
// is refused: the fake kubelet keeps the pods' lives in memory only.
func dataDir(dir string) (string, func(), error) {
	if dir == "" {
		temporary, err := os.MkdirTemp("", "testcluster-")
		return temporary, func() { os.RemoveAll(temporary) }, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("data folder %s is not empty", dir)
	}
	return dir, func() {}, err
}

// schedulable tells whether a pod created now would be admitted and placed.
func schedulable(ctx context.Context, client kubernetes.Interface, nodes int) bool {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) < nodes {
		return false
	}
	for _, n := range list.Items {
		if len(n.Spec.Taints) > 0 {
			return false
		}
	}
	_, err = client.CoreV1().ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err == nil
}

// poll waits until cond holds, a part fails, ctx ends or the time is up.
func poll(ctx context.Context, failed <-chan error, cond func(context.Context) bool) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startLimit, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-failed:
			return false, err
		default:
			return cond(ctx), nil
		}
	})
}

// endedOr makes an end asked for during the start no error.
func endedOr(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// group is a set of parts that end together.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed chan<- error
}

func newGroup(failed chan<- error) *group {
	ctx, cancel := context.WithCancel(context.Background())
	return &group{ctx: ctx, cancel: cancel, failed: failed}
}

// spawn runs a part; its end before the group's is a failure.
func (g *group) spawn(name string, run func(context.Context) error) {
	g.wg.Go(func() {
		if err := run(g.ctx); g.ctx.Err() == nil {
			g.failed <- fmt.Errorf("%s ended: %v", name, err)
		}
	})
}

func (g *group) stop() {
	g.cancel()
	g.wg.Wait()
}
