//! The shipped alerts and the dashboard on a real Prometheus that scrapes the real controller.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::{
    app::App,
    scenario::scenario,
    support::{folder, package, prometheus::Prometheus},
};

fn rules() -> Value {
    let file = package().join("config/monitoring/prometheus-rule.yaml");
    let text = std::fs::read_to_string(file).expect("the rules");
    let rule: Value = serde_yaml::from_str(&text).expect("YAML");
    rule["spec"].clone()
}

#[test]
fn the_alerts_and_the_dashboard_show_a_release_that_was_rolled_back() {
    scenario("monitoring", async |scenario| {
        let folder = folder("e2e-monitoring");
        let file = folder.join("rules.json");
        std::fs::write(&file, rules().to_string()).expect("the folder is ours");
        let controller = scenario.controller("watched", "monitoring", &[]).await;
        let target = &controller.address;
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: sluice\n  \
             static_configs: [{{targets: ['{target}']}}]\n"
        );
        let prometheus = Prometheus::scraping(&folder, &config).await;
        let mut promtool = Command::new(package().join("target/prometheus/promtool"));
        let checked = promtool.args(["check", "rules"]).arg(&file).stdin(Stdio::null()).output();
        let checked = checked.await.expect("promtool runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

        let app = App::new("web", "[{setWeight: 20}, {pause: {}}]").instance("monitoring");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        let of = |phase: &str| {
            let namespace = &scenario.namespace;
            format!(
                "sluice_rollout_info{{namespace=\"{namespace}\",name=\"web\",phase=\"{phase}\"}} == 1"
            )
        };
        prometheus.until(&of("Paused")).await;
        scenario.user.sluice("abort web").await.expect("abort");
        prometheus.until(&of("Degraded")).await;
        prometheus.until("sluice_releases_total{outcome=\"Aborted\"} > 0").await;

        let degraded =
            rules()["groups"][0]["rules"][0]["expr"].as_str().expect("a query").to_owned();
        prometheus.until(&degraded).await;
        let text = std::fs::read_to_string(package().join("config/monitoring/dashboard.json"));
        let dashboard: Value = serde_json::from_str(&text.expect("the dashboard")).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                let query = target["expr"].as_str().expect("a query");
                let query = query.replace("$namespace", &scenario.namespace);
                let answer = prometheus.answer("query", &[("query", &query)]).await;
                let answer = answer.unwrap_or_else(|| panic!("{query}: no answer"));
                assert_eq!(answer["status"], "success", "{query}: {answer}");
            }
        }
    });
}
