//! A strategy as one list of steps and one way to shift traffic: what all strategies have in common.
//!
//! In: the spec. Out: a [`Program`], which `plan` follows without asking which strategy it came from.
//! A rolling release has no steps; a blue-green release is a canary whose only weight is all or
//! nothing; a `ramp` is a row of weights and pauses.

use crate::api::{
    AntiAffinity, BackgroundAnalysis, BlueGreenStrategy, CanaryStrategy, Duration, IntOrPercent,
    Istio, Pause, PodMetadata, Ramp, ReplicaProgressThreshold, RollingStrategy, RolloutSpec,
    SetCanaryScale, Step, StepAnalysis, Strategy, Traffic,
};

/// Weights that a ramp may have at most.
const LONGEST_RAMP: usize = 200;

/// Time that Services and proxies get to follow a change where no `propagationDelay` says another.
const PROPAGATION_DELAY: Duration = Duration::from_secs(2);

/// What the destination is called that users of a blue-green workload reach.
pub const ACTIVE: &str = "active";

/// The strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyKind {
    /// Pods are replaced a few at a time.
    Rolling,
    /// All traffic is switched at once.
    BlueGreen,
    /// A share of the traffic goes to the new revision.
    Canary,
}

impl StrategyKind {
    /// Its field in `spec.strategy`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::BlueGreen => "blueGreen",
            Self::Canary => "canary",
        }
    }
}

/// What carries the weight of the new revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Weights in VirtualServices.
    Routes,
    /// The selector of the active Service: all or nothing.
    Switch,
    /// The shares of the pods.
    Pods,
}

/// A step and what people call it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramStep {
    /// What to do.
    pub step: Step,
    /// What it is called: part of the names of its AnalysisRuns.
    pub name: String,
    /// In the words of `status.message`; empty for a step that the user wrote.
    pub text: &'static str,
    /// The field of the spec that it comes from.
    pub field: String,
}

/// A strategy as one list of steps and one way to shift traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The strategy that it comes from.
    pub strategy: StrategyKind,
    /// What carries the weight.
    pub shift: Shift,
    /// The steps; after the last one the new revision is promoted.
    pub steps: Vec<ProgramStep>,
    /// Analysis beside the steps; its `startingStep` counts the steps here.
    pub analysis: Option<BackgroundAnalysis>,
    /// The Service that selects the stable (active) revision.
    pub stable_service: Option<String>,
    /// The Service that selects the canary (preview) revision.
    pub canary_service: Option<String>,
    /// The routes.
    pub traffic: Option<Traffic>,
    /// Pods above `spec.replicas`; none for no limit.
    pub max_surge: Option<IntOrPercent>,
    /// Pods below `spec.replicas`.
    pub max_unavailable: IntOrPercent,
    /// Whether stable shrinks as its weight falls.
    pub dynamic_stable: bool,
    /// How many pods of the new revision are enough for a step.
    pub threshold: Option<ReplicaProgressThreshold>,
    /// The fewest pods of a revision with weight.
    pub min_pods: u32,
    /// How long the old revision keeps its pods after a promotion.
    pub scale_down_delay: Duration,
    /// The most old revisions with pods.
    pub standby_limit: Option<usize>,
    /// How long an aborted revision keeps its pods; zero for until the next release.
    pub abort_scale_down_delay: Duration,
    /// What pods of the stable revision carry.
    pub stable_metadata: Option<PodMetadata>,
    /// What pods of the new revision carry.
    pub canary_metadata: Option<PodMetadata>,
    /// Keeps the revisions on different nodes.
    pub anti_affinity: Option<AntiAffinity>,
}

impl Default for Program {
    fn default() -> Self {
        Self::rolling(&RollingStrategy::default())
    }
}

impl Program {
    /// The program of a spec's strategy.
    pub fn new(spec: &RolloutSpec) -> Self {
        let Strategy { rolling, blue_green, canary } = &spec.strategy;
        match (rolling, blue_green, canary) {
            (_, _, Some(canary)) => Self::canary(canary),
            (_, Some(blue_green), None) => Self::blue_green(blue_green),
            (Some(rolling), None, None) => Self::rolling(rolling),
            // The schema asks for one of them; `validate` says so where it was passed by.
            (None, None, None) => Self::default(),
        }
    }

    fn rolling(rolling: &RollingStrategy) -> Self {
        Self {
            strategy: StrategyKind::Rolling,
            shift: Shift::Pods,
            steps: Vec::new(),
            analysis: rolling.analysis.clone(),
            stable_service: None,
            canary_service: None,
            traffic: None,
            max_surge: Some(rolling.max_surge.unwrap_or(IntOrPercent::Percent(25))),
            max_unavailable: rolling.max_unavailable.unwrap_or(IntOrPercent::Percent(25)),
            dynamic_stable: false,
            threshold: None,
            min_pods: 1,
            scale_down_delay: Duration::default(),
            standby_limit: None,
            abort_scale_down_delay: Duration::default(),
            stable_metadata: None,
            canary_metadata: None,
            anti_affinity: None,
        }
    }

