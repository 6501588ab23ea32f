//! Any run, any readings, in any order.

use proptest::prelude::*;

use super::*;

fn reading() -> impl Strategy<Value = Reading> {
    let job = || prop_oneof![Just("j1".to_owned()), Just("j2".to_owned())];
    let text = || "\\PC{0,20}";
    prop_oneof![
        4 => prop_oneof![Just(0.99), Just(0.92), Just(0.5), any::<f64>()].prop_map(Reading::scalar),
        2 => proptest::collection::vec(any::<f64>(), 0..3).prop_map(Reading::vector),
        1 => text().prop_map(Reading::NoData),
        2 => text().prop_map(Reading::Error),
        1 => job().prop_map(|name| Reading::JobRunning { name }),
        1 => (job(), text()).prop_map(|(name, message)| Reading::JobSucceeded { name, message }),
        1 => (job(), text()).prop_map(|(name, message)| Reading::JobFailed { name, message }),
        1 => (job(), text()).prop_map(|(name, message)| Reading::JobUnstartable { name, message }),
    ]
}

prop_compose! {
    fn metric()(
        judge in proptest::sample::select(vec![
            "threshold: {min: 0.95}",
            "successCondition: result > 0.95, failureCondition: result < 0.9",
            "failureCondition: 'isNaN(result) || result < 0.9'",
            "successCondition: 'result.all(x, x > 0.9)'",
            "initialDelay: 20s",
        ]),
        limits in (0..4_i32, 0..3_i32, 0..5_i32),
        counting in proptest::sample::select(vec![
            "", "interval: 5s, ", "interval: 5s, count: 4, ", "interval: 30s, count: 3, consecutiveSuccessLimit: 2, ",
            "interval: 1m, consecutiveSuccessLimit: 3, ",
        ]),
        no_data in proptest::sample::select(vec!["wait", "pass", "fail", "pause"]),
    ) -> String {
        let (failed, inconclusive, errors) = limits;
        format!(
            "{counting}{judge}, failureLimit: {failed}, inconclusiveLimit: {inconclusive}, \
             consecutiveErrorLimit: {errors}, onNoData: {no_data}"
        )
    }
}

prop_compose! {
    fn any_run()(metrics in proptest::collection::vec(metric(), 1..4), dry in any::<bool>()) -> AnalysisRunSpec {
        let metrics: Vec<_> = metrics
            .iter()
            .enumerate()
            .map(|(n, metric)| format!("{{name: m{n}, {metric}}}"))
            .collect();
        let dry = if dry { "\ndryRun: [{metricName: m1}]" } else { "" };
        run(&format!("metrics: [{}]{dry}", metrics.join(", ")))
    }
}

