//! What must be true of single pods.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Expectation, Look};
use crate::sim::api::http::selector::{self, Selector};

impl Look<'_> {
    pub(super) fn pods(&mut self, expected: &Expectation) {
        for (image, labels) in &expected.pod_labels {
            let pods = self.objects.all("Pod").into_iter().filter(|pod| is_ready(pod));
            let of = |pod: &&Value| pod["spec"]["containers"][0]["image"] == **image;
            let pods: Vec<&Value> = pods.filter(of).collect();
            if pods.is_empty() {
                self.found.push(format!("podLabels of {image}: found no pod that is ready"));
            }
            for (label, wanted) in labels {
                let found: BTreeSet<Option<&str>> =
                    pods.iter().map(|pod| pod["metadata"]["labels"][label].as_str()).collect();
                let wanted = wanted.as_deref();
                for found in found.into_iter().filter(|found| *found != wanted) {
                    let what = format!("label {label} of the pods of {image}");
                    self.found.push(format!("{what}: expected {wanted:?}, found {found:?}"));
                }
            }
        }
        if let Some(wanted) = expected.ready_at_least {
            let found = self.objects.fewest_ready(&self.selector());
            if found < wanted {
                self.found.push(format!("readyAtLeast: expected {wanted}, found {found}"));
            }
        }
        if let Some(wanted) = expected.pods_at_most {
            let found = self.objects.most_pods(&self.selector());
            if found > wanted {
                self.found.push(format!("podsAtMost: expected {wanted}, found {found}"));
            }
        }
    }

    /// The labels of the Rollout's pods; without a Rollout those of the Deployment of this name.
    fn selector(&self) -> Selector {
        let of = |object: &Value| selector::of_object(&object["spec"]["selector"]);
        let reference = &self.object["spec"]["workloadRef"]["name"];
        match reference.as_str() {
            None if self.object.is_null() => of(self.objects.get("Deployment", self.name)),
            None => of(self.object),
            Some(deployment) => of(self.objects.get("Deployment", deployment)),
        }
    }
}

/// Whether a pod serves: it is ready, and nobody has asked it to go.
pub fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// The fewest pods of a selector that were ready at once since `version`. The changes are those of
/// pods, in order: the version that each made, the pod's name, and the pod after it.
pub fn fewest_ready<'a>(
    changes: impl Iterator<Item = (u64, &'a str, Option<&'a Value>)>,
    version: u64,
    selector: &Selector,
) -> usize {
    counts(changes, version, selector, is_ready).min().unwrap_or(0)
}

/// The most pods of a selector that were there at once since `version`, ready or not; those that are
/// being deleted do not count.
pub fn most_pods<'a>(
    changes: impl Iterator<Item = (u64, &'a str, Option<&'a Value>)>,
    version: u64,
    selector: &Selector,
) -> usize {
    let stays = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_null();
    counts(changes, version, selector, stays).max().unwrap_or(0)
}

/// How many pods there were at `version`, and after each change since.
fn counts<'a>(
    changes: impl Iterator<Item = (u64, &'a str, Option<&'a Value>)>,
    version: u64,
    selector: &Selector,
    is: impl Fn(&Value) -> bool,
) -> impl Iterator<Item = usize> {
    let mut there: BTreeSet<&str> = BTreeSet::new();
    let mut counts = vec![0];
    for (made, name, pod) in changes {
        if pod.is_some_and(|pod| is(pod) && selector.matches(&pod["metadata"]["labels"])) {
            there.insert(name);
        } else {
            there.remove(name);
        }
        if made <= version {
            counts.clear();
        }
        counts.push(there.len());
    }
    counts.into_iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fewest_ready_pods_are_those_of_any_moment_since_then() {
        let pod = |app: &str, status: &str| {
            let conditions = json!([{"type": "Ready", "status": status}]);
            json!({"metadata": {"labels": {"app": app}}, "status": {"conditions": conditions}})
        };
        let (up, down, other) = (pod("web", "True"), pod("web", "False"), pod("api", "True"));
        let changes = [
            (1, "a", Some(&up)),
            (2, "b", Some(&up)),
            (3, "x", Some(&other)),
            (4, "c", Some(&up)),
            (5, "a", Some(&down)),
            (6, "b", None),
            (7, "b", Some(&up)),
            (8, "a", Some(&up)),
        ];
        let selector = selector::of_object(&json!({"matchLabels": {"app": "web"}}));
        for (since, expected) in [(0, 0), (3, 1), (4, 1), (7, 2), (8, 3)] {
            assert_eq!(fewest_ready(changes.into_iter(), since, &selector), expected, "{since}");
        }
    }
}
