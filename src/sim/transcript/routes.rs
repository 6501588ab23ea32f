//! Where traffic goes: Services, VirtualServices, DestinationRules.

use serde_json::Value;

use super::{Names, people};
use crate::api::REVISION_LABEL;

/// A Service: which revision it selects.
pub(super) fn service(before: &Value, after: &Value, names: &Names) -> Vec<String> {
    if before.is_null() || after.is_null() {
        return people::anything(before, after);
    }
    let revision = |service: &Value| service["spec"]["selector"][REVISION_LABEL].clone();
    let (from, to) = (revision(before), revision(after));
    let mut texts = Vec::new();
    if from != to {
        texts.push(format!("selects {} -> {}", names.label(&from), names.label(&to)));
    }
    let others = |service: &Value| {
        let mut spec = service["spec"].clone();
        let selector = spec.get_mut("selector").and_then(Value::as_object_mut);
        selector.map(|labels| labels.remove(REVISION_LABEL));
        spec
    };
    if others(before) != others(after) {
        texts.push("edited".to_owned());
    }
    texts
}

/// A VirtualService: the weights of each route.
pub(super) fn virtual_service(before: &Value, after: &Value) -> Vec<String> {
    if before.is_null() || after.is_null() {
        return people::anything(before, after);
    }
    let mut texts = Vec::new();
    for kind in ["http", "tls", "tcp"] {
        let (old, new) = (routes(before, kind), routes(after, kind));
        let come = others(new, old);
        let gone = others(old, new);
        texts.extend(come.iter().map(|route| {
            format!("route {} comes: {}", route["name"].as_str().unwrap_or_default(), whole(route))
        }));
        texts.extend(
            gone.iter()
                .map(|route| format!("route {} goes", route["name"].as_str().unwrap_or_default())),
        );
        let stays = |all: &'_ [Value], without: &[&Value]| -> Vec<Value> {
            all.iter().filter(|route| !without.contains(route)).cloned().collect()
        };
        let (old, new) = (stays(old, &gone), stays(new, &come));
        for (index, (old, new)) in old.iter().zip(&new).enumerate() {
            let (from, to) = (weights(old), weights(new));
            if from != to {
                let name = new["name"].as_str().map(str::to_owned);
                let route = name.unwrap_or_else(|| format!("{kind}[{index}]"));
                texts.push(format!("{route}: {}", moved(&from, &to)));
            }
        }
    }
    let mut bare = [(before, after), (after, before)].map(|(one, other)| {
        let mut spec = one["spec"].clone();
        let beside = routes(other, "http");
        if let Some(http) = spec.get_mut("http").and_then(Value::as_array_mut) {
            http.retain(|route| !is_other(route, beside));
        }
        spec
    });
    for spec in &mut bare {
        without_weights(spec);
    }
    if bare[0] != bare[1] {
        texts.push("edited beyond its weights".to_owned());
    }
    texts
}

fn routes<'v>(object: &'v Value, kind: &str) -> &'v [Value] {
    object["spec"][kind].as_array().map_or(&[], Vec::as_slice)
}

/// Routes that only the one side has, by their names.
fn others<'v>(all: &'v [Value], beside: &[Value]) -> Vec<&'v Value> {
    all.iter().filter(|route| is_other(route, beside)).collect()
}

fn is_other(route: &Value, beside: &[Value]) -> bool {
    route["name"].is_string() && beside.iter().all(|other| other["name"] != route["name"])
}

/// A route in words: which requests, and where to.
fn whole(route: &Value) -> String {
    let mut ends: Vec<String> =
        weights(route).iter().map(|(name, weight)| format!("{name} {weight}")).collect();
    let copies = route["mirrors"].as_array().into_iter().flatten();
    let share = |of: &Value| of["value"].as_f64().unwrap_or(100.0);
    let one = (!route["mirror"].is_null()).then(|| (&route["mirror"], &route["mirrorPercentage"]));
    for (to, of) in copies.map(|copy| (&copy["destination"], &copy["percentage"])).chain(one) {
        ends.push(format!("{} % copied to {}", share(of), destination(to)));
    }
    let conditions: Vec<String> =
        route["match"].as_array().into_iter().flatten().map(Value::to_string).collect();
    format!("{} for {}", ends.join(", "), conditions.join(" or "))
}

fn destination(to: &Value) -> String {
    let host = to["host"].as_str().unwrap_or_default();
    let host = host.split('.').next().unwrap_or_default();
    to["subset"].as_str().unwrap_or(host).to_owned()
}

/// Destination and weight, in order.
fn weights(route: &Value) -> Vec<(String, i64)> {
    let ends = route["route"].as_array().into_iter().flatten();
    ends.map(|end| (destination(&end["destination"]), end["weight"].as_i64().unwrap_or(0)))
        .collect()
}

fn moved(from: &[(String, i64)], to: &[(String, i64)]) -> String {
    let unit = match to.iter().map(|(_, weight)| weight).sum() {
        100 => "%".to_owned(),
        total => format!("of {total}"),
    };
    let parts = to.iter().enumerate().map(|(index, (name, weight))| match from.get(index) {
        Some((before, was)) if before == name && was != weight => {
            format!("{name} {was} -> {weight} {unit}")
        }
        _ => format!("{name} {weight} {unit}"),
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn without_weights(spec: &mut Value) {
    for kind in ["http", "tls", "tcp"] {
        let routes = spec.get_mut(kind).and_then(Value::as_array_mut);
        for route in routes.into_iter().flatten() {
            let ends = route.get_mut("route").and_then(Value::as_array_mut);
            for end in ends.into_iter().flatten() {
                end.as_object_mut().map(|end| end.remove("weight"));
            }
        }
    }
}

/// A DestinationRule: which revision each subset leads to.
pub(super) fn destination_rule(before: &Value, after: &Value, names: &Names) -> Vec<String> {
    if before.is_null() || after.is_null() {
        return people::anything(before, after);
    }
    let mut texts = Vec::new();
    let none = Vec::new();
    let old = before["spec"]["subsets"].as_array().unwrap_or(&none);
    for subset in after["spec"]["subsets"].as_array().unwrap_or(&none) {
        let name = &subset["name"];
        let was = old.iter().find(|other| other["name"] == *name).unwrap_or(&Value::Null);
        let revision = |subset: &Value| subset["labels"][REVISION_LABEL].clone();
        let (from, to) = (revision(was), revision(subset));
        let name = name.as_str().unwrap_or_default();
        if from != to {
            let (from, to) = (names.label(&from), names.label(&to));
            texts.push(format!("subset {name} selects {from} -> {to}"));
        } else if was != subset {
            texts.push(format!("subset {name} edited"));
        }
    }
    if texts.is_empty() && before["spec"] != after["spec"] {
        texts.push("edited".to_owned());
    }
    texts
}
