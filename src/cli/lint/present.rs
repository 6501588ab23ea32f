//! What can be found at the present traffic: `lint --cluster`.

use jiff::Timestamp;

use super::{Level, Rule, checks::Checks};
use crate::{
    analysis::{
        compare::{
            intervals::{Asked, Known, intervals},
            rules,
            samples::{Arms, Counter, Holds, counters},
        },
        judge::{
            Counts, Totals,
            dispersion::Dispersion,
            words::{grouped, outlook},
        },
        provider::prometheus::{HttpClients, Series, series},
    },
    api::PrometheusProvider,
    cli::{
        manifests::{Comparison, comparisons},
        outlook::{Service, parts},
    },
};

/// How far back the present goes, in seconds.
const PRESENT: u32 = 1800;

/// The label by which all series are told to be stable's.
const ARM: &str = ":arm";

/// Whom to ask, and when.
pub(super) struct Asking {
    pub(super) http: HttpClients,
    pub(super) url: Option<String>,
    pub(super) now: Timestamp,
}

/// Says of each comparison of each Rollout what it can find.
pub(super) async fn check(checks: &mut Checks<'_>, asking: &Asking) {
    let (objects, namespace) = (checks.objects.clone(), checks.namespace.clone());
    let (all, _) = comparisons(&objects, &namespace, &[]);
    let sharing = u32::try_from(all.len()).unwrap_or(1).max(1);
    for comparison in &all {
        let (owner, metric) = (&comparison.place, &comparison.metric.name);
        let owner = owner.strip_suffix(&format!(", metric {metric}")).unwrap_or(owner);
        match present(comparison, asking).await {
            Err(why) => {
                checks.say(
                    Level::Error,
                    Rule::Outlook,
                    &format!("{owner}: metric {metric}: {why}"),
                );
            }
            Ok(service) => tell(checks, owner, comparison, service, sharing),
        }
    }
}

fn tell(
    checks: &mut Checks<'_>,
    owner: &str,
    comparison: &Comparison,
    service: Option<Service>,
    sharing: u32,
) {
    let metric = &comparison.metric.name;
    let Ok(rules) = rules(&comparison.compare(), sharing) else { return };
    let Some(service) = service else {
        let text = format!(
            "{owner}: metric {metric}: no requests in the last 30 min; see whether the counter and its labels are right"
        );
        checks.say(Level::Warning, Rule::Outlook, &text);
        return;
    };
    let name = owner.split([' ', ':']).nth(1).unwrap_or_default();
    let rollouts = checks.rollouts();
    let own = rollouts.iter().find(|(_, one, _)| one.metadata.name.as_deref() == Some(name));
    let rollout = own.or_else(|| rollouts.first()).map(|(_, rollout, _)| rollout);
    let parts = parts(rollout, service, rules.params.release_seconds);
    let says = outlook(&parts, &rules.params);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for reading")]
    let minute = (service.requests * 60.0).round() as u64;
    let text = format!(
        "{owner}: metric {metric}: at {} requests a minute, {:.2} % of them failing, {says}",
        grouped(minute),
        100.0 * service.rate
    );
    let level = if says.contains("cannot") || says.contains("nothing can") || says.contains("only")
    {
        Level::Warning
    } else {
        Level::Note
    };
    checks.say(level, Rule::Outlook, &text);
}

/// What the service has to do; nothing when it has no requests.
async fn present(comparison: &Comparison, asking: &Asking) -> Result<Option<Service>, String> {
    let (requests, errors) = comparison.counters()?;
    let counters_of = match &errors {
        None => vec![(&requests, Holds::Both)],
        Some(errors) => vec![(&requests, Holds::Requests), (errors, Holds::Errors)],
    };
    let mut all = Vec::new();
    for (counter, holds) in counters_of {
        let mut provider = PrometheusProvider {
            query: format!("{counter}[{PRESENT}s]"),
            compare: None,
            ..comparison.provider()
        };
        if asking.url.is_some() {
            provider.address = None;
        }
        let url = asking.url.as_deref();
        let found = series(&provider, &comparison.args, &asking.http, url, asking.now).await?;
        all.extend(found.into_iter().flat_map(|one| of_stable(one, holds)));
    }
    Ok(service(&all, asking.now))
}

fn of_stable(mut series: Series, holds: Holds) -> Vec<Counter> {
    let arms =
        Arms { label: ARM.to_owned(), canary: "canary".to_owned(), stable: "stable".to_owned() };
    series.labels.insert(ARM.to_owned(), arms.stable.clone());
    counters(&[series], &arms, holds)
}

fn service(counters: &[Counter], now: Timestamp) -> Option<Service> {
    let now = now.as_millisecond();
    let from = now - i64::from(PRESENT) * 1000;
    let counted = intervals(counters, &Known::default(), Asked { from, began: from, now });
    let (mut totals, mut seconds, mut dispersion) = (Totals::default(), 0.0, Dispersion::default());
    for interval in &counted.intervals {
        let Counts { requests, errors } = interval.stable;
        totals = totals.and(Counts { requests, errors });
        seconds += interval.seconds;
        dispersion = dispersion.and(&interval.minute);
    }
    if totals.requests == 0 || seconds <= 0.0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    let requests = totals.requests as f64;
    // None yet counts as half an error.
    let rate = totals.rate().max(0.5 / requests);
    Some(Service { requests: requests / seconds, rate, dispersion: dispersion.phi() })
}
