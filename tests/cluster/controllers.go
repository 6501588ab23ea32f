package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/pflag"
	"k8s.io/apiserver/pkg/util/compatibility"
	cliflag "k8s.io/component-base/cli/flag"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// The components are started from their option structs: their stock commands
// would fight over the signal handler and the logging set-up of one process.

func clientArgs(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
}

func runControllerManager(ctx context.Context, dir string, api *apiServer) error {
	kubeconfig := filepath.Join(dir, "controller-manager.kubeconfig")
	if err := api.writeKubeconfig(kubeconfig, controllerManager); err != nil {
		return err
	}
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	all, off, aliases := kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases()
	if err := parse(o.Flags(all, off, aliases), append(clientArgs(kubeconfig),
		"--root-ca-file="+caFile(dir),
		"--service-account-private-key-file="+serviceAccountKey(dir),
		// The fake kubelet tells that its nodes live, but never that they live again: they are never lost.
		"--node-monitor-grace-period=24h",
		// An autoscaler that tests need not wait for. A pod counts from its first metrics on.
		"--horizontal-pod-autoscaler-sync-period=500ms",
		"--horizontal-pod-autoscaler-downscale-stabilization=2s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=0s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=0s",
	)); err != nil {
		return err
	}
	c, err := o.Config(ctx, all, off, aliases)
	if err != nil {
		return err
	}
	return kcm.Run(ctx, c.Complete())
}

func runScheduler(ctx context.Context, dir string, api *apiServer) error {
	kubeconfig := filepath.Join(dir, "scheduler.kubeconfig")
	if err := api.writeKubeconfig(kubeconfig, schedulerUser); err != nil {
		return err
	}
	o := scheduleroptions.NewOptions()
	if err := parse(*o.Flags, clientArgs(kubeconfig)); err != nil {
		return err
	}
	c, s, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, c, s)
}

// parse sets a component's options from command-line flags, as its own main would.
func parse(sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet("testcluster", pflag.ContinueOnError)
	for _, f := range sets.FlagSets {
		fs.AddFlagSet(f)
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	return compatibility.DefaultComponentGlobalsRegistry.Set()
}
