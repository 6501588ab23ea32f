//! A real kubectl on the simulated API server: what people type works without further flags.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use sluice::sim::api::{
    Store,
    http::Server,
    store::{Time, writer},
};
use tokio::{net::TcpListener, process::Command};

use crate::support::{folder, kubectl::User, package, wait::until};

/// A simulated server on a port of its own, and its user.
async fn serve() -> (User, Arc<Mutex<Store>>) {
    let time = Time::new(Timestamp::from_second(1_800_000_000).unwrap());
    let store = Arc::new(Mutex::new(Store::new(time)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(Server::new(store.clone()).serve(listener));
    let kubeconfig = folder("simulated").join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "sim",
        "clusters": [{"name": "sim", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "sim", "user": {}}],
        "contexts": [{"name": "sim", "context": {"cluster": "sim", "user": "sim"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).expect("the folder is ours");
    (User { kubeconfig, namespace: "default".to_owned() }, store)
}

const WORKLOAD: &str = r"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'web:1'}]}}
";

async fn run(user: &User, line: &str) -> String {
    user.kubectl(line, "").await.expect(line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_kubectl_works_on_the_simulated_server() {
    let (user, store) = serve().await;
    let seed = package().join("tests/e2e/seeds/npa-service");
    user.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n").await;
    let manifest = std::fs::read_to_string(seed.join("rollout.yaml")).expect("a seed");
    user.apply(&manifest).await;
    // Defaults within lists let kubectl patch again, as on the real server.
    user.apply(&manifest).await;
    let table = run(&user, "get rollouts").await;
    assert!(table.contains("PHASE") && table.contains("DESIRED"), "{table}");
    let name = run(&user, "get ro -o name").await;
    let name = name.trim();
    let uid = run(&user, &format!("get {name} -o jsonpath={{.metadata.uid}}")).await;
    let bare = name.split('/').nth(1);
    let rollout = json!({"kind": "Rollout", "name": bare, "namespace": "default", "uid": uid});
    let event = json!({
        "metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal",
        "reason": "Told", "note": "a note for people", "regarding": rollout,
        "reportingController": "sluice.dev/controller",
    });
    let resource = &sluice::sim::api::resource::EVENT;
    store.lock().unwrap().create(&writer("test"), resource, "default", event).unwrap();
    let described = run(&user, &format!("describe {name}")).await;
    assert!(described.contains("a note for people"), "{described}");
    assert!(run(&user, "get events").await.contains("a note for people"));
    let explained = run(&user, "explain rollout.spec.replicas").await;
    assert!(explained.contains("Number of pods"), "{explained}");
    run(&user, &format!("scale {name} --replicas=7")).await;
    assert_eq!(run(&user, &format!("get {name} -o jsonpath={{.spec.replicas}}")).await, "7");
    run(&user, &format!("label {name} a=b")).await;
    run(&user, &format!("annotate {name} c=d")).await;
    run(&user, &format!("patch {name} --type=merge -p {{\"spec\":{{\"paused\":true}}}}")).await;
    run(&user, &format!("wait {name} --for=jsonpath={{.spec.paused}}=true --timeout=5s")).await;
    user.apply(WORKLOAD).await;
    run(&user, "set image deployment/web web=web:2").await;
    let all = run(&user, "get services,deployments,pods").await;
    assert!(all.contains("CLUSTER-IP") && all.contains("UP-TO-DATE"), "{all}");
    assert!(run(&user, "auth can-i create rollouts").await.contains("yes"));
    run(&user, &format!("delete {name}")).await;
    let gone = user.kubectl(&format!("get {name}"), "").await;
    assert!(gone.stderr.contains("NotFound"), "{}", gone.stderr);
}

/// The production controller with its own watches, on the simulated cluster in real time.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_in_real_time_is_a_cluster_for_kubectl_and_the_plugin() {
    let kubeconfig = folder("realtime").join("kubeconfig");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["demo", "--realtime", "--kubeconfig"])
        .arg(&kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the demo starts");
    let user = User { kubeconfig, namespace: "brownbear-production".to_owned() };
    let deployed = until("the first deployment", Duration::from_secs(60), async || {
        let status = user.sluice("status brownbear-web --watch --timeout 50s").await;
        (status.code == 0).then_some(())
    });
    deployed.await.unwrap();
    let patch = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"brownbear/web:v9"}]"#;
    run(&user, &format!("patch rollout brownbear-web --type=json --patch {patch}")).await;
    user.sluice("abort brownbear-web --reason tried").await.expect("abort");
    let status = user.sluice("status brownbear-web --watch --timeout 50s").await;
    assert_eq!(status.code, 4, "aborted: {status:?}");
    let shown = user.sluice("get rollout brownbear-web").await.expect("get");
    assert!(shown.contains("brownbear/web:v9") && shown.contains("tried"), "{shown}");
    let pid = demo.id().expect("it runs").to_string();
    Command::new("kill").arg(pid).status().await.expect("kill");
    assert!(demo.wait().await.expect("it ends").success(), "SIGTERM ends it in peace");
}
