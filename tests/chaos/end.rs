//! The end: faults and acts have ceased, and a good new version must get out, whatever was before.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sluice::{api::Verb, sim::scenario::expect::Objects};

use super::{acts, case::Layout, case::What, cluster, play::Player};

/// How often a person looks and does the next thing.
const ROUNDS: usize = 40;

/// The last version: a good one.
const LAST: &str = "9";

/// Brings the case to its end.
pub async fn reached(player: &mut Player<'_>) -> Result<(), String> {
    tidy_up(player).await?;
    acts::image(player, LAST);
    let mut wait = SignedDuration::from_secs(60);
    for _ in 0..ROUNDS {
        player.wait_for(wait).await?;
        let (phase, stable, aborted, contested, paused) = {
            let normal = cluster::normal(&player.simulation);
            let view = player.simulation.view("default");
            let status = view.get("Rollout", "web")["status"].clone();
            let paused = status["pauses"]
                .as_array()
                .is_some_and(|pauses| pauses.iter().any(|pause| pause["reason"] == "Command"));
            let contested = !status["contest"].is_null();
            let aborted = !status["abort"].is_null();
            (normal["phase"].clone(), normal["stable"].clone(), aborted, contested, paused)
        };
        if phase == "Healthy" && stable == format!("web:{LAST}") {
            return at_rest(player).await;
        }
        match () {
            () if aborted => acts::command(player, Verb::Retry),
            () if contested || paused => acts::command(player, Verb::Resume),
            () if phase == "Paused" => acts::command(player, Verb::PromoteFull),
            // Whoever waits for pods or analysis needs only time.
            () => wait = SignedDuration::from_secs(120),
        }
    }
    let view = player.simulation.view("default");
    let status = &view.get("Rollout", "web")["status"];
    Err(format!("never healthy on the last version: {} {}", status["phase"], status["message"]))
}

/// What people left lying about is put right.
async fn tidy_up(player: &mut Player<'_>) -> Result<(), String> {
    player.delete("ResourceQuota", "team");
    player.delete("PodDisruptionBudget", "team");
    player.delete("HorizontalPodAutoscaler", "web");
    if player.did(|what| *what == What::DeleteRollout) {
        handed_back(player).await?;
        for object in player.objects.clone() {
            if object["kind"] == "HorizontalPodAutoscaler" {
                continue;
            }
            let created = acts::apply(&mut player.simulation, "kubectl", &object);
            created.map_err(|refusal| refusal.message)?;
            player.wait_for(SignedDuration::from_secs(5)).await?;
        }
    }
    let spec = json!({"spec": {"paused": false, "replicas": player.case.replicas,
        "strategy": cluster::strategy(player.case, player.case.steps)}});
    acts::rollout(player, &spec);
    Ok(())
}

/// A Rollout that is deleted goes, and gives back what it took.
async fn handed_back(player: &mut Player<'_>) -> Result<(), String> {
    // Somebody mends what never becomes ready, and waits for it.
    acts::image(player, LAST);
    for _ in 0..60 {
        let gone = player.simulation.view("default").get("Rollout", "web").is_null();
        if gone {
            break;
        }
        player.wait_for(SignedDuration::from_secs(20)).await?;
    }
    let view = player.simulation.view("default");
    let rollout = view.get("Rollout", "web");
    if !rollout.is_null() {
        return Err(format!("the deleted Rollout does not go: {}", rollout["status"]["message"]));
    }
    for service in view.all("Service") {
        if !service["spec"]["selector"]["sluice.dev/revision"].is_null() {
            return Err(format!("{} was not given back", service["metadata"]["name"]));
        }
    }
    Ok(())
}

/// At rest nothing is left of the release, and nothing is written.
async fn at_rest(player: &mut Player<'_>) -> Result<(), String> {
    player.wait_for(SignedDuration::from_secs(180)).await?;
    player.rest().await?;
    let normal = cluster::normal(&player.simulation);
    let mut wrong = Vec::new();
    let mut expect = |what: &str, found: &Value, wanted: Value| {
        if *found != wanted {
            wrong.push(format!("{what} is {found}, and not {wanted}"));
        }
    };
    let last = json!(format!("web:{LAST}"));
    expect("the phase", &normal["phase"], json!("Healthy"));
    expect("stable", &normal["stable"], last.clone());
    expect("current", &normal["current"], last.clone());
    expect("the command", &normal["command"], json!(null));
    let replicas = player.case.replicas;
    let sizes = normal["sizes"].as_object().cloned().unwrap_or_default();
    let sizes: Vec<Value> = sizes.into_values().collect();
    expect("the sizes", &json!(sizes), json!([[last, replicas, replicas]]));
    if player.case.layout != Layout::Rolling && player.case.layout != Layout::AdoptRolling {
        let subsets = player.case.layout == Layout::Subsets;
        let selects = normal["selects"].as_object().cloned().unwrap_or_default();
        for (name, at) in selects {
            let ours = name.starts_with("subset") == subsets;
            let users_own = player.case.layout == Layout::ByPods && name == "web";
            if ours && !users_own && !name.contains("legacy") {
                expect(&format!("what {name} selects"), &at, last.clone());
            }
        }
    }
    if player.case.layout.is_adopted() {
        expect("the Deployment's size", &normal["deployment"], json!(0));
    }
    if player.case.layout.has_route() {
        let http = normal["routes"].as_array().cloned().unwrap_or_default();
        expect("the number of routes", &json!(http.len()), json!(2));
        let canary = &http[1]["route"][1]["weight"];
        let none = if canary.is_null() { json!(0) } else { canary.clone() };
        expect("the canary's weight", &none, json!(0));
    }
    {
        let view = player.simulation.view("default");
        let contest = &view.get("Rollout", "web")["status"]["contest"];
        expect("the contest", contest, json!(null));
        for run in view.all("AnalysisRun") {
            let phase = run["status"]["phase"].as_str().unwrap_or("Pending");
            if ["Pending", "Running"].contains(&phase) {
                expect("a run", &json!(phase), json!("over"));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(format!("the end: {}", wrong.join("; ")));
    }
    if !player.simulation.is_calm().await {
        return Err("the end: a look at an unchanged world wrote something".to_owned());
    }
    let broken = player.simulation.broken();
    if broken.is_empty() { Ok(()) } else { Err(format!("broken: {}", broken.join("; "))) }
}
