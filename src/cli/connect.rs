//! From the kubeconfig to a client, as kubectl does it.

use std::time::Duration;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{args::Global, exit::Failure};

/// The time that a connection may take; kube's 30 seconds are long for a person on call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The cluster that the command line names.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace: the flag's, else the context's.
    pub namespace: String,
    /// The kubeconfig's name for the user; empty inside a cluster.
    pub user: String,
}

/// Reads the kubeconfig (inside a cluster without one: the service account) and makes a client.
pub async fn connect(global: &Global) -> Result<Connection, Failure> {
    let (mut config, user) = match kubeconfig(global) {
        Ok(kubeconfig) => from_kubeconfig(kubeconfig, global).await?,
        Err(failure) => match Config::incluster() {
            Ok(config) if global.kubeconfig.is_none() && global.context.is_none() => {
                (config, String::new())
            }
            _ => return Err(failure),
        },
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let namespace = global.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| {
        Failure::plain(format!(
            "cannot use the kubeconfig: {error}; check the cluster and user of its context"
        ))
    })?;
    Ok(Connection { client, namespace, user })
}

/// The contexts of the kubeconfig; none if it cannot be read.
pub fn contexts(global: &Global) -> Vec<String> {
    let read = kubeconfig(global).map(|kubeconfig| kubeconfig.contexts);
    read.unwrap_or_default().into_iter().map(|context| context.name).collect()
}

fn kubeconfig(global: &Global) -> Result<Kubeconfig, Failure> {
    let read = match &global.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    read.map_err(|error| {
        Failure::plain(format!(
            "cannot read a kubeconfig: {error}; name one with --kubeconfig or KUBECONFIG"
        ))
    })
}

async fn from_kubeconfig(
    kubeconfig: Kubeconfig,
    global: &Global,
) -> Result<(Config, String), Failure> {
    let user = user_name(&kubeconfig, global.context.as_deref());
    let options =
        KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
        Failure::plain(format!(
            "cannot use the kubeconfig: {error}; `kubectl config get-contexts` lists its contexts"
        ))
    })?;
    Ok((config, user))
}

/// The user that the context names.
fn user_name(kubeconfig: &Kubeconfig, context: Option<&str>) -> String {
    let wanted = context.or(kubeconfig.current_context.as_deref());
    let named = kubeconfig.contexts.iter().find(|context| Some(context.name.as_str()) == wanted);
    let user =
        named.and_then(|context| context.context.as_ref()).and_then(|context| context.user.clone());
    user.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_that_of_the_chosen_context() {
        let text = "
contexts:
- name: prod
  context: {cluster: p, user: alice}
- name: test
  context: {cluster: t, user: bob}
current-context: prod
";
        let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
        assert_eq!(user_name(&kubeconfig, None), "alice");
        assert_eq!(user_name(&kubeconfig, Some("test")), "bob");
        assert_eq!(user_name(&kubeconfig, Some("none")), "");
    }
}
