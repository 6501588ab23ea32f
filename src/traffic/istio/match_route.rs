//! Routes for some requests only, which a release adds before all others: by header, or as a copy.
//!
//! In: the base, a managed http route with its weights, and what a step asks for. Out: a copy of the
//! base that takes those of its requests that the step means: whatever else the base does to a
//! request (timeouts, retries, headers, faults) is done to these as well.

use serde_json::{Map, Value, json};

use super::{RouteError, conditions};
use crate::api::{HeaderMatch, RequestMatch, SetHeaderRoute, SetMirrorRoute, StringMatch};

/// The fields of a route that say where copies go.
const MIRRORS: [&str; 4] = ["mirror", "mirrors", "mirrorPercent", "mirrorPercentage"];

/// A route for some requests that a step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchRoute {
    /// Requests with certain headers go to the canary.
    Header(SetHeaderRoute),
    /// A copy of certain requests goes to the canary.
    Mirror(SetMirrorRoute),
}

/// A managed http route, as a pattern for routes of ours.
pub(super) struct Base<'a> {
    /// Namespace and name of the `VirtualService`, for messages.
    pub(super) object: &'a str,
    /// What people call the route.
    pub(super) name: String,
    /// The route.
    pub(super) route: &'a Value,
    /// Its entry for the canary.
    pub(super) canary: &'a Value,
    /// What its weights sum to.
    pub(super) total: i32,
}

// === impl MatchRoute ===

impl MatchRoute {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Header(route) => &route.name,
            Self::Mirror(route) => &route.name,
        }
    }

    /// The field of its step.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Header(_) => "setHeaderRoute",
            Self::Mirror(_) => "setMirrorRoute",
        }
    }

    /// Whether it matches nothing, which takes the route away.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Header(route) => route.r#match.is_empty(),
            Self::Mirror(route) => route.r#match.is_empty(),
        }
    }

    /// The requests that are meant: each entry is one way to be meant.
    fn requests(&self) -> Vec<Vec<Condition<'_>>> {
        match self {
            Self::Header(route) => vec![route.r#match.iter().map(of_header).collect()],
            Self::Mirror(route) => route.r#match.iter().map(of_request).collect(),
        }
    }
}

/// What a request must have to be meant.
pub(super) struct Condition<'a> {
    pub(super) of: Part<'a>,
    pub(super) text: &'a StringMatch,
}

/// A part of a request.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Method,
    Path,
    Header(&'a str),
}

fn of_header(found: &HeaderMatch) -> Condition<'_> {
    Condition { of: Part::Header(&found.header_name), text: &found.header_value }
}

fn of_request(found: &RequestMatch) -> Vec<Condition<'_>> {
    let method = found.method.iter().map(|text| Condition { of: Part::Method, text });
    let path = found.path.iter().map(|text| Condition { of: Part::Path, text });
    let headers = found.headers.iter();
    let headers = headers.map(|(name, text)| Condition { of: Part::Header(name), text });
    method.chain(path).chain(headers).collect()
}

// === impl Base ===

impl Base<'_> {
    /// The route that `wanted` asks for beside this one; none if it takes no request of this one.
    ///
    /// # Errors
    ///
    /// When Istio has no words for the requests that both take.
    pub(super) fn with(&self, wanted: &MatchRoute) -> Result<Option<Value>, RouteError> {
        let Some(fields) = self.route.as_object() else { return Ok(None) };
        let matches = self.matches(wanted)?;
        if matches.is_empty() {
            return Ok(None);
        }
        let mut fields = fields.clone();
        fields.insert("name".into(), wanted.name().into());
        fields.insert("match".into(), matches.into());
        match wanted {
            MatchRoute::Header(_) => {
                for field in MIRRORS {
                    fields.remove(field);
                }
                let mut canary = self.canary.as_object().cloned().unwrap_or_default();
                canary.insert("weight".into(), self.total.into());
                fields.insert("route".into(), json!([canary]));
            }
            MatchRoute::Mirror(mirror) => self.copy_to_canary(&mut fields, mirror.percentage),
        }
        Ok(Some(fields.into()))
    }

    /// Each match of the base together with each of the step's: so the base's own conditions hold.
    fn matches(&self, wanted: &MatchRoute) -> Result<Vec<Value>, RouteError> {
        let own = self.route.get("match").and_then(Value::as_array);
        let own: Vec<Map<String, Value>> = match own {
            Some(own) if !own.is_empty() => {
                own.iter().map(|entry| entry.as_object().cloned().unwrap_or_default()).collect()
            }
            _ => vec![Map::new()],
        };
        let rewrites = self.route.pointer("/rewrite/uri").is_some_and(|uri| !uri.is_null());
        let mut all = Vec::new();
        for entry in &own {
            for request in wanted.requests() {
                let both = conditions::both(entry, &request);
                let both = both.map_err(|clash| clash.error(self, wanted))?;
                let Some(both) = both else { continue };
                // Istio replaces the path that was matched: another match would mean another path.
                if rewrites && both.get("uri") != entry.get("uri") {
                    return Err(RouteError::RewrittenPath {
                        object: self.object.into(),
                        route: self.name.clone(),
                        name: wanted.name().into(),
                    });
                }
                if !all.contains(&Value::Object(both.clone())) {
                    all.push(both.into());
                }
            }
        }
        Ok(all)
    }

    /// Adds the canary to where copies of the requests go. Those that the base sends elsewhere still
    /// go there.
    fn copy_to_canary(&self, fields: &mut Map<String, Value>, percentage: i32) {
        let [mirror, mirrors, percent, share] = MIRRORS.map(|field| fields.remove(field));
        let to = self.canary.get("destination").cloned().unwrap_or_default();
        let share_of_ours = json!({ "value": percentage });
        let mut others = mirrors.and_then(into_list).unwrap_or_default();
        if let Some(mirror) = mirror.filter(|mirror| !mirror.is_null()) {
            let mut other = json!({ "destination": mirror });
            let whole = percent.filter(Value::is_number).map(|percent| json!({ "value": percent }));
            if let Some(share) = share.filter(|share| !share.is_null()).or(whole) {
                other["percentage"] = share;
            }
            others.push(other);
        }
        if others.is_empty() {
            fields.insert("mirror".into(), to);
            fields.insert("mirrorPercentage".into(), share_of_ours);
        } else {
            others.push(json!({"destination": to, "percentage": share_of_ours}));
            fields.insert("mirrors".into(), others.into());
        }
    }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        _ => None,
    }
}
