//! Rights that the controller turns out to lack, as a sentence for whoever is on call.
//!
//! In: what the API server says with 403. Out: which verb on what is missing, and where to grant it.

/// What the admission plugin `OwnerReferencesPermissionEnforcement` says; it names no verb.
const OWNED: &str = "cannot set blockOwnerDeletion";

/// What it says while the API server, which has just started, has not found the kinds of our objects
/// yet: nothing is wrong with anybody's rights.
const UNDISCOVERED: &str = "cannot find RESTMapping";

/// The right that it asks for.
const OWNS: &str = "the controller may not update rollouts/finalizers and analysisruns/finalizers of \
    sluice.dev, without which it cannot own what it creates here; grant it this verb, as \
    config/rbac/controller.yaml does (config/namespaced for one namespace)";

/// Whether a 403 tells of an API server that has just started, and will say otherwise soon.
pub fn is_undiscovered(text: &str) -> bool {
    text.contains(OWNED) && text.contains(UNDISCOVERED)
}

/// The missing right that `text` tells of, if it is that: 403 is also the answer of quotas and of
/// admission webhooks, whose own words say more.
pub fn missing(text: &str) -> Option<String> {
    if text.contains(OWNED) && !is_undiscovered(text) {
        return Some(OWNS.to_owned());
    }
    let (_, text) = text.split_once("User \"")?;
    let (user, text) = text.split_once("\" cannot ")?;
    let (verb, text) = text.split_once(" resource \"")?;
    let (resource, text) = text.split_once("\" in API group \"")?;
    let (group, text) = text.split_once('"')?;
    let place = match text.split_once("in the namespace \"") {
        Some((_, text)) => format!("in namespace {}", text.split_once('"')?.0),
        None => "in all namespaces".to_owned(),
    };
    let group = if group.is_empty() { String::new() } else { format!(" of {group}") };
    let file = match (verb, resource) {
        ("list" | "watch", "secrets" | "configmaps") | (_, "localsubjectaccessreviews") => {
            "notifications.yaml"
        }
        (_, "secrets") => "secrets.yaml",
        (_, "leases") => "lease.yaml",
        _ => "controller.yaml",
    };
    Some(format!(
        "the controller ({user}) may not {verb} {resource}{group} {place}; grant it this verb, as \
         config/rbac/{file} does (config/namespaced for one namespace)"
    ))
}

/// `error` in words: the missing right, if it is that.
pub fn explained(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    missing(&text).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RBAC: &str = "replicasets.apps is forbidden: User \"system:serviceaccount:a:sluice\" \
        cannot create resource \"replicasets\" in API group \"apps\" in the namespace \"shop\"";

    #[test]
    fn verb_resource_place_and_file_are_named() {
        let said = missing(RBAC).unwrap();
        assert_eq!(
            said,
            "the controller (system:serviceaccount:a:sluice) may not create replicasets of apps in \
             namespace shop; grant it this verb, as config/rbac/controller.yaml does \
             (config/namespaced for one namespace)"
        );
        let core = "secrets \"s\" is forbidden: User \"u\" cannot get resource \"secrets\" in API \
            group \"\" in the namespace \"shop\"";
        let said = missing(core).unwrap();
        assert!(said.contains("may not get secrets in namespace shop"), "{said}");
        assert!(said.contains("config/rbac/secrets.yaml"), "{said}");
        let named = core.replace("cannot get", "cannot watch");
        assert!(missing(&named).unwrap().contains("config/rbac/notifications.yaml"));
        let all = "pods is forbidden: User \"u\" cannot list resource \"pods\" in API group \"\" at \
            the cluster scope";
        assert!(missing(all).unwrap().contains("may not list pods in all namespaces"));
    }

    #[test]
    fn the_right_to_own_is_named() {
        let said = missing(
            "replicasets.apps \"a\" is forbidden: cannot set blockOwnerDeletion if an \
            ownerReference refers to a resource you can't set finalizers on: , <nil>",
        );
        assert!(said.unwrap().contains("may not update rollouts/finalizers"));
    }

    #[test]
    fn an_api_server_that_has_just_started_is_no_missing_right() {
        let text = "jobs.batch \"a\" is forbidden: cannot set blockOwnerDeletion in this case because \
            cannot find RESTMapping for APIVersion sluice.dev/v1alpha1 Kind AnalysisRun: no matches";
        assert!(is_undiscovered(text));
        assert_eq!(missing(text), None);
        assert!(!is_undiscovered(RBAC));
    }

    #[test]
    fn quotas_and_webhooks_speak_for_themselves() {
        for text in [
            "pods \"a\" is forbidden: exceeded quota: team, requested: pods=1",
            "admission webhook \"x\" denied the request: no",
            "ValidatingAdmissionPolicy 'a' denied request: User \"",
        ] {
            assert_eq!(missing(text), None);
            assert_eq!(explained(&text), text);
        }
    }
}
