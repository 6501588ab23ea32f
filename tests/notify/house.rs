//! A simulated cluster with a Rollout in it, and a Slack in which people are told of its releases.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::{
    notify::config::Config,
    sim::{
        actors,
        api::resource,
        mesh,
        scenario::{Bases, Scenario},
        simulation::Simulation,
        slack::{CHANNEL, Message, Slack, TOKEN},
    },
};

/// The longest time that a test waits for one thing.
const PATIENCE: SignedDuration = SignedDuration::from_hours(2);

/// The cluster, and the Slack.
pub struct House {
    pub sim: Simulation,
    pub slack: Slack,
    commands: u32,
}

/// Compares a text with the golden file `name`; `SLUICE_GOLDEN=1` writes it.
pub fn golden(name: &str, found: &str) {
    let file = format!("{}/tests/notify/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SLUICE_GOLDEN").is_some() {
        std::fs::write(&file, found).expect("the folder is there");
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{file} is otherwise now; SLUICE_GOLDEN=1 rewrites it:\n{found}");
}

/// The configuration of the tests: `more` is added to it.
pub fn config(more: &str) -> Config {
    config_with(more, &[])
}

/// The same with more in the Secret.
pub fn config_with(more: &str, secrets: &[(&str, &str)]) -> Config {
    let text = format!(
        "slack: {{url: 'https://slack.com/api', channels: {{releases: {CHANNEL}}}}}\n\
         webhooks: {{ci: {{url: 'https://ci.example.com/hook'}}}}\n\
         alertmanager: {{url: 'http://alertmanager.monitoring:9093/', labels: {{team: shop}}}}\n{more}"
    );
    let all = [("slack-token", TOKEN), ("webhook-ci", "hush")];
    let secrets: BTreeMap<String, String> = all
        .iter()
        .chain(secrets)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Config::read(&text, &secrets).expect("a configuration")
}

fn objects(notify: &str, steps: &str) -> (Scenario, Vec<Value>) {
    let steps: Value = serde_yaml::from_str(steps).expect("steps");
    let scenario = json!({
        "claim": "people are told", "given": ["host-split", "success-rate"],
        "rollout": {
            "metadata": {"annotations": {"sluice.dev/notify": notify}},
            "spec": {"strategy": {"canary": {"steps": steps}}},
        },
        "versions": {"web:bad": {"errors": "30%"}, "web:never": {"neverReady": true}},
        "steps": [{"wait": "1s"}],
    });
    let mut scenario = scenario;
    if steps.to_string().contains("analysis") {
        scenario["traffic"] = json!({"requestsPerMinute": 600, "errors": "0%"});
    }
    let scenario: Scenario = serde_json::from_value(scenario).expect("a scenario");
    let mut bases = Bases::default();
    let given = [
        ("host-split", include_str!("../scenarios/bases/host-split.yaml")),
        ("success-rate", include_str!("../scenarios/bases/success-rate.yaml")),
    ];
    for (name, text) in given {
        bases.add(name, text).expect("a base");
    }
    let objects = scenario.objects(&bases).expect("objects");
    (scenario, objects)
}

impl House {
    /// A Rollout with this subscription and these steps, whose first version is deployed. Nothing of
    /// that stands in the channel any more.
    pub async fn open(notify: &str, steps: &str) -> Self {
        Self::open_with(notify, steps, config("")).await
    }

    /// The same with another configuration.
    pub async fn open_with(notify: &str, steps: &str, config: Config) -> Self {
        let (scenario, objects) = objects(notify, steps);
        let actors = actors::Settings::of(&scenario);
        let mut sim = Simulation::new(actors, mesh::Settings::of(&scenario, 1));
        let slack = Slack::default();
        sim.set_people(slack.clone(), config);
        for object in &objects {
            let text = |field: &str| object[field].as_str().unwrap_or_default();
            let resource = resource::of_kind(text("apiVersion"), text("kind")).expect("a kind");
            sim.apply("kubectl", resource, "default", object).expect("an object");
        }
        Box::pin(sim.start_controller()).await;
        let mut house = Self { sim, slack, commands: 0 };
        house.until("the first version", |status| status["phase"] == "Healthy").await;
        house.rest().await;
        for message in house.slack.messages() {
            house.slack.delete(&message.ts);
        }
        house
    }

    /// The Rollout's status.
    pub fn status(&self) -> Value {
        let store = self.sim.store();
        let rollout = store.get(&resource::ROLLOUT, "default", "web").expect("the Rollout");
        rollout["status"].clone()
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        self.sim.edit("kubectl", &resource::ROLLOUT, "default", "web", edit).expect("an edit");
    }

    /// Merges a patch over the Rollout.
    pub fn patch(&mut self, patch: &Value) {
        self.edit(|rollout| json_patch::merge(rollout, patch));
    }

    /// Begins a release.
    pub fn release(&mut self, image: &str) {
        self.edit(|rollout| {
            rollout["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        });
    }

    /// Gives a command, by ann.
    pub fn command(&mut self, verb: &str) {
        self.commands += 1;
        let command = json!({
            "verb": verb, "revision": self.status()["currentRevision"], "by": "ann",
            "id": self.commands.to_string(), "reason": "it <!channel> looks & is odd",
        });
        self.annotate(&json!(command.to_string()));
    }

    /// Writes the annotation of a command.
    pub fn annotate(&mut self, command: &Value) {
        self.edit(|rollout| {
            rollout["metadata"]["annotations"]["sluice.dev/command"] = command.clone();
        });
    }

    /// Lets time pass until the status is as wanted. A controller that has crashed is started again.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let limit = self.after(PATIENCE);
        Box::pin(self.sim.settle()).await;
        while !wanted(&self.status()) {
            if self.revive().await {
                continue;
            }
            let more = Box::pin(self.sim.step(limit)).await || self.sim.has_crashed();
            assert!(
                more || wanted(&self.status()),
                "waiting for {what}: {:#}\n{}",
                self.status(),
                self.sim.story()
            );
        }
    }

    /// Releases `web:2` to its end, and until nothing is left to say.
    pub async fn released(&mut self) {
        self.release("web:2");
        self.until("the release", |status| status["phase"] == "Healthy" && status["revision"] == 2)
            .await;
        self.rest().await;
    }

    /// Lets time pass until nothing is left to say.
    pub async fn rest(&mut self) {
        self.until("an empty outbox", |status| status["notifications"].is_null()).await;
    }

    /// Lets this much time pass.
    pub async fn wait(&mut self, seconds: i64) {
        let at = self.after(SignedDuration::from_secs(seconds));
        Box::pin(self.sim.settle()).await;
        self.revive().await;
        while Box::pin(self.sim.step(at)).await {
            self.revive().await;
        }
        self.revive().await;
    }

    fn after(&self, time: SignedDuration) -> Timestamp {
        self.sim.now().checked_add(time).expect("a time")
    }

    async fn revive(&mut self) -> bool {
        let crashed = self.sim.has_crashed();
        if crashed {
            Box::pin(self.sim.start_controller()).await;
            Box::pin(self.sim.settle()).await;
        }
        crashed
    }

    /// Waits for the pause at this step, counted from 1.
    pub async fn until_paused_at(&mut self, step: i64) {
        self.until("the pause", |status| {
            status["phase"] == "Paused" && status["step"]["index"] == step - 1
        })
        .await;
    }

    /// The one message of the channel.
    pub fn message(&self) -> Message {
        let all = self.slack.messages();
        let mut heads = all.into_iter().filter(|message| message.thread.is_none());
        let head = heads.next().expect("a message");
        assert_eq!(heads.next(), None, "one message a release");
        head
    }

    /// The channel, with names that are the same in each run.
    pub fn shown(&self) -> String {
        let mut text = self.slack.shown();
        let status = self.status();
        for record in status["history"].as_array().into_iter().flatten() {
            let revision = record["revision"].as_str().unwrap_or_default();
            text = text.replace(revision, &format!("R{}", record["number"]));
        }
        text
    }

    /// Compares the channel with the golden file `name`; `SLUICE_GOLDEN=1` writes it.
    pub fn golden(&self, name: &str) {
        golden(name, &self.shown());
    }

    /// The same, without times: whoever is interrupted takes longer.
    pub fn shown_without_times(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in self.shown().lines() {
            let time = line.split_once(" after ").and_then(|(_, rest)| rest.split_once(" by "));
            let time = time.map_or("", |(time, _)| time);
            lines.push(line.replace(&format!(" after {time} by "), " after T by "));
        }
        lines.join("\n")
    }

    /// The texts of Events with this reason.
    pub fn events(&self, reason: &str) -> Vec<String> {
        let store = self.sim.store();
        let resource = resource::named("Event").expect("a kind");
        let found = store.list(resource, None).filter(|(_, event)| event["reason"] == reason);
        found.map(|(_, event)| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Nothing was broken of what always holds, and a look at an unchanged world writes nothing.
    pub async fn check(&mut self) {
        assert_eq!(self.sim.broken(), Vec::<String>::new());
        assert!(Box::pin(self.sim.is_calm()).await, "a look at an unchanged world wrote something");
    }
}
