//! The scenarios of `tests/scenarios` on the real control plane: the same files, the same
//! expectations, and what always holds. The simulator that tells another story is mended.

use std::{path::Path, sync::Arc};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, EvictParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use sluice::{
    api::{COMMAND_ANNOTATION, Command, REVISION_LABEL},
    sim::{
        api::{http::selector::Selector, resource},
        invariants::Change,
        scenario::{
            Action, Cascade, Order, Patch, Pods, Refused, Scenario as Story,
            expect::{self, Expectation, Objects, differences, fewest_ready, most_pods},
        },
        traffic::Totals,
    },
};

use crate::{
    scenario::{Scenario, on_runtime},
    support::recorder::Seen,
    support::stories,
};

/// Set to parts of paths, with commas between them, to play only some stories.
const CHOSEN: &str = "SLUICE_STORIES";

/// Stories that are played at once.
const AT_ONCE: usize = 10;

#[test]
fn the_scenarios_hold_on_a_real_control_plane() {
    let chosen = std::env::var(CHOSEN).unwrap_or_default();
    let mut files = stories::all();
    files.retain(|file| chosen.split(',').any(|part| file.to_string_lossy().contains(part)));
    let read = |path: &Path| stories::read(path).unwrap_or_else(|error| panic!("{error}"));
    let read = files.iter().map(|path| (path.clone(), read(path)));
    let real = read.filter(|(_, (story, _))| story.also_real);
    let stories: Vec<_> = real.collect();
    assert!(
        !chosen.is_empty() || stories.len() > 20,
        "only {} scenarios also run on a real cluster",
        stories.len()
    );
    let failed = on_runtime(async {
        let plays =
            stories.iter().enumerate().map(|(index, (path, (story, objects)))| async move {
                told(path, story, objects, &format!("story-{index}")).await
            });
        stream::iter(plays).buffer_unordered(AT_ONCE).collect::<Vec<Option<String>>>().await
    });
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    eprintln!("{} scenarios on the real control plane", stories.len());
    assert!(failed.is_empty(), "these failed, see above:\n{}", failed.join("\n"));
}

/// Plays one story in a namespace whose name begins with `prefix`. Returns its path if it failed.
pub async fn tell(path: &str, prefix: &str) -> Option<String> {
    let path = Path::new(stories::FOLDER).join(path);
    let (story, objects) = stories::read(&path).unwrap_or_else(|error| panic!("{error}"));
    told(&path, &story, &objects, prefix).await
}

async fn told(path: &Path, story: &Story, objects: &[Value], prefix: &str) -> Option<String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let begin: String = name.chars().take(50).collect();
    let namespace = format!("{prefix}-{}", begin.trim_end_matches('-'));
    let scenario = Scenario::open(&namespace).await;
    let told = scenario.told(&name, async |scenario| {
        let mut player = Player::new(scenario, story, objects);
        player.play(story, objects).await;
    });
    told.await.is_err().then(|| path.display().to_string())
}

/// What a story needs to be played.
struct Player<'a> {
    scenario: &'a Scenario,
    rollout: String,
    commands: u32,
    claim: String,
}

impl<'a> Player<'a> {
    fn new(scenario: &'a Scenario, story: &Story, objects: &[Value]) -> Self {
        let rollout = objects.iter().find(|object| object["kind"] == "Rollout");
        let name = rollout.and_then(|rollout| rollout["metadata"]["name"].as_str());
        let rollout = name.unwrap_or_default().to_owned();
        Self { scenario, rollout, commands: 0, claim: story.claim.clone() }
    }

    async fn play(&mut self, story: &Story, objects: &[Value]) {
        for object in objects {
            self.apply("kubectl", object).await.expect("the objects at the beginning are accepted");
        }
        for (index, action) in story.steps.iter().enumerate() {
            let place = format!("{} steps[{index}]", self.claim);
            self.act(&place, action).await;
        }
    }

