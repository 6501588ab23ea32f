//! What must hold after every single write.

use super::Model;

impl Model {
    /// The invariants 1, 2, 3 and 5 of the design, as far as this model shows them.
    pub(super) fn check_invariants(&self) {
        let story = || self.story.join("\n");
        let status = self.status();
        if status.stable_revision.is_none() {
            return;
        }
        let route = self.world.routes[0].as_ref().expect("route");
        let http = route.object["spec"]["http"].as_array().expect("routes");
        let destinations = &http[http.len() - 1]["route"];
        let total = i64::from(self.world.program.total());
        let weight = |index: usize| destinations[index]["weight"].as_i64().unwrap_or(0);
        assert_eq!(weight(0) + weight(1), total, "weights sum to {total}\n{}", story());
        let available = |revision: &str| self.world.available(revision);
        let broken_stable = available(&self.stable()) == 0;
        for (role, weight) in [("stable", weight(0)), ("canary", weight(1))] {
            if let Some(revision) = self.pointer(role)
                && weight > 0
                && self.world.desired() > 0
                && !broken_stable
            {
                assert!(
                    available(&revision) > 0,
                    "{role} has weight {weight} and no available pod\n{}",
                    story()
                );
            }
        }
        if http.len() > 1
            && self.world.desired() > 0
            && let Some(revision) = self.pointer("canary")
        {
            assert!(available(&revision) > 0, "a route leads to no available pod\n{}", story());
        }
        let total: u32 = self.world.revisions.iter().map(|set| set.replicas).sum();
        let limit = self.peak * 2;
        assert!(total <= limit, "{total} pods, more than {limit}\n{}", story());
    }
}
