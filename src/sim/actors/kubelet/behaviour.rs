//! What a pod is to do: as `tests/cluster/kubelet` reads it, and as the settings say of its version.

use jiff::SignedDuration;
use serde_json::Value;

use super::super::{Settings, object};

/// Before the names of the annotations.
const PREFIX: &str = "testcluster/";

/// What a pod is to do, read anew at every step, so that an edit of the annotations has its effect
/// at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Before a step: until it runs, until a Job's pod ends.
    pub delay: SignedDuration,
    /// From Running to Ready.
    pub ready_after: SignedDuration,
    /// From the deletion to the end, if that was chosen for this pod.
    pub terminate_after: Option<SignedDuration>,
    /// From Ready to a crash.
    pub crash_after: Option<SignedDuration>,
    /// Whether it is Ready, if time does not decide that.
    pub ready: Option<bool>,
    /// The code that it ends with; none if it runs on.
    pub exit_code: Option<i32>,
    /// Never Ready.
    pub never_ready: bool,
    /// Its image cannot be pulled.
    pub pull_error: bool,
    /// `restartPolicy`.
    pub restart: Restart,
}

/// When containers that ended are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Always,
    /// If they ended with another code than 0.
    OnFailure,
    /// Never.
    Never,
}

impl Behaviour {
    /// Reads a pod's annotations, and its images' tags.
    pub fn of(pod: &Value, settings: &Settings) -> Self {
        let images: Vec<&str> = pod["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|container| container["image"].as_str())
            .collect();
        let tag_has = |word: &str| images.iter().any(|image| tag(image).contains(word));
        let whole = images.iter().find_map(|image| settings.versions.get(*image));
        let by_tag = || images.iter().find_map(|image| settings.versions.get(tag(image)));
        let version = whole.or_else(by_tag).cloned().unwrap_or_default();
        let never_ready = version.never_ready || tag_has("never-ready");
        let pull_error = version.image_pull_error || tag_has("badimage");
        let crash_after = version.crash_after;
        let crash_after = crash_after.or_else(|| tag_has("crash").then_some(SignedDuration::ZERO));
        let hangs = version.hang || tag_has("hang");
        let by_job = object::controller(pod).is_some_and(|owner| owner["kind"] == "Job");
        let unasked = version.exit_code.or_else(|| by_job.then(|| i32::from(tag_has("exit1"))));
        let code = annotation(pod, "exit-code").and_then(|code| code.parse().ok()).or(unasked);
        Self {
            delay: duration(pod, "delay").unwrap_or(settings.delay),
            ready_after: duration(pod, "ready-after").unwrap_or(version.startup),
            terminate_after: duration(pod, "terminate-after"),
            crash_after: duration(pod, "crash-after").or(crash_after),
            ready: flag(pod, "ready"),
            exit_code: code.filter(|_| !(by_job && flag(pod, "hang").unwrap_or(hangs))),
            never_ready: flag(pod, "never-ready").unwrap_or(never_ready),
            pull_error: flag(pod, "image-pull-error").unwrap_or(pull_error),
            restart: match pod["spec"]["restartPolicy"].as_str() {
                Some("Never") => Restart::Never,
                Some("OnFailure") => Restart::OnFailure,
                _ => Restart::Always,
            },
        }
    }

    /// Whether its containers crash before they are Ready.
    pub fn crashes_at_start(&self) -> bool {
        self.crash_after == Some(SignedDuration::ZERO)
    }
}

/// The part of an image's name after the colon, without a digest.
fn tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    // A registry's port is no tag.
    let image = image.rsplit('/').next().unwrap_or_default();
    image.split_once(':').map_or("", |(_, tag)| tag)
}

fn annotation<'v>(pod: &'v Value, name: &str) -> Option<&'v str> {
    pod["metadata"]["annotations"][format!("{PREFIX}{name}")].as_str()
}

/// As Go's `strconv.ParseBool`; what does not parse counts as absent.
fn flag(pod: &Value, name: &str) -> Option<bool> {
    match annotation(pod, name)? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn duration(pod: &Value, name: &str) -> Option<SignedDuration> {
    parse_duration(annotation(pod, name)?)
}

/// As Go's `time.ParseDuration`, to the microsecond, for durations that are not negative.
fn parse_duration(text: &str) -> Option<SignedDuration> {
    if text == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let of_unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * of_unit;
        rest = tail;
    }
    // The simulated clock has whole microseconds; a timer between two of them would never be due.
    let micros = (seconds * 1e6).round();
    #[allow(clippy::cast_possible_truncation, reason = "bounded to what a timer can wait")]
    (micros < 1e15).then(|| SignedDuration::from_micros(micros as i64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{super::super::Version, *};

    fn behaviour(image: &str, annotations: &Value) -> Behaviour {
        let versions = BTreeMap::from([
            ("slow".to_owned(), Version { startup: seconds(9), ..Version::default() }),
            ("r:5/web:slow".to_owned(), Version { never_ready: true, ..Version::default() }),
        ]);
        let settings = Settings { versions, ..Settings::default() };
        let pod = json!({
            "metadata": {"annotations": annotations},
            "spec": {"containers": [{"image": image}]},
        });
        Behaviour::of(&pod, &settings)
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    #[test]
    fn durations_are_as_in_go() {
        let table = [
            ("300ms", Some(300_000)),
            ("1.5s", Some(1_500_000)),
            ("1h2m", Some(3_720_000_000)),
            ("0s", Some(0)),
            ("0", Some(0)),
            ("1", None),
            ("", None),
            ("-1s", None),
            ("1 s", None),
        ];
        for (text, micros) in table {
            assert_eq!(parse_duration(text), micros.map(SignedDuration::from_micros), "{text}");
        }
    }

    #[test]
    fn words_in_the_tag_choose_and_annotations_win() {
        let plain = behaviour("r:5000/crash/web:1@sha256:crash", &Value::Null);
        assert_eq!((plain.crash_after, plain.exit_code, plain.never_ready), (None, None, false));
        assert!(behaviour("web:2-crash", &Value::Null).crashes_at_start());
        assert!(behaviour("web:badimage", &Value::Null).pull_error);
        assert!(behaviour("web:never-ready", &Value::Null).never_ready);
        let edited = json!({"testcluster/never-ready": "false", "testcluster/exit-code": "3"});
        let edited = behaviour("web:never-ready", &edited);
        assert_eq!((edited.never_ready, edited.exit_code), (false, Some(3)));
    }

    #[test]
    fn settings_choose_by_the_whole_image_before_the_tag() {
        assert_eq!(behaviour("web:slow", &Value::Null).ready_after, seconds(9));
        let whole = behaviour("r:5/web:slow", &Value::Null);
        assert_eq!((whole.ready_after, whole.never_ready), (seconds(0), true));
        let edited = json!({"testcluster/ready-after": "2s"});
        assert_eq!(behaviour("web:slow", &edited).ready_after, seconds(2));
    }
}