    async fn act(&mut self, place: &str, action: &Action) {
        if !action.looks_on() {
            self.scenario.seen().mark();
        }
        let done = match action {
            Action::Until(expected) => {
                self.until(place, expected).await;
                Ok(())
            }
            Action::Image(image) => {
                let pointer = "/spec/template/spec/containers/0/image";
                self.edit_rollout(|rollout| set(rollout, pointer, &json!(image))).await
            }
            Action::Scale(replicas) => {
                self.edit_rollout(|rollout| rollout["spec"]["replicas"] = json!(replicas)).await
            }
            Action::Command(order) => self.command(order).await,
            Action::Apply(object) => self.apply("kubectl", object).await,
            Action::Patch(patch) => self.patch(patch).await,
            Action::Delete(reference) => {
                let api = self.api(&reference.kind);
                let how = match reference.cascade {
                    None => DeleteParams::default(),
                    Some(Cascade::Background) => DeleteParams::background(),
                    Some(Cascade::Foreground) => DeleteParams::foreground(),
                    Some(Cascade::Orphan) => DeleteParams::orphan(),
                };
                api.delete(&reference.name, &how).await.map(drop)
            }
            Action::Refused(refused) => return self.refused(place, refused).await,
            Action::Pods(pods) => self.pods(pods).await,
            _ => panic!("{place}: this needs virtual time"),
        };
        done.unwrap_or_else(|error| panic!("{place}: {error}"));
    }

    async fn until(&self, place: &str, expected: &Expectation) {
        let last = std::sync::Mutex::new(String::new());
        let look = |seen: &Seen| {
            let found = differences(expected, &self.rollout, seen);
            *last.lock().expect("not poisoned") = found.join("; ");
            found.is_empty().then_some(())
        };
        let waited = self.scenario.in_time(look).await;
        let last = last.into_inner().expect("not poisoned");
        assert!(waited.is_some(), "{place}: in vain: {last}");
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let found = resource::named(kind).unwrap_or_else(|| panic!("there is no kind {kind}"));
        let gvk = GroupVersionKind::gvk(found.group, found.versions[0], found.kind);
        let served = ApiResource::from_gvk_with_plural(&gvk, found.plural);
        if found.namespaced {
            Api::namespaced_with(self.scenario.client(), &self.scenario.namespace, &served)
        } else {
            Api::all_with(self.scenario.client(), &served)
        }
    }

