//! The API documents (`OpenAPI`), as far as kubectl needs them: schemas of our kinds for `explain`, any
//! object for the others, and which requests take `fieldValidation`, so that kubectl leaves the
//! validation to the server.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Answer, Request};
use crate::sim::api::{Resource, admission, resource};

/// The answer, if the request asks such.
pub(super) fn answer(request: &Request) -> Option<Answer> {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let body = match parts.as_slice() {
        ["openapi", "v3"] => index(),
        ["openapi", "v3", "api", version] => document("", version)?,
        ["openapi", "v3", "apis", group, version] => document(group, version)?,
        ["openapi", "v2"] => {
            let info = json!({"title": "Kubernetes", "version": "v1.35.4"});
            json!({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}})
        }
        _ => return None,
    };
    Some(Answer::ok(body))
}

fn place(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn index() -> Value {
    let mut places = BTreeSet::new();
    for resource in resource::ALL {
        places.extend(resource.versions.iter().map(|version| place(resource.group, version)));
    }
    let mut paths = json!({});
    for place in places {
        let address = format!("/openapi/v3/{place}");
        paths[place] = json!({"serverRelativeURL": address});
    }
    json!({ "paths": paths })
}

fn document(group: &str, version: &str) -> Option<Value> {
    let served =
        |resource: &&&Resource| resource.group == group && resource.versions.contains(&version);
    let (mut paths, mut schemas) = (json!({}), json!({}));
    for resource in resource::ALL.iter().filter(served) {
        let kind = json!({"group": group, "version": version, "kind": resource.kind});
        let spaces = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("/{}{spaces}/{}/{{name}}", place(group, version), resource.plural);
        let parameter = json!({
            "name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true},
        });
        let mut operations = json!({});
        for verb in ["get", "put", "patch"] {
            operations[verb] = json!({
                "parameters": [parameter], "responses": {},
                "x-kubernetes-action": verb, "x-kubernetes-group-version-kind": kind,
            });
        }
        paths[path] = operations;
        let mut schema = admission::definition(resource)
            .and_then(|definition| definition.pointer("/spec/versions/0/schema/openAPIV3Schema"))
            .cloned()
            .unwrap_or_else(
                || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            );
        for (field, what) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")]
        {
            schema["properties"][field] = json!({ "type": what });
        }
        schema["x-kubernetes-group-version-kind"] = json!([kind]);
        let turned: Vec<&str> = group.split('.').rev().collect();
        schemas[format!("{}.{version}.{}", turned.join("."), resource.kind)] = schema;
    }
    if paths.as_object().is_none_or(serde_json::Map::is_empty) {
        return None;
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths, "components": {"schemas": schemas},
    }))
}
