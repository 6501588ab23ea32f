package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// user is who a part of the cluster is for the API server. Each part has its
// own name so that the audit log tells them apart; all are administrators, so
// request priority and fairness never slow them down.
type user string

const (
	admin             user = "admin"
	controllerManager user = "testcluster:controller-manager"
	schedulerUser     user = "testcluster:scheduler"
	kubeletUser       user = "testcluster:kubelet"
)

// auditPolicy logs every request but probes, once, when it is answered. A
// long-running request (a watch) has a second line when its answer starts.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*"]
- level: Metadata
`

type apiServer struct {
	options options.CompletedOptions
	url     string
	ca      []byte
	tokens  map[user]string
	metrics *url.URL
}

// newAPIServer prepares keys, tokens, certificates and options; an API server
// that is started again finds them. Requests are answered once run is called.
func newAPIServer(ctx context.Context, dir, etcdURL, auditLog string, metrics *url.URL, listener net.Listener, more ...string) (*apiServer, error) {
	s := &apiServer{tokens: map[user]string{}, metrics: metrics}
	if _, err := os.Stat(tokensFile(dir)); errors.Is(err, fs.ErrNotExist) {
		if err := s.writeTokens(tokensFile(dir)); err != nil {
			return nil, err
		}
		if err := writeServiceAccountKey(serviceAccountKey(dir)); err != nil {
			return nil, err
		}
	}
	port := listener.Addr().(*net.TCPAddr).Port
	s.url = fmt.Sprintf("https://127.0.0.1:%d", port)

	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--advertise-address=192.0.2.1", // required; with the reconciler off it is not published
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + dir, // Complete makes apiserver.crt and .key here
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=OwnerReferencesPermissionEnforcement", // stricter than the default, as OpenShift is
		"--token-auth-file=" + tokensFile(dir),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + serviceAccountKey(dir),
		"--service-account-signing-key-file=" + serviceAccountKey(dir),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--allow-privileged=true",
		"--shutdown-watch-termination-grace-period=1s", // else a test's open watch holds the stop up for a minute
	}
	if auditLog != "" {
		audit, err := auditArgs(dir, auditLog)
		if err != nil {
			return nil, err
		}
		args = append(args, audit...)
	}
	o := options.NewServerRunOptions()
	if err := parse(o.Flags(), append(args, more...)); err != nil {
		return nil, err
	}
	o.SecureServing.Listener = listener
	var err error
	if s.options, err = o.Complete(ctx); err != nil {
		return nil, err
	}
	if errs := s.options.Validate(); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.ca, err = os.ReadFile(caFile(dir))
	return s, err
}

// run is apiserver.Run, but that the aggregation layer also finds the metrics API.
func (s *apiServer) run(ctx context.Context) error {
	config, err := apiserver.NewConfig(s.options)
	if err != nil {
		return err
	}
	extra := &config.Aggregator.ExtraConfig
	extra.ServiceResolver = serviceResolver{rest: extra.ServiceResolver, metrics: s.metrics}
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := apiserver.CreateServerChain(completed)
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}

// auditArgs writes the audit policy and returns the flags that apply it.
func auditArgs(dir, log string) ([]string, error) {
	log, err := filepath.Abs(log)
	if err != nil {
		return nil, err
	}
	policy := filepath.Join(dir, "audit-policy.yaml")
	return []string{
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + log,
		"--audit-log-format=json",
		"--audit-log-mode=blocking",   // a line is in the file before the request ends; none is dropped
		"--audit-log-maxsize=1000000", // megabytes: never rotated, so one reader sees every line
	}, os.WriteFile(policy, []byte(auditPolicy), 0o600)
}

func (s *apiServer) writeTokens(file string) error {
	var lines strings.Builder
	for _, u := range []user{admin, controllerManager, schedulerUser, kubeletUser} {
		s.tokens[u] = rand.Text()
		fmt.Fprintf(&lines, "%s,%s,%s,system:masters\n", s.tokens[u], u, u)
	}
	return os.WriteFile(file, []byte(lines.String()), 0o600)
}

func writeServiceAccountKey(file string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
}

// restConfig is for a client in this process; it has no rate limit.
func (s *apiServer) restConfig(u user) *rest.Config {
	return &rest.Config{
		Host:            s.url,
		BearerToken:     s.tokens[u],
		TLSClientConfig: rest.TLSClientConfig{CAData: s.ca},
		UserAgent:       strings.ReplaceAll(string(u), ":", "-"),
		QPS:             -1,
	}
}

func (s *apiServer) writeKubeconfig(file string, u user) error {
	c := clientcmdapi.NewConfig()
	c.Clusters["testcluster"] = &clientcmdapi.Cluster{Server: s.url, CertificateAuthorityData: s.ca}
	c.AuthInfos[string(u)] = &clientcmdapi.AuthInfo{Token: s.tokens[u]}
	c.Contexts["testcluster"] = &clientcmdapi.Context{Cluster: "testcluster", AuthInfo: string(u)}
	c.CurrentContext = "testcluster"
	return clientcmd.WriteToFile(*c, file)
}

func tokensFile(dir string) string        { return filepath.Join(dir, "tokens.csv") }
func serviceAccountKey(dir string) string { return filepath.Join(dir, "sa.key") }
func caFile(dir string) string            { return filepath.Join(dir, "apiserver.crt") }