    /// Reads, edits and writes an object, until nobody else wrote in between.
    async fn edit(
        &self,
        by: &str,
        kind: &str,
        name: &str,
        mut edit: impl FnMut(&mut Value),
    ) -> kube::Result<()> {
        let api = self.api(kind);
        let params = PostParams { field_manager: Some(by.to_owned()), ..PostParams::default() };
        loop {
            let mut object = serde_json::to_value(api.get(name).await?).expect("it came as JSON");
            edit(&mut object);
            let object: DynamicObject = serde_json::from_value(object).expect("still an object");
            match api.replace(name, &params, &object).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                answer => return answer.map(drop),
            }
        }
    }

    async fn edit_rollout(&self, edit: impl FnMut(&mut Value)) -> kube::Result<()> {
        self.edit("kubectl", "Rollout", &self.rollout, edit).await
    }

    async fn apply(&self, by: &str, object: &Value) -> kube::Result<()> {
        let kind = object["kind"].as_str().unwrap_or_default();
        assert!(object["metadata"]["namespace"].is_null(), "a namespace of its own: {object}");
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let api = self.api(kind);
        let params = PostParams { field_manager: Some(by.to_owned()), ..PostParams::default() };
        if api.get_opt(name).await?.is_none() {
            let object = serde_json::from_value(object.clone()).expect("an object");
            return api.create(&params, &object).await.map(drop);
        }
        self.edit(by, kind, name, |present| json_patch::merge(present, object)).await
    }

    async fn patch(&self, patch: &Patch) -> kube::Result<()> {
        self.edit(&patch.by, &patch.kind, &patch.name, |object| {
            if !patch.merge.is_null() {
                json_patch::merge(object, &patch.merge);
            }
            for (pointer, value) in &patch.set {
                set(object, pointer, value);
            }
        })
        .await
    }

    async fn refused(&self, place: &str, refused: &Refused) {
        let answer = match &refused.action {
            Action::Apply(object) => self.apply("kubectl", object).await,
            Action::Patch(patch) => self.patch(patch).await,
            Action::Pods(pods) => self.pods(pods).await,
            _ => panic!("{place}: only apply, patch and pods can be refused"),
        };
        let error = answer.expect_err("the API server refuses it").to_string();
        assert!(error.contains(&refused.because), "{place}: refused for another reason: {error}");
    }

    async fn command(&mut self, order: &Order) -> kube::Result<()> {
        self.commands += 1;
        let revision = {
            let seen = self.scenario.seen();
            let revision = match &order.seen {
                None => seen.get("Rollout", &self.rollout)["status"]["currentRevision"].clone(),
                Some(image) => {
                    let mut sets = seen.all("ReplicaSet");
                    let set = sets.find(|set| expect::image(set) == *image);
                    set.expect("a revision")["metadata"]["labels"][REVISION_LABEL].clone()
                }
            };
            revision.as_str().unwrap_or_default().to_owned()
        };
        let command = Command {
            verb: order.verb,
            revision,
            by: order.by.clone(),
            id: self.commands.to_string(),
            reason: order.reason.clone(),
        };
        let text = serde_json::to_string(&command).expect("a command is JSON");
        self.edit_rollout(|rollout| {
            rollout["metadata"]["annotations"][COMMAND_ANNOTATION] = json!(text);
        })
        .await
    }

    async fn pods(&self, pods: &Pods) -> kube::Result<()> {
        let names: Vec<String> = {
            let seen = self.scenario.seen();
            let of = |pod: &&Value| {
                pod["spec"]["containers"][0]["image"] == *pods.of
                    && pod["metadata"]["deletionTimestamp"].is_null()
            };
            let names = seen.all("Pod").filter(of);
            let names = names.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned));
            names.take(pods.count.unwrap_or(usize::MAX)).collect()
        };
        assert!(!names.is_empty(), "no pod has image {}", pods.of);
        for name in names {
            if pods.evict {
                let api: Api<Pod> =
                    Api::namespaced(self.scenario.client(), &self.scenario.namespace);
                api.evict(&name, &EvictParams::default()).await?;
                continue;
            }
            if pods.delete {
                self.api("Pod").delete(&name, &DeleteParams::default()).await?;
                continue;
            }
            let patch = json!({"metadata": {"annotations": pods.annotate}});
            self.edit("kubectl", "Pod", &name, |pod| json_patch::merge(pod, &patch)).await?;
        }
        Ok(())
    }
}

fn set(object: &mut Value, pointer: &str, value: &Value) {
    if let Some(place) = object.pointer_mut(pointer) {
        place.clone_from(value);
    }
}

/// The changes of pods.
fn pods(changes: &[Change]) -> impl Iterator<Item = (u64, &str, Option<&Value>)> {
    let pods = changes.iter().filter(|change| change.key.0 == "Pod");
    pods.map(|change| (change.version, change.key.1.as_str(), change.object.as_deref()))
}

impl Objects for Seen {
    fn get(&self, kind: &str, name: &str) -> &Value {
        let mut found = self.present.iter().filter(|(key, _)| key.0 == kind && key.1 == name);
        found.next().map_or(&Value::Null, |(_, object)| &**object)
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        let of_kind = self.present.iter().filter(|(key, _)| key.0 == kind);
        of_kind.map(|(_, object)| &**object).collect()
    }

    fn history(&self, kind: &str, name: &str) -> Vec<Arc<Value>> {
        let of = self.changes.iter().filter(|change| change.key.0 == kind && change.key.1 == name);
        of.filter_map(|change| change.object.clone()).collect()
    }

    fn fewest_ready(&self, selector: &Selector) -> usize {
        fewest_ready(pods(&self.in_order()), self.marked, selector)
    }

    fn most_pods(&self, selector: &Selector) -> usize {
        most_pods(pods(&self.in_order()), self.marked, selector)
    }

    fn requests(&self) -> Option<Totals> {
        None
    }
}
