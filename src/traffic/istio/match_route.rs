//! Routes for some requests only, which a release adds before all others: by header, or as a copy.

use crate::api::{SetHeaderRoute, SetMirrorRoute};

/// A route for some requests that a step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchRoute {
    /// Requests with certain headers go to the canary.
    Header(SetHeaderRoute),
    /// A copy of certain requests goes to the canary.
    Mirror(SetMirrorRoute),
}

impl MatchRoute {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Header(route) => &route.name,
            Self::Mirror(route) => &route.name,
        }
    }

    /// Whether it matches nothing, which takes the route away.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Header(route) => route.r#match.is_empty(),
            Self::Mirror(route) => route.r#match.is_empty(),
        }
    }
}
