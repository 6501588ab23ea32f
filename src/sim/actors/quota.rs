//! The quota controller: what of a quota is used. The API server adds what is created; this counts
//! anew when the quota changes and when something goes.

use super::cluster::Cluster;
use crate::sim::api::{Key, limits::quota, resource::RESOURCE_QUOTA};

/// Counts a quota's objects.
pub fn sync(cluster: &mut Cluster, key: &Key) {
    let Some(quota) = cluster.get(&RESOURCE_QUOTA, key) else { return };
    let status = quota::status(cluster.store, &quota);
    cluster.set_status(&RESOURCE_QUOTA, key, status);
}

#[cfg(test)]
mod tests;
