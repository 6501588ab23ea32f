//! The rules for a blue-green release, whose weight is all or nothing.

use serde_json::Value;

use super::{REVISION, Step, routes::Rollout};

/// The strategy of a Rollout's JSON, and what the fields of its two Services are called.
pub(super) fn strategy(object: &Value) -> (&Value, [&'static str; 2]) {
    let strategy = &object["spec"]["strategy"];
    if strategy["blueGreen"].is_null() {
        (&strategy["canary"], ["stableService", "canaryService"])
    } else {
        (&strategy["blueGreen"], ["activeService", "previewService"])
    }
}

impl Step<'_> {
    /// Rules 2 and 4: the active Service goes to the new colour only when that is there in full, back
    /// to the old one only when that is there at all, and to no other; and never forth in an abort.
    pub(super) fn switch(&self, found: &mut Vec<String>) {
        let rollout = self.rollout;
        let (true, Some(stable)) = (self.moves_active(), rollout.stable_revision()) else { return };
        let desired = rollout.replicas();
        let Some(to) = self.after["spec"]["selector"][REVISION].as_str() else {
            if !rollout.is_going() {
                found.push("the active Service goes to pods of any revision".into());
            }
            return;
        };
        let ready = rollout.stable(self.state).ready(self.state).len();
        let ready = i64::try_from(ready).unwrap_or(i64::MAX);
        if to == stable || desired == 0 {
            return; // That a ready pod is there is looked at for every pointer.
        }
        if rollout.current_revision() != Some(to) {
            found.push(format!("the active Service goes to {to}, which is neither colour"));
        }
        if rollout.aborted() {
            found.push(format!("the active Service goes to {to} in an abort"));
        }
        if ready < desired {
            found.push(format!("the active Service goes to {to}: {ready} of {desired} pods ready"));
        }
    }

    fn moves_active(&self) -> bool {
        let field = ["spec", "selector"];
        self.rollout.switches() && self.rollout.is_active(&self.key.1) && self.ours(&field)
    }

    /// Rule 4: when an abort shows, users are back already. Nothing was written in between.
    pub(super) fn decided(&self, found: &mut Vec<String>) {
        let rollout = self.rollout;
        let aborts = self.before["status"]["abort"].is_null() && rollout.aborted();
        if !aborts || !rollout.is_blue_green() || rollout.name() != self.key.1 {
            return;
        }
        let stable = rollout.stable(self.state);
        if rollout.switches() {
            let there = stable.revision(self.state);
            let dead = self.ready_of(rollout.stable_revision()) == 0;
            if there.as_deref() != rollout.stable_revision() && !dead {
                found.push("aborted, and the active Service is not back".into());
            }
            return;
        }
        let points = stable.revision(self.state).as_deref() == rollout.stable_revision();
        let serves = !stable.ready(self.state).is_empty();
        let weighted = rollout.all_weights(self.state).iter().any(|(_, canary)| *canary > 0);
        if points && serves && weighted {
            found.push("aborted, and users still reach the new colour".into());
        }
    }

    fn ready_of(&self, revision: Option<&str>) -> usize {
        let labels = revision.map(|revision| (REVISION.to_owned(), revision.to_owned()));
        super::ready_pods(self.state, &labels.into_iter().collect()).len()
    }

    /// Rule 5: a colour is one full set, and one pod more while pods are restarted.
    pub(super) fn colour_grows(&self, size: i64, found: &mut Vec<String>) {
        let desired = self.rollout.replicas();
        if size > desired + 1 {
            found.push(format!("{size} pods of one colour, allowed are {desired}"));
        }
    }

    /// Rules 2 and 3: what a Service selects keeps its pods, and the active colour all of them.
    pub(super) fn colour_shrinks(&self, revision: &str, size: i64, found: &mut Vec<String>) {
        let rollout = self.rollout;
        if !rollout.switches() || rollout.stable_revision().is_none() {
            return;
        }
        let desired = rollout.replicas();
        for (to, least) in
            [(rollout.stable(self.state), desired), (rollout.canary(self.state), desired.min(1))]
        {
            if to.revision(self.state).as_deref() == Some(revision) && size < least {
                let name = to.name;
                found.push(format!("{name} selects {revision}, which falls to {size} pods"));
            }
        }
    }
}

impl Rollout<'_> {
    /// Whether it is a blue-green Rollout.
    pub(super) fn is_blue_green(&self) -> bool {
        self.services == ["activeService", "previewService"]
    }

    /// Whether the selector of its active Service is the switch.
    pub(super) fn switches(&self) -> bool {
        self.is_blue_green() && self.istio.is_null()
    }

    /// Whether it is being deleted, and gives back what it took over.
    fn is_going(&self) -> bool {
        !self.object()["metadata"]["deletionTimestamp"].is_null()
    }

    fn is_active(&self, service: &str) -> bool {
        self.service(0) == Some(service)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::History;

    /// What the checks say of one more change of a blue-green release whose preview is there.
    fn after(change: impl FnOnce(&mut History)) -> String {
        History::after(|history| {
            rollout(history, false);
            change(history);
        })
    }

    fn rollout(history: &mut History, aborted: bool) {
        let abort = if aborted { json!({"reason": "ugly"}) } else { json!(null) };
        history.put(
            "Rollout",
            "web",
            json!({
                "spec": {"replicas": 2, "strategy": {"blueGreen": {
                    "activeService": "stable", "previewService": "canary",
                }}},
                "status": {"stableRevision": "a", "currentRevision": "b", "abort": abort},
            }),
        );
    }

    #[test]
    fn the_checks_of_a_switch_see_what_they_are_for() {
        let said = |change: fn(&mut History), sentence: &str| {
            let found = after(change);
            assert!(found.contains(sentence), "wanted: {sentence}\nfound: {found}");
        };
        assert_eq!(after(|h| h.service("stable", "b")), "", "a good switch");
        said(|h| h.service("stable", "c"), "goes to c, which is neither colour");
        said(
            |h| {
                h.put("Pod", "b-1", json!({"metadata": {"labels": {"sluice.dev/revision": "b"}}}));
                h.service("stable", "b");
            },
            "the active Service goes to b: 1 of 2 pods ready",
        );
        said(
            |h| {
                rollout(h, true);
                h.service("stable", "b");
            },
            "the active Service goes to b in an abort",
        );
        said(
            |h| {
                h.service("stable", "b");
                rollout(h, true);
            },
            "aborted, and the active Service is not back",
        );
        assert_eq!(after(|h| rollout(h, true)), "", "an abort before the switch");
        said(
            |h| {
                h.service("stable", "b");
                h.set("b", 1);
            },
            "the stable destination selects b, which falls to 1 pods",
        );
        said(|h| h.set("b", 0), "the canary destination selects b, which falls to 0 pods");
        said(|h| h.set("b", 4), "4 pods of one colour, allowed are 2");
    }
}
