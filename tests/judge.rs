//! `kubectl sluice judge` as people run it, on the files of `tests/judging`.

use serde_json::Value;

#[path = "support/plugin.rs"]
mod plugin;

/// Exit code, lines of JSON, and what was told.
fn judge(arguments: &[&str], input: &str) -> (i32, Vec<Value>, String) {
    let (code, lines, told) =
        plugin::run("tests/judging", &[&["judge"], arguments].concat(), input);
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (code, lines, told)
}

#[test]
fn a_good_canary_passes() {
    let (code, lines, told) = judge(&["good.csv"], "");
    assert_eq!(code, 0, "{told}");
    assert_eq!(lines.len(), 56);
    assert_eq!(lines[16]["verdict"], "wait", "not enough data at first");
    assert_eq!(lines[55]["verdict"], "goOn");
    assert_eq!(lines[55]["errors"]["verdict"], "notWorse");
    assert_eq!(lines[55]["seconds"], 600.0);
    assert!(told.starts_with("no reason to roll back after 10 min: canary "), "{told}");
    assert!(told.contains("cannot be found in 30 min at this traffic"), "{told}");
}

#[test]
fn a_canary_that_fails_is_found_at_the_third_scrape() {
    let (code, lines, told) = judge(&["bad.csv"], "");
    assert_eq!(code, 4, "{told}");
    let verdicts: Vec<&str> = lines[16..20].iter().filter_map(|l| l["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["wait", "wait", "rollBack", "rollBack"]);
    assert!(told.starts_with("roll back, found after 45 s at 2026-11-21T03:04:45Z: "), "{told}");
    assert!(told.contains("by chance"), "{told}");
}

#[test]
fn a_stream_is_judged_like_a_file() {
    let text = include_str!("judging/bad.csv");
    let (from_file, from_stream) = (judge(&["bad.csv"], ""), judge(&["-"], text));
    assert_eq!(from_file, from_stream);
}

#[test]
fn a_slow_canary_is_found_by_its_buckets() {
    let (code, lines, told) = judge(&["slow.jsonl"], "");
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("took longer than 0."), "{told}");
    assert!(told.contains("note: stable has one pod"), "{told}");
    assert!(lines.iter().all(|line| line["errors"].is_null() && line["latency"].is_object()));
}

#[test]
fn an_incident_of_both_holds_the_release() {
    let (code, _, told) = judge(&["incident.json"], "");
    assert_eq!(code, 0, "the comparison is quiet: {told}");
    let (code, lines, told) = judge(&["incident.json", "--objective", "99.9%"], "");
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("shared incident: stable burns its budget as well"), "{told}");
    assert_eq!(lines[39]["verdict"], "holdSharedIncident");
    assert_eq!(lines[19]["verdict"], "goOn");
}

#[test]
fn mann_whitney_looks_once() {
    let (code, lines, told) = judge(&["slow.jsonl", "--judge", "mann-whitney"], "");
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("the canary is high in above 0.1 s"), "{told}");
    assert!(told.contains("40 values an arm; 50 are advised"), "{told}");
    assert_eq!(lines[39]["metrics"][0]["class"], "high");
    let (code, _, told) = judge(&["good.csv", "--judge", "mann-whitney"], "");
    assert_eq!((code, told.starts_with("no reason to roll back: score 100")), (0, true), "{told}");
}

#[test]
fn too_little_is_not_enough() {
    let text = "time,arm,requests,errors\n15,canary,5,0\n15,stable,90,1\n";
    let (code, _, told) = judge(&["-"], text);
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("not enough data: 95 more requests of canary needed"), "{told}");
}

