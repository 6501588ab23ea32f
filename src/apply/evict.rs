//! Evictions: the API server itself keeps to PodDisruptionBudgets.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, EvictParams, Preconditions},
};

use super::{Applier, Failure};
use crate::observe::Object;

impl Applier<'_> {
    /// Evicts a pod. That a PodDisruptionBudget forbids it is remembered and no error: it is asked
    /// again later.
    pub(super) async fn evict(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<Option<Object>, Failure> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = EvictParams {
            delete_options: Some(DeleteParams::default().preconditions(preconditions)),
            ..EvictParams::default()
        };
        match api.evict(name, &params).await {
            Ok(_) => self.caches.forget_refused_eviction(namespace, name),
            // 500 is the answer where several budgets are for one pod: a person must change that.
            Err(kube::Error::Api(status))
                if status.code == 429
                    || status.code == 500 && status.message.contains("PodDisruptionBudget") =>
            {
                let now = (self.now)();
                self.caches.remember_refused_eviction(namespace, name, now, &status.message);
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }
}
