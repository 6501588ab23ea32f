//! Versions that a real Prometheus shows to be good or bad.
//!
//! The counters are Istio's, with the label by which Istio tells revisions apart; each test has an
//! app name of its own in them.

use serde_json::Value;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    support::prometheus::Prometheus,
};

/// The share of answers without an error, of one revision.
const TEMPLATE: &str = r#"
apiVersion: sluice.dev/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
  - name: app
  - name: revision
  metrics:
  - name: success-rate
    interval: 1s
    LIMITS
    successCondition: result[0] >= 0.95
    provider:
      prometheus:
        address: ADDRESS
        query: |
          sum(rate(istio_requests_total{destination_app="{{args.app}}",destination_canonical_revision="{{args.revision}}",response_code!~"5.."}[4s]))
          /
          sum(rate(istio_requests_total{destination_app="{{args.app}}",destination_canonical_revision="{{args.revision}}"}[4s]))
"#;

/// How a Rollout asks for it.
fn ask(app: &str) -> String {
    format!(
        "{{templates: [{{templateName: success-rate}}], args: [{{name: app, value: {app}}}, \
         {{name: revision, valueFrom: {{podTemplateHashValue: Latest}}}}]}}"
    )
}

/// Requests to the canary of an app.
struct Requests<'a> {
    prometheus: &'a Prometheus,
    app: &'a str,
    revision: String,
}

impl<'a> Requests<'a> {
    /// To the revision that is newest now.
    async fn to_newest(scenario: &'a Scenario, app: &'a str) -> Self {
        let status = scenario
            .until_status("web", "a release", |s| s["stableRevision"] != s["currentRevision"]);
        let revision = status.await["currentRevision"].as_str().unwrap().to_owned();
        Self { prometheus: scenario.prometheus().await, app, revision }
    }

    async fn flow(&self, code: u16, per_second: f64) {
        let Self { app, revision, .. } = self;
        let series = format!(
            r#"istio_requests_total{{destination_app="{app}",destination_canonical_revision="{revision}",response_code="{code}"}}"#
        );
        self.prometheus.flow(&series, per_second).await;
    }
}

async fn template(scenario: &Scenario, limits: &str) {
    let address = &scenario.prometheus().await.url;
    let text = TEMPLATE.replace("ADDRESS", address).replace("LIMITS", limits);
    scenario.user.apply(&text).await;
}

fn runs(scenario: &Scenario) -> Vec<Value> {
    scenario.seen().all("AnalysisRun").cloned().collect()
}

#[test]
fn a_failing_metric_rolls_back_and_a_good_one_goes_through() {
    scenario("judged", async |scenario| {
        template(scenario, "count: 3").await;
        let steps =
            format!("[{{setWeight: 30}}, {{analysis: {}}}, {{setWeight: 70}}]", ask("judged"));
        let app = App::new("web", &steps);
        let stable = scenario.deploy(&app).await;
        assert!(runs(scenario).is_empty(), "a first deployment is not judged");

        scenario.release(&app, "app:v2").await;
        let bad = Requests::to_newest(scenario, "judged").await;
        bad.flow(200, 10.0).await;
        bad.flow(503, 10.0).await;
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Analysis");
        assert_eq!(aborted["history"][0]["outcome"], "Aborted");
        assert_eq!(aborted["stableRevision"], stable["stableRevision"]);
        let message = aborted["message"].as_str().unwrap();
        assert!(message.contains("success-rate"), "it names the metric: {message}");

        scenario.release(&app, "app:v3").await;
        let good = Requests::to_newest(scenario, "judged").await;
        good.flow(200, 10.0).await;
        let released = scenario.until_released("web").await;
        assert_eq!(released["stableRevision"], good.revision);
        let verdicts: Vec<Value> =
            runs(scenario).iter().map(|run| run["status"]["phase"].clone()).collect();
        assert!(verdicts.contains(&"Failed".into()) && verdicts.contains(&"Successful".into()));
    });
}

#[test]
fn background_analysis_starts_at_its_step_and_aborts_in_mid_release() {
    scenario("background", async |scenario| {
        template(scenario, "").await;
        let steps = "[{setWeight: 20}, {pause: {}}, {setWeight: 50}, {pause: {}}]";
        let analysis = format!("{{startingStep: 2, {}", &ask("background")[1..]);
        let app = App::new("web", steps).set("/strategy/canary/analysis", &analysis);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let requests = Requests::to_newest(scenario, "background").await;
        requests.flow(200, 10.0).await;
        scenario.until_paused_at("web", 2).await;
        assert!(runs(scenario).is_empty(), "step 2 has not come");
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_paused_at("web", 4).await;
        scenario
            .until("two good measurements", |seen| {
                let run = seen.all("AnalysisRun").next()?;
                let good = run["status"]["metricResults"][0]["successful"].as_u64()?;
                (good >= 2).then_some(())
            })
            .await;
        requests.flow(500, 10.0).await;
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Analysis");
    });
}

#[test]
fn no_data_is_no_pass() {
    scenario("no-data", async |scenario| {
        template(scenario, "count: 2").await;
        let steps = format!("[{{setWeight: 30}}, {{analysis: {}}}]", ask("no-data"));
        let app = App::new("web", &steps);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let requests = Requests::to_newest(scenario, "no-data").await;
        scenario
            .until("two measurements without data", |seen| {
                let run = seen.all("AnalysisRun").next()?;
                (run["status"]["metricResults"][0]["noData"].as_u64()? >= 2).then_some(())
            })
            .await;
        let waiting = scenario.until_weight("web", 30).await;
        assert_eq!(waiting["phase"], "Progressing", "{waiting}");
        requests.flow(200, 10.0).await;
        scenario.until_released("web").await;
    });
}
