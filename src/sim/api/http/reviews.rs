//! Questions about the user: who am I, and may I.

use serde_json::{Value, json};

use super::{Answer, Request};

/// The answer, if the request asks such.
pub(super) fn answer(request: &Request) -> Option<Answer> {
    if request.method != "POST" {
        return None;
    }
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let (status, kind, group) = match parts.as_slice() {
        ["apis", group @ "authentication.k8s.io", "v1", "selfsubjectreviews"] => {
            let user = json!({"username": request.user, "groups": ["system:authenticated"]});
            (json!({"userInfo": user}), "SelfSubjectReview", group)
        }
        ["apis", group @ "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => {
            (json!({"allowed": true}), "SelfSubjectAccessReview", group)
        }
        ["apis", group @ "authorization.k8s.io", "v1", "subjectaccessreviews"] => {
            (json!({"allowed": true}), "SubjectAccessReview", group)
        }
        ["apis", group @ "authorization.k8s.io", "v1", "selfsubjectrulesreviews"] => {
            let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
            let status = json!({
                "resourceRules": [all], "nonResourceRules": [], "incomplete": false,
            });
            (status, "SelfSubjectRulesReview", group)
        }
        _ => return None,
    };
    let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_else(|_| json!({}));
    body["kind"] = json!(kind);
    body["apiVersion"] = json!(format!("{group}/v1"));
    body["metadata"] = json!({});
    body["status"] = status;
    Some(Answer::Json { status: 201, body, warnings: Vec::new() })
}