/// What is wrong, where, and what is allowed.
#[test]
fn what_is_wrong_is_named() {
    let head = "time,arm,pod,requests,errors\n";
    for (text, sentence) in [
        (
            format!("{head}15,canary,a,five,0\n"),
            "standard input: line 2, column requests: found `five`; allowed is a whole number",
        ),
        (
            format!("{head}15,canary,a,5,6\n"),
            "line 2, column errors: found 6 of 5 requests; allowed is no more errors",
        ),
        (
            format!("{head}15,canary,a,5,-1\n"),
            "line 2, column errors: found `-1`; allowed is a whole number",
        ),
        (
            format!("{head}15,green,a,5,0\n"),
            "line 2, column arm: found `green`; allowed is canary or stable",
        ),
        (
            format!("{head}soon,canary,a,5,0\n"),
            "line 2, column time: found `soon`; allowed is a time such as 2026-",
        ),
        (format!("{head}15,canary,a,,0\n"), "line 2, column requests: found nothing; allowed is"),
        (format!("{head}15,canary,a,5\n"), "line 2: found 4 columns; the head has 5"),
        (
            format!("{head}15,canary,a,5,0\n15,canary,a,5,0\n"),
            "line 3: found the time, arm and pod of line 2; allowed is one row for each",
        ),
        (
            format!("{head}15,canary,a,5,0\n"),
            "column arm: found no row of stable; allowed are rows of both arms",
        ),
        (
            "time,arm,requests,failures\n15,canary,5,0\n".to_owned(),
            "line 2: found the column `failures`; allowed are time, arm, pod",
        ),
        (
            "time,arm,requests\n15,canary,5\n".to_owned(),
            "line 2: found neither the column errors nor buckets",
        ),
        (
            "time;arm;requests;errors\n".to_owned(),
            "line 1: found `time;arm;requests;errors`; allowed is a comma",
        ),
        (
            "time,arm,requests,le_fast\n15,canary,5,1\n".to_owned(),
            "line 2: found the column `le_fast`; allowed is le_ with a bound",
        ),
        (
            "time,arm,requests,le_0.1,le_1\n15,canary,5,4,3\n".to_owned(),
            "line 2, column le_1: found 3, with 4 in the bucket before and 5 requests; allowed is a count that grows",
        ),
        (
            "time,arm,requests,le_1,le_+Inf\n15,canary,5,4,4\n".to_owned(),
            "line 2, column le_+Inf: found 4; allowed is the number of requests, 5",
        ),
        (String::new(), "line 1: found nothing; allowed is a CSV"),
        (head.to_owned(), "found no rows; allowed is a row for each interval and arm"),
        (
            format!("{head}15,\"canary,a,5,0\n"),
            "line 2: found a quote that does not end on its line",
        ),
        (
            "[{\"time\": 15, \"arm\": [1]}]".to_owned(),
            "element 1, column arm: found `[1]`; allowed is a text or a number",
        ),
        ("[7]".to_owned(), "element 1: found `7`; allowed is an object such as"),
        ("{\"time\": 15,\n".to_owned(), "line 1: no JSON object on one line"),
        ("[{\"time\": 15}".to_owned(), "no list of JSON objects"),
    ] {
        let (code, lines, told) = judge(&["-"], &text);
        assert_eq!(code, 1, "{text}: {told}");
        assert!(told.contains(sentence), "{text}: {told}");
        assert!(lines.is_empty());
    }
}

#[test]
fn wrong_flags_are_named() {
    for (arguments, code, sentence) in [
        (
            &["good.csv", "--tolerate-ratio", "0.5"][..],
            2,
            "tolerate.ratio: found 0.5; allowed is a number from 1",
        ),
        (&["good.csv", "--false-alarms", "90%"], 2, "falseAlarms: found 90%; allowed is"),
        (&["good.csv", "--false-alarms", "few"], 2, "found `few`, allowed is a share such as 1%"),
        (
            &["good.csv", "--objective", "101%"],
            2,
            "objective: found 101%; allowed is a share from 50%",
        ),
        (
            &["good.csv", "--metric", "latency"],
            1,
            "found --metric latency; allowed is that with columns of buckets",
        ),
        (
            &["slow.jsonl", "--objective", "99%"],
            1,
            "found --objective; allowed is that with a column errors",
        ),
        (&["lost.csv"], 1, "cannot read lost.csv: No such file"),
    ] {
        let (found, _, told) = judge(arguments, "");
        assert_eq!(found, code, "{arguments:?}: {told}");
        assert!(told.contains(sentence), "{arguments:?}: {told}");
    }
}