/// What must hold of a status, whatever has happened.
fn check(spec: &AnalysisRunSpec, status: &AnalysisRunStatus) -> Result<(), TestCaseError> {
    for (metric, result) in spec.metrics.iter().zip(&status.metric_results) {
        prop_assert_eq!(result.count, result.successful + result.failed + result.inconclusive);
        prop_assert!(result.consecutive_success <= result.successful);
        prop_assert!(result.consecutive_error <= result.error);
        let limit = |limit: i32| u32::try_from(limit).expect("not negative");
        let one_above = [
            (result.failed, metric.failure_limit, Verdict::Failed),
            (result.inconclusive, metric.inconclusive_limit, Verdict::Inconclusive),
            (result.consecutive_error, metric.consecutive_error_limit, Verdict::Error),
        ];
        for (found, tolerated, verdict) in one_above {
            prop_assert!(found <= limit(tolerated) + 1, "{result:?}");
            prop_assert_eq!(
                found > limit(tolerated),
                result.phase == verdict && found > limit(tolerated)
            );
        }
        let once = metric.interval.is_none().then_some(1);
        if let Some(planned) = metric.count.as_ref().and_then(crate::api::Count::number).or(once) {
            prop_assert!(result.count <= limit(planned));
            prop_assert!(result.count < limit(planned) || result.phase.is_final());
        }
        if result.phase == Verdict::Successful {
            prop_assert!(result.successful > 0, "only real passes count: {result:?}");
        }
        prop_assert!(result.measurements.len() <= 10);
        let running = result.measurements.iter().filter(|each| !each.phase.is_final()).count();
        prop_assert!(running <= usize::from(!result.phase.is_final()));
    }
    let counted = || status.metric_results.iter().filter(|result| !result.dry_run);
    let worst = counted().map(|result| result.phase).max();
    if status.phase.is_final() && counted().count() > 0 {
        prop_assert_eq!(Some(status.phase), worst);
        prop_assert!(status.completed_at.is_some() && !status.message.is_empty());
    }
    if status.phase == Verdict::Successful {
        prop_assert!(counted().all(|result| result.phase == Verdict::Successful));
    }
    let summary = status.run_summary;
    let ended = summary.successful
        + summary.failed
        + summary.inconclusive
        + summary.error
        + summary.stopped;
    prop_assert!(ended <= summary.count);
    prop_assert_eq!(ended == summary.count, counted().all(|result| result.phase.is_final()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Readings at any time, due or not, for metrics that exist or not.
    #[test]
    fn any_sequence_keeps_the_counters_and_the_verdict(
        mut spec in any_run(),
        passes in proptest::collection::vec(
            (0..120_i64, proptest::collection::vec((0..5_usize, reading()), 0..4), 0..40_u8),
            1..25,
        ),
    ) {
        let mut status = AnalysisRunStatus::default();
        let mut now = 0;
        let mut verdicts: Vec<Verdict> = vec![];
        for (pause, readings, end) in passes {
            now += pause;
            spec.terminate |= end == 0;
            let taken: Vec<_> = readings.into_iter().map(|(metric, reading)| took(metric, reading)).collect();
            let result = advance(&spec, &status, at(now), &taken);
            prop_assert_eq!(&advance(&spec, &status, at(now), &taken), &result, "same in, same out");
            if status.phase.is_final() {
                prop_assert_eq!(&result.status, &status, "a final run never changes");
                prop_assert!(result.due.is_empty() && result.stop_jobs.is_empty());
            }
            for (before, after) in verdicts.iter().zip(&result.status.metric_results) {
                prop_assert!(!before.is_final() || *before == after.phase, "a verdict never changes");
            }
            let json = serde_json::to_value(&result.status).expect("JSON");
            let again: AnalysisRunStatus = serde_json::from_value(json).expect("a status");
            prop_assert_eq!(&again, &result.status, "a restart forgets nothing");
            check(&spec, &result.status)?;
            prop_assert_eq!(
                result.status.phase.is_final(),
                result.due.is_empty() && result.next_check.is_none(),
                "a run that goes on knows when"
            );
            prop_assert!(result.next_check.is_none_or(|next| next > at(now)));
            prop_assert!(!spec.terminate || result.status.phase.is_final());
            verdicts = result.status.metric_results.iter().map(|each| each.phase).collect();
            status = result.status;
        }
    }

    /// Readings when they are due: numbers rise by one, and a finite run ends.
    #[test]
    fn every_measurement_has_its_own_number(
        spec in any_run(),
        readings in proptest::collection::vec(reading(), 40),
    ) {
        let mut status = AnalysisRunStatus::default();
        let mut now = at(0);
        let mut readings = readings.into_iter();
        let mut last = vec![0; spec.metrics.len()];
        for _ in 0..100 {
            let next = advance(&spec, &status, now, &[]);
            status = next.status;
            let mut taken = vec![];
            for due in next.due {
                prop_assert!(due.number == last[due.metric] + 1 || due.running_job.is_some());
                prop_assert!(due.running_job.is_none() || due.number == last[due.metric]);
                last[due.metric] = due.number;
                let Some(reading) = readings.next() else { return Ok(()) };
                // A Job that runs can only become something that speaks of this Job.
                let reading = match (due.running_job, reading) {
                    (Some(name), _) => Reading::JobSucceeded { name, message: String::new() },
                    (None, reading) => reading,
                };
                taken.push(Taken { metric: due.metric, started_at: now, reading });
            }
            let after = advance(&spec, &status, now, &taken);
            check(&spec, &after.status)?;
            status = after.status;
            match after.next_check {
                _ if status.phase.is_final() => return Ok(()),
                Some(next) => now = next,
                None => prop_assert!(!after.due.is_empty()),
            }
        }
    }
}
