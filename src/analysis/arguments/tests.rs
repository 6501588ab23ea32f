use proptest::prelude::*;
use serde_json::json;

use super::*;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn placeholders_stand_for_arguments_and_all_else_stays() {
    let values = values(&[("a", "1"), ("my-app", "x{{args.a}}"), ("_b", "")]);
    for (text, expected) in [
        ("", ""),
        ("{{args.a}}", "1"),
        ("{{ args.a }}|{{args.a }}|{{  args.a}}", "1|1|1"),
        ("app=\"{{args.my-app}}\"{{args._b}}!", "app=\"x{{args.a}}\"!"),
        ("{{.Values.x}} {{ $labels }} {args.a} {{", "{{.Values.x}} {{ $labels }} {args.a} {{"),
        ("sum(rate(x{v={{{args.a}}}}[5m]))", "sum(rate(x{v={1}}[5m]))"),
        ("\u{1F600}{{args.a}}\u{1F600}", "\u{1F600}1\u{1F600}"),
    ] {
        assert_eq!(substitute(text, &values).as_deref(), Ok(expected), "{text}");
    }
    for (text, words) in [
        (
            "{{args.nope}}",
            "found {{args.nope}}, allowed are the arguments \"_b\", \"a\", \"my-app\"",
        ),
        ("{{args.}}", "found the placeholder"),
        ("{{args.a", "allowed is {{args.NAME}}"),
        ("{{args.a b}}", "found the placeholder"),
    ] {
        let error = substitute(text, &values).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn jobs_are_filled_in_at_every_depth() {
    let job = json!({"template": {"spec": {"containers": [
        {"image": "smoke:{{args.tag}}", "args": ["--url={{args.url}}", "{{.Go}}"], "n": 3}
    ]}}, "{{args.tag}}": null});
    let filled = substitute_json(&job, &values(&[("tag", "v2"), ("url", "http://x")]));
    assert_eq!(
        filled,
        Ok(json!({"template": {"spec": {"containers": [
            {"image": "smoke:v2", "args": ["--url=http://x", "{{.Go}}"], "n": 3}
        ]}}, "{{args.tag}}": null}))
    );
}

#[test]
fn fields_of_the_rollout_are_read_by_path() {
    let rollout = json!({
        "metadata": {"name": "web", "labels": {"team": "a", "app.kubernetes.io/name": "w"}},
        "spec": {"replicas": 3, "paused": false, "containers": [{"image": "i"}]},
    });
    for (path, expected) in [
        ("metadata.name", "web"),
        ("metadata.labels['team']", "a"),
        ("metadata.labels.team", "a"),
        ("metadata.labels[\"app.kubernetes.io/name\"]", "w"),
        ("spec.replicas", "3"),
        ("spec.paused", "false"),
        ("spec.containers[0].image", "i"),
    ] {
        assert_eq!(field(&rollout, path).as_deref(), Ok(expected), "{path}");
    }
    for (path, words) in [
        ("metadata.labels['nope']", "the Rollout has no `nope`"),
        ("metadata.labels", "not a single value"),
        ("", "allowed is a path"),
        (".metadata", "allowed is a path"),
        ("metadata.labels['team", "allowed is a path"),
        ("spec.containers[7]", "no `7`"),
    ] {
        let error = field(&rollout, path).expect_err(path);
        assert!(error.contains(words), "{path}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_and_no_path_panics(text in "([{}.\\[\\]' \"a]|args|\\PC){0,30}") {
        let _ = substitute(&text, &values(&[("a", "1")]));
        let _ = field(&json!({"a": [{"a": 1}]}), &text);
    }

    #[test]
    fn text_without_placeholders_is_unchanged(text in "\\PC{0,40}") {
        prop_assume!(!text.contains("args."));
        prop_assert_eq!(substitute(&text, &values(&[])), Ok(text));
    }
}
