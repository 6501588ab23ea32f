//! Paths of objects.

use crate::sim::api::{Resource, resource};

/// What a path names.
#[derive(Debug)]
pub struct Target<'a> {
    /// None if the group's version has no such resource.
    pub resource: Option<&'static Resource>,
    /// Version of the group.
    pub version: &'a str,
    /// Namespace; empty for all, or for what is in none.
    pub namespace: &'a str,
    /// Name; empty for a collection.
    pub name: &'a str,
    /// `status`, `scale` and their like.
    pub subresource: Option<&'a str>,
}

/// The parts of a path; none if it is no path of objects.
pub fn parse(path: &str) -> Option<Target<'_>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let served = resource::ALL
        .iter()
        .any(|resource| resource.group == group && resource.versions.contains(&version));
    // The older form of a watch.
    let rest = rest.strip_prefix(&["watch"]).unwrap_or(rest);
    if !served || rest.is_empty() {
        return None;
    }
    let (namespace, plural, rest) = match rest {
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => {
            ("", "namespaces", &rest[1..])
        }
        ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
        [plural, rest @ ..] => ("", *plural, rest),
        [] => return None,
    };
    let found = resource::at(group, version, plural);
    let misplaced = |resource: &&Resource| {
        let inside = !namespace.is_empty();
        (inside && !resource.namespaced) || (!inside && resource.namespaced && !rest.is_empty())
    };
    let (name, subresource) = match rest {
        [] => ("", None),
        [name] => (*name, None),
        [name, subresource] => (*name, Some(*subresource)),
        _ => return None,
    };
    let resource = found.filter(|resource| !misplaced(resource));
    Some(Target { resource, version, namespace, name, subresource })
}
