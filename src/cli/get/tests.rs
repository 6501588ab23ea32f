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
    assert!(table.ends_with("3h12m   5d4c     7f9c      shop/checkout:v3\n"), "{table}");
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