    fn blue_green(colours: &BlueGreenStrategy) -> Self {
        let total = colours.traffic.as_ref().map_or(100, |traffic| traffic.max_weight);
        Self {
            strategy: StrategyKind::BlueGreen,
            shift: if colours.traffic.is_some() { Shift::Routes } else { Shift::Switch },
            steps: colour_steps(colours, total),
            stable_service: colours.active_service.clone(),
            canary_service: colours.preview_service.clone(),
            traffic: colours.traffic.clone(),
            max_surge: None,
            scale_down_delay: colours.scale_down_delay,
            standby_limit: limit(colours.scale_down_delay_revision_limit),
            abort_scale_down_delay: colours.abort_scale_down_delay,
            stable_metadata: colours.active_metadata.clone(),
            canary_metadata: colours.preview_metadata.clone(),
            anti_affinity: colours.anti_affinity.clone(),
            ..Self::default()
        }
    }

    fn canary(canary: &CanaryStrategy) -> Self {
        let default_surge = IntOrPercent::Percent(if canary.traffic.is_some() { 100 } else { 25 });
        let mut steps = Vec::new();
        let mut analysis = canary.analysis.clone();
        for (index, step) in canary.steps.iter().enumerate() {
            if let Some(analysis) = &mut analysis
                && canary
                    .analysis
                    .as_ref()
                    .is_some_and(|a| usize::try_from(a.starting_step) == Ok(index))
            {
                analysis.starting_step = i32::try_from(steps.len()).unwrap_or(i32::MAX);
            }
            for step in expanded(step) {
                steps.push(ProgramStep {
                    step,
                    name: format!("step-{}", steps.len()),
                    text: "",
                    field: format!("spec.strategy.canary.steps[{index}]"),
                });
            }
        }
        Self {
            strategy: StrategyKind::Canary,
            shift: if canary.traffic.is_some() { Shift::Routes } else { Shift::Pods },
            steps,
            analysis,
            stable_service: canary.stable_service.clone(),
            canary_service: canary.canary_service.clone(),
            traffic: canary.traffic.clone(),
            max_surge: Some(canary.max_surge.unwrap_or(default_surge)),
            max_unavailable: canary.max_unavailable.unwrap_or(IntOrPercent::Percent(25)),
            dynamic_stable: canary.dynamic_stable_scale,
            threshold: canary.replica_progress_threshold,
            min_pods: canary
                .min_pods_per_replica_set
                .and_then(|pods| u32::try_from(pods).ok())
                .unwrap_or(1)
                .max(1),
            scale_down_delay: canary.scale_down_delay,
            standby_limit: None,
            abort_scale_down_delay: canary.abort_scale_down_delay,
            stable_metadata: canary.stable_metadata.clone(),
            canary_metadata: canary.canary_metadata.clone(),
            anti_affinity: canary.anti_affinity.clone(),
        }
    }

    /// Where the strategy stands in the spec.
    pub fn field(&self) -> String {
        format!("spec.strategy.{}", self.strategy.field())
    }

    /// The fields of the two Services in the strategy: stable's, canary's.
    pub fn service_fields(&self) -> [&'static str; 2] {
        match self.strategy {
            StrategyKind::BlueGreen => ["activeService", "previewService"],
            StrategyKind::Canary | StrategyKind::Rolling => ["stableService", "canaryService"],
        }
    }

    /// What the two destinations are called: stable's, canary's.
    pub fn roles(&self) -> [&'static str; 2] {
        match self.strategy {
            StrategyKind::BlueGreen => [ACTIVE, "preview"],
            StrategyKind::Canary | StrategyKind::Rolling => ["stable", "canary"],
        }
    }

    /// Istio's routes.
    pub fn istio(&self) -> Option<&Istio> {
        self.traffic.as_ref().map(|traffic| &traffic.istio)
    }

    /// What the weights of a route sum to.
    pub fn total(&self) -> i32 {
        self.traffic.as_ref().map_or(100, |traffic| traffic.max_weight)
    }

    /// How long Services and proxies may take to follow a change.
    pub fn delay(&self) -> Duration {
        self.istio().map_or(PROPAGATION_DELAY, |istio| istio.propagation_delay)
    }

    /// The step at `index`.
    pub fn step(&self, index: usize) -> Option<&Step> {
        self.steps.get(index).map(|step| &step.step)
    }
}

fn limit(limit: Option<i32>) -> Option<usize> {
    limit.and_then(|limit| usize::try_from(limit).ok())
}

