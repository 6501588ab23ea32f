//! Follows the ConfigMap and the Secret of the notifications, so that a change of them needs no
//! restart. Whoever has neither pays for two watches that stand still.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Context,
    watches::{Report, events},
};
use crate::{
    apply::rights,
    notify::config::{Config, KEY, NAME},
    observe::Touched,
};

/// Pause after an answer that only a change of the roles can better.
const FORBIDDEN: Duration = Duration::from_secs(30);

/// What is known of one of the two; none until it was listed.
#[derive(Default)]
struct Known {
    data: BTreeMap<String, String>,
    /// What a listing that is under way has brought.
    listing: BTreeMap<String, String>,
    listed: bool,
}

/// Follows both for ever.
pub(super) async fn follow(context: Arc<Context>, out: UnboundedSender<Report>) {
    let Some(namespace) = context.settings.own_namespace.clone() else {
        context.notifier.set_known();
        return std::future::pending().await;
    };
    let mut maps = watch::<ConfigMap>(&context, &namespace);
    let mut secrets = watch::<Secret>(&context, &namespace);
    let (mut map, mut secret) = (Known::default(), Known::default());
    loop {
        let changed = tokio::select! {
            Some(event) = maps.next() => {
                take(&context, &mut map, event, |map| map.data.unwrap_or_default()).await
            }
            Some(event) = secrets.next() => {
                take(&context, &mut secret, event, |secret| texts(&secret)).await
            }
            else => return,
        };
        if changed && map.listed && secret.listed {
            if !read(&context, &map, &secret) {
                continue;
            }
            let all = context.caches.rollouts.all();
            let all = all.into_iter().map(|(key, _)| Touched::Rollout(key)).collect();
            if out.send(Report::Touched(all)).is_err() {
                return;
            }
        }
    }
}

/// Reads the configuration. Returns whether it is another one.
fn read(context: &Context, map: &Known, secret: &Known) -> bool {
    let text = map.data.get(KEY).map_or("", String::as_str);
    match Config::read(text, &secret.data) {
        Ok(config) if config != *context.notifier.config() => {
            tracing::info!("the notifications have another configuration");
            context.notifier.set_config(config);
            true
        }
        Ok(_) => {
            context.notifier.set_known();
            false
        }
        Err(errors) => {
            for error in errors {
                tracing::error!(error, "ConfigMap {NAME}: the configuration before it stays");
            }
            context.notifier.set_known();
            false
        }
    }
}

/// The one object of this kind that has our name: rights to it are enough.
fn watch<K>(
    context: &Context,
    namespace: &str,
) -> std::pin::Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    events(api, config).boxed()
}

/// Takes in an event. Returns whether anything is to be read anew.
async fn take<K>(
    context: &Context,
    known: &mut Known,
    event: watcher::Result<Event<K>>,
    data: impl Fn(K) -> BTreeMap<String, String>,
) -> bool {
    let before = known.data.clone();
    match event {
        Ok(Event::Init) => {
            known.listing.clear();
            return false;
        }
        Ok(Event::InitApply(object)) => known.listing = data(object),
        Ok(Event::Apply(object)) => known.data = data(object),
        Ok(Event::Delete(_)) => known.data.clear(),
        Ok(Event::InitDone) => {
            // What the listing did not name is gone.
            known.data = std::mem::take(&mut known.listing);
            known.listed = true;
            return true;
        }
        Err(error) => {
            let text = error.to_string();
            let error = rights::explained(&error);
            if rights::missing(&text).is_none() {
                tracing::warn!(error, "the configuration of the notifications cannot be watched");
                return false;
            }
            // Whoever wants no notifications leaves the role out.
            tracing::info!(error, "without this right there are no notifications");
            context.notifier.set_known();
            tokio::time::sleep(FORBIDDEN).await;
        }
    }
    known.listed && before != known.data
}

/// The values of a Secret that are texts.
fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), String::from_utf8(value.0.clone()).ok()?)))
        .collect()
}
