use serde_json::json;

use super::*;
use crate::cli::fixtures::{aborted, healthy, now, paused};

fn row(rollout: Rollout) -> Row {
    Row::Read(Box::new(rollout))
}

fn malformed() -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "broken", "namespace": "shop", "managedFields": [{"manager": "m"}]},
        "spec": {"replicas": "many", "future": true},
    }))
    .unwrap()
}

#[test]
fn the_table_shows_every_rollout() {
    let rows = [row(paused()), row(aborted()), row(healthy()), Row::from(malformed())];
    let table = rows_as_table(&rows, Columns::default(), now(), Style::PLAIN);
    assert_eq!(
        table,
        "\
NAME       PHASE      STEP   WEIGHT   DESIRED   READY   MESSAGE                                                                    AGE
checkout   Paused     1/4    20       5         6       step 2/4 (pause): waiting for a person                                     3h12m
checkout   Degraded   0/4    0        5         5       aborted: too many errors; stable takes all traffic                         3h12m
checkout   Healthy    4/4    0        5         5       revision 2 is stable                                                       3h12m
broken     Unknown    -      -        -         -       cannot read the Rollout `broken`: invalid type: string \"many\", expected…   <unknown>
"
    );
}

#[test]
fn wide_and_all_namespaces_add_columns() {
    let columns = Columns { namespace: true, wide: true };
    let table = rows_as_table(&[row(paused())], columns, now(), Style::PLAIN);
    assert!(table.starts_with("NAMESPACE   NAME "), "{table}");
    assert!(table.ends_with("3h12m   canary     5d4c     7f9c      shop/checkout:v3\n"), "{table}");
}

#[test]
fn yaml_keeps_fields_that_this_version_does_not_know() {
    let text = one(malformed(), Output::Yaml).unwrap();
    assert!(text.starts_with("apiVersion: sluice.dev/v1alpha1\nkind: Rollout\n"), "{text}");
    assert!(text.contains("future: true"), "{text}");
    assert!(!text.contains("managedFields"), "{text}");
    assert_eq!(one(malformed(), Output::Name).unwrap(), "rollout.sluice.dev/broken\n");
}

#[test]
fn contradictions_are_wrong_usage() {
    use clap::Parser;

    use crate::cli::args::{Cli, Verb};
    for (line, allowed) in [
        ("x get ro checkout -A", false),
        ("x get ro checkout -l a=b", false),
        ("x get ro checkout -o wide", false),
        ("x get ro checkout --watch -o json", false),
        ("x get ro --watch", false),
        ("x get ro checkout -w", true),
        ("x get ro -A -l a=b -o wide", true),
    ] {
        let Verb::Get(args) = Cli::try_parse_from(line.split(' ')).unwrap().verb else {
            panic!("{line} is no get");
        };
        let found = check(&args).map_err(|failure| failure.exit);
        assert_eq!(found, if allowed { Ok(()) } else { Err(Exit::Usage) }, "{line}");
    }
}

#[test]
fn each_strategy_has_the_columns_that_it_can_fill() {
    use crate::cli::fixtures::{rolling, under};
    let thousand = serde_json::to_value(paused().spec.strategy).map(|mut strategy| {
        strategy["canary"]["traffic"]["maxWeight"] = json!(1000);
        strategy
    });
    let finer =
        under(&thousand.unwrap(), &paused(), &json!({"weights": {"stable": 995, "canary": 5}}));
    let mut by_workload = serde_json::to_value(healthy()).unwrap();
    by_workload["spec"]["template"] = json!(null);
    by_workload["spec"]["workloadRef"] =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"});
    by_workload["status"]["history"] = json!([{"revision": "5d4c", "number": 2, "attempt": 1,
        "images": ["legacy:v2"], "startedAt": "2026-11-21T01:00:00Z"}]);
    let by_workload: Rollout = serde_json::from_value(by_workload).unwrap();
    let rows = [row(rolling()), row(finer), row(by_workload)];
    let columns = Columns { namespace: false, wide: true };
    let table = rows_as_table(&rows, columns, now(), Style::PLAIN);
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..4], ["checkout", "Progressing", "-", "40"], "{table}");
    assert!(lines[1].contains(&"rolling"), "{table}");
    assert_eq!(lines[2][3], "5/1000", "{table}");
    assert_eq!(lines[3].last(), Some(&"legacy:v2"), "{table}");
}