/// The steps of a blue-green release, in the order of its story.
fn colour_steps(colours: &BlueGreenStrategy, total: i32) -> Vec<ProgramStep> {
    let mut steps = Vec::new();
    let mut push = |step: Step, name: &str, text: &'static str, field: &str| {
        steps.push(ProgramStep {
            step,
            name: name.to_owned(),
            text,
            field: format!("spec.strategy.blueGreen.{field}"),
        });
    };
    let scale = |replicas: Option<i32>| SetCanaryScale {
        replicas,
        weight: replicas.is_none().then_some(100),
        match_traffic_weight: None,
    };
    let scaled = |replicas| Step { set_canary_scale: Some(scale(replicas)), ..Step::default() };
    let judged =
        |analysis: &StepAnalysis| Step { analysis: Some(analysis.clone()), ..Step::default() };
    push(scaled(colours.preview_replica_count), "preview", "preview", "previewReplicaCount");
    if let Some(analysis) = &colours.pre_promotion_analysis {
        push(judged(analysis), "pre-promotion", "pre-promotion analysis", "prePromotionAnalysis");
    }
    if colours.auto_promotion_after.is_some() || !colours.auto_promotion_enabled {
        let pause = Pause { duration: colours.auto_promotion_after, ..Pause::default() };
        let step = Step { pause: Some(pause), ..Step::default() };
        push(step, "gate", "before the switch", "autoPromotionEnabled");
    }
    if colours.preview_replica_count.is_some() {
        push(scaled(None), "full", "scaling up for the switch", "previewReplicaCount");
    }
    push(Step { set_weight: Some(total), ..Step::default() }, "switch", "switch", "activeService");
    if let Some(analysis) = &colours.post_promotion_analysis {
        push(
            judged(analysis),
            "post-promotion",
            "post-promotion analysis",
            "postPromotionAnalysis",
        );
    }
    steps
}

/// The step itself, or the weights and pauses of its ramp.
fn expanded(step: &Step) -> Vec<Step> {
    let Some(ramp) = &step.ramp else { return vec![step.clone()] };
    let mut steps = Vec::new();
    for weight in weights(ramp) {
        steps.push(Step { set_weight: Some(weight), ..Step::default() });
        let pause = Pause { duration: Some(ramp.every), ..Pause::default() };
        steps.push(Step { pause: Some(pause), ..Step::default() });
    }
    steps
}

/// The weights of a ramp: from the first to the last, both included.
fn weights(ramp: &Ramp) -> Vec<i32> {
    let mut weights = Vec::new();
    let mut weight = ramp.from;
    while weight < ramp.to && weights.len() < LONGEST_RAMP {
        weights.push(weight);
        let next = match (ramp.by, ramp.factor) {
            (Some(by), _) => i64::from(weight) + i64::from(by.max(1)),
            (None, factor) => multiplied(weight, factor.unwrap_or(2.0)),
        };
        weight = i32::try_from(next).unwrap_or(ramp.to).min(ramp.to);
    }
    weights.push(ramp.to);
    weights
}

/// `weight` times `factor`, rounded, and at least one more than `weight`.
#[expect(clippy::cast_possible_truncation, reason = "the schema bounds both; a cast saturates")]
fn multiplied(weight: i32, factor: f64) -> i64 {
    ((f64::from(weight) * factor).round() as i64).max(i64::from(weight) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: i32, to: i32, by: Option<i32>, factor: Option<f64>) -> Ramp {
        Ramp { from, to, by, factor, every: Duration::from_secs(60) }
    }

    #[test]
    fn a_ramp_goes_from_its_first_to_its_last_weight() {
        assert_eq!(weights(&ramp(10, 50, Some(20), None)), [10, 30, 50]);
        assert_eq!(weights(&ramp(10, 45, Some(20), None)), [10, 30, 45]);
        assert_eq!(weights(&ramp(1, 60, None, Some(2.0))), [1, 2, 4, 8, 16, 32, 60]);
        assert_eq!(weights(&ramp(1, 4, None, Some(1.1))), [1, 2, 3, 4]);
        assert_eq!(weights(&ramp(1, 100_000, Some(1), None)).len(), LONGEST_RAMP + 1);
    }

    #[test]
    fn a_blue_green_release_tells_its_story_in_order() {
        let colours: BlueGreenStrategy = serde_json::from_value(serde_json::json!({
            "activeService": "web", "previewService": "web-preview", "previewReplicaCount": 1,
            "autoPromotionAfter": "30s",
            "prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]},
            "postPromotionAnalysis": {"templates": [{"templateName": "errors"}]},
        }))
        .unwrap();
        let program = Program::blue_green(&colours);
        let names: Vec<&str> = program.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["preview", "pre-promotion", "gate", "full", "switch", "post-promotion"]);
        assert_eq!(program.shift, Shift::Switch);
    }
}
