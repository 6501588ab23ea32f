//! A Deployment in use goes under Sluice, is released, and goes back.

use serde_json::{Value, json};

use crate::{
    shop::{Layout, list},
    stage::play,
};

#[test]
fn adoption_and_hand_back_lose_no_request() {
    play("adoption", async |stage| {
        let steps = "{steps: [{setWeight: 50}, {pause: {duration: 3s}}], scaleDownDelay: 0s}";
        // At the end its pods and the Deployment's are behind the same Services, so that the last
        // to leave must serve on until the proxies know.
        let shop = stage.shop(Layout::Hosts, steps).lingering();
        let mut rollout = shop.rollout();
        let spec = rollout["spec"].as_object_mut().expect("a spec");
        let (template, selector) = (spec.remove("template"), spec.remove("selector"));
        let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"});
        spec.insert("workloadRef".into(), reference);
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
            "spec": {"replicas": 3, "selector": selector, "template": template},
        });
        stage.user.apply(&shop.network()).await;
        stage.user.apply(&list(&[deployment])).await;
        stage.let_users_come(&shop).await;

        stage.user.apply(&rollout.to_string()).await;
        stage.until_released("shop").await;
        stage
            .until("the Deployment to be empty", |seen| {
                let deployment = seen.get("Deployment", "shop");
                let empty = deployment["spec"]["replicas"] == 0;
                (empty && deployment["status"]["replicas"].is_null()).then_some(())
            })
            .await;
        stage.until_answered(300).await;

        let set_image = "set image deployment/shop shop=shop:v2";
        stage.user.kubectl(set_image, "").await.expect("kubectl set image");
        stage
            .until_status("shop", "the release of v2", |status| {
                status["phase"] == "Healthy"
                    && status["history"].as_array().is_some_and(|history| history.len() == 2)
            })
            .await;
        stage.until_answered(300).await;

        // kubectl waits until the object is gone.
        stage.user.kubectl("delete rollout shop", "").await.expect("kubectl delete");
        stage
            .until("the pods of the Rollout to be gone", |seen| {
                let ours =
                    |pod: &&Value| !pod["metadata"]["labels"]["sluice.dev/revision"].is_null();
                (seen.all("Pod").filter(ours).count() == 0).then_some(())
            })
            .await;
        stage.until_answered(300).await;
        let closed = stage.close("a Deployment adopted, released and handed back").await;
        closed.lost_at_most(0, "pods with a `preStop` of 2 s");
    });
}
