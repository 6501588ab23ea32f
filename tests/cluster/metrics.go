package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// The metrics API (metrics.k8s.io), as metrics-server would serve it: the real
// aggregation layer of the API server proxies to it. What pods use is what
// annotations say:
//
//	pod      testcluster/cpu: 250m, testcluster/memory: 64Mi
//	service  testcluster/load-cpu: 800m   shared by the ready pods that it selects
//
// A pod of which neither is said has no metrics, as one that has just started.
const (
	cpuAnnotation    = "testcluster/cpu"
	memoryAnnotation = "testcluster/memory"
	loadAnnotation   = "testcluster/load-cpu"
)

// metricsService names the Service that the APIService asks for. It leads
// nowhere: there is no kube-proxy, and resolveMetrics finds the way.
var metricsService = struct{ namespace, name string }{"kube-system", "testcluster-metrics"}

type metricsAPI struct {
	client   kubernetes.Interface
	listener net.Listener
}

// newMetricsAPI takes a port; requests are answered once run is called.
func newMetricsAPI() (*metricsAPI, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	return &metricsAPI{listener: listener}, err
}

func (m *metricsAPI) url() *url.URL {
	return &url.URL{Scheme: "https", Host: m.listener.Addr().String()}
}

func (m *metricsAPI) run(ctx context.Context) error {
	crt, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(crt, key)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: m, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	context.AfterFunc(ctx, func() { server.Close() })
	return server.ServeTLS(m.listener, "", "")
}

// register lets the API server proxy the group to us.
func (m *metricsAPI) register(ctx context.Context, client kubernetes.Interface, groups aggregator.Interface) error {
	m.client = client
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metricsService.namespace, Name: metricsService.name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	if _, err := client.CoreV1().Services(service.Namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	group := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1beta1.metrics.k8s.io"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "metrics.k8s.io", Version: "v1beta1",
			GroupPriorityMinimum: 100, VersionPriority: 100,
			InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{
				Namespace: metricsService.namespace, Name: metricsService.name,
			},
		},
	}
	_, err := groups.ApiregistrationV1().APIServices().Create(ctx, group, metav1.CreateOptions{})
	return err
}

// serviceResolver finds the metrics API on its port, and all else as the API server does.
type serviceResolver struct {
	rest interface {
		ResolveEndpoint(namespace, name string, port int32) (*url.URL, error)
	}
	metrics *url.URL
}

func (r serviceResolver) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	if namespace == metricsService.namespace && name == metricsService.name {
		found := *r.metrics
		return &found, nil
	}
	return r.rest.ResolveEndpoint(namespace, name, port)
}

// ServeHTTP answers the paths of the group: what there is, the pods of all or
// of one namespace, and one pod.
func (m *metricsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/apis/metrics.k8s.io/v1beta1"), "/"), "/")
	switch {
	case len(path) == 1 && path[0] == "":
		answer(w, metav1.APIResourceList{
			TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
			GroupVersion: "metrics.k8s.io/v1beta1",
			APIResources: []metav1.APIResource{{
				Name: "pods", SingularName: "pod", Kind: "PodMetrics", Namespaced: true, Verbs: metav1.Verbs{"get", "list"},
			}},
		})
	case len(path) == 1 && path[0] == "pods":
		m.list(w, r, "")
	case len(path) == 3 && path[0] == "namespaces" && path[2] == "pods":
		m.list(w, r, path[1])
	default:
		http.NotFound(w, r)
	}
}

func (m *metricsAPI) list(w http.ResponseWriter, r *http.Request, namespace string) {
	cached := metav1.ListOptions{ResourceVersion: "0"}
	pods, err := m.client.CoreV1().Pods(namespace).List(r.Context(), cached)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	services, err := m.client.CoreV1().Services(namespace).List(r.Context(), cached)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	list := metricsv1beta1.PodMetricsList{
		TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"},
		Items:    []metricsv1beta1.PodMetrics{},
	}
	for _, pod := range pods.Items {
		usage := usageOf(&pod, pods.Items, services.Items)
		if len(usage) == 0 || !selector.Matches(labels.Set(pod.Labels)) || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		list.Items = append(list.Items, metricsv1beta1.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels},
			Timestamp:  metav1.Now(),
			Window:     metav1.Duration{Duration: time.Second},
			Containers: []metricsv1beta1.ContainerMetrics{{Name: pod.Spec.Containers[0].Name, Usage: usage}},
		})
	}
	answer(w, list)
}

// usageOf adds up what a pod uses by itself and its shares of loads.
func usageOf(pod *corev1.Pod, pods []corev1.Pod, services []corev1.Service) corev1.ResourceList {
	usage := corev1.ResourceList{}
	add := func(name corev1.ResourceName, text string, share int64) {
		if amount, err := resource.ParseQuantity(text); err == nil {
			sum := usage[name]
			sum.Add(*resource.NewMilliQuantity(amount.MilliValue()/share, amount.Format))
			usage[name] = sum
		}
	}
	add(corev1.ResourceCPU, pod.Annotations[cpuAnnotation], 1)
	add(corev1.ResourceMemory, pod.Annotations[memoryAnnotation], 1)
	for _, service := range services {
		load, selector := service.Annotations[loadAnnotation], labels.SelectorFromSet(service.Spec.Selector)
		serves := func(p *corev1.Pod) bool {
			return p.Namespace == service.Namespace && selector.Matches(labels.Set(p.Labels)) && isReady(p)
		}
		if load == "" || len(service.Spec.Selector) == 0 || !serves(pod) {
			continue
		}
		var sharing int64
		for i := range pods {
			if serves(&pods[i]) {
				sharing++
			}
		}
		add(corev1.ResourceCPU, load, sharing)
	}
	return usage
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}
