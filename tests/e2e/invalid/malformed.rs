//! An object that today's schema would refuse, stored when there was none.

use crate::{
    app::App,
    scenario::apart,
    support::{
        controller::{Controller, Options},
        wait::until,
    },
};

/// The CRD as it might have been: without a schema.
const WITHOUT_SCHEMA: &str = r#"[{"op": "replace", "path": "/spec/versions/0/schema",
    "value": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]"#;

/// Needs a control plane of its own: the CRD is every test's.
#[test]
fn a_malformed_rollout_in_the_cluster_disturbs_no_other() {
    apart("malformed", async |cluster, user| {
        let app = App::new("web", "[{setWeight: 50}]");
        let patch = ["patch", "crd", "rollouts.sluice.dev", "--type=json", "-p", WITHOUT_SCHEMA];
        cluster.admin.run("kubectl".as_ref(), &patch, "").await.expect("an older CRD");
        let malformed =
            app.rollout().replace(r#""replicas":3"#, r#""replicas":3,"minReadySeconds":"ten""#);
        let malformed = malformed.replace(r#""name":"web""#, r#""name":"bad""#);
        // The API server takes a moment to forget the schema.
        let stored =
            until("the old schema to be gone", crate::support::namespace::PATIENCE, async || {
                (user.kubectl("apply --validate=false -f -", &malformed).await.code == 0)
                    .then_some(())
            });
        stored.await.unwrap();
        cluster.install_crds().await;
        let options = Options { name: "controller".into(), ..Options::default() };
        let controller = Controller::start(cluster, &options).await;
        user.apply(&app.manifests()).await;
        let healthy = "wait rollout/web --for=condition=Healthy --timeout=90s";
        user.kubectl(healthy, "").await.expect("the good one is healthy");
        let seen =
            until("the bad one to be told", crate::support::namespace::PATIENCE, async || {
                let log = std::fs::read_to_string(&controller.log).ok()?;
                log.contains("malformed Rollout").then_some(())
            });
        seen.await.unwrap();
        assert_eq!(controller.get("healthz").await.as_deref(), Some("ok\n"));
        user.apply(&app.clone().image("app:v2").rollout()).await;
        let released =
            "wait rollout/web --for=jsonpath={.status.history[1].outcome}=Promoted --timeout=90s";
        user.kubectl(released, "").await.expect("and is released");
    });
}
