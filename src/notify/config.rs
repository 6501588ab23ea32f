//! Who can be told, and how: the ConfigMap and the Secret `sluice-notifications`.
//!
//! In: their data. Out: a [`Config`], or sentences that name the field. No value of the Secret stands
//! in any of them, nor in a `Debug` output.

use std::{collections::BTreeMap, fmt};

use reqwest::Url;
use serde::Deserialize;

use super::words::Words;

/// Name of the ConfigMap and of the Secret, in the controller's namespace.
pub const NAME: &str = "sluice-notifications";

/// The key of the ConfigMap that holds the configuration, as YAML.
pub const KEY: &str = "config.yaml";

/// The namespace that stands for all without a line of their own.
const ANY: &str = "*";

/// A value of the Secret; its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Slack.
    pub slack: Option<Slack>,
    /// Webhooks by name.
    pub webhooks: BTreeMap<String, Webhook>,
    /// Alertmanager.
    pub alertmanager: Option<Alertmanager>,
    /// The subscriptions of Rollouts that have none of their own, by namespace.
    pub namespaces: BTreeMap<String, String>,
    /// The texts.
    pub words: Words,
}

/// A Slack app in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slack {
    /// Where its API is.
    pub url: Url,
    /// The bot's token.
    pub token: Secret,
    /// What Slack signs its requests with; without one there are no buttons.
    pub signing_secret: Option<Secret>,
    /// Ids of channels, by the names that subscriptions use.
    pub channels: BTreeMap<String, String>,
    /// Who people in Slack are in Kubernetes.
    pub users: BTreeMap<String, Identity>,
}

/// Somebody as Kubernetes knows them.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// The name of the user.
    pub user: String,
    /// Groups that the user is in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Somebody who takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where.
    pub url: Url,
    /// What requests are signed with.
    pub secret: Secret,
}

/// An Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    /// Where it is.
    pub url: Url,
    /// Labels that all alerts get.
    pub labels: BTreeMap<String, String>,
    /// The token that it asks for.
    pub token: Option<Secret>,
}

/// The configuration as it is written.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Written {
    slack: Option<WrittenSlack>,
    webhooks: BTreeMap<String, WrittenWebhook>,
    alertmanager: Option<WrittenAlertmanager>,
    namespaces: BTreeMap<String, String>,
    templates: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenSlack {
    url: Option<String>,
    channels: BTreeMap<String, String>,
    users: BTreeMap<String, Identity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenWebhook {
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenAlertmanager {
    url: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Config {
    /// Reads the ConfigMap's text and the Secret's values.
    ///
    /// # Errors
    /// What is wrong, a sentence each.
    pub fn read(text: &str, secrets: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let written: Written = if text.trim().is_empty() {
            Written::default()
        } else {
            serde_yaml::from_str(text).map_err(|error| vec![format!("{KEY}: {error}")])?
        };
        let mut errors = Vec::new();
        let config = Self {
            slack: written.slack.and_then(|slack| keep(slack.read(secrets), &mut errors)),
            webhooks: written
                .webhooks
                .into_iter()
                .filter_map(|(name, webhook)| {
                    let webhook = keep(webhook.read(&name, secrets), &mut errors)?;
                    Some((name, webhook))
                })
                .collect(),
            alertmanager: written
                .alertmanager
                .and_then(|alertmanager| keep(alertmanager.read(secrets), &mut errors)),
            words: keep(Words::with(&written.templates), &mut errors).unwrap_or_default(),
            namespaces: written.namespaces,
        };
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// What is subscribed to for Rollouts of `namespace` that say nothing themselves.
    pub fn default_of(&self, namespace: &str) -> &str {
        let own = self.namespaces.get(namespace).or_else(|| self.namespaces.get(ANY));
        own.map_or("", String::as_str)
    }
}

fn keep<T>(read: Result<T, Vec<String>>, errors: &mut Vec<String>) -> Option<T> {
    read.map_err(|found| errors.extend(found)).ok()
}

impl WrittenSlack {
    fn read(self, secrets: &BTreeMap<String, String>) -> Result<Slack, Vec<String>> {
        let mut errors = Vec::new();
        let url = self.url.as_deref().unwrap_or("https://slack.com/api");
        let url = address("slack.url", url, true).map_err(|error| errors.push(error));
        let token = required(secrets, "slack-token").map_err(|error| errors.push(error));
        for (name, id) in &self.channels {
            let shaped = id.starts_with(['C', 'G', 'D'])
                && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
            if !shaped {
                errors.push(format!(
                    "slack.channels.{name}: found `{id}`, allowed is a channel's id such as \
                     C0123ABCD (in Slack: the channel's name, at the end of About)"
                ));
            }
        }
        for (id, identity) in &self.users {
            if identity.user.is_empty() || identity.user == "system:anonymous" {
                errors.push(format!(
                    "slack.users.{id}.user: found `{}`, allowed is the name of a Kubernetes user",
                    identity.user
                ));
            }
        }
        match (url, token) {
            (Ok(url), Ok(token)) if errors.is_empty() => Ok(Slack {
                url,
                token,
                signing_secret: optional(secrets, "slack-signing-secret"),
                channels: self.channels,
                users: self.users,
            }),
            _ => Err(errors),
        }
    }
}

impl WrittenWebhook {
    fn read(self, name: &str, secrets: &BTreeMap<String, String>) -> Result<Webhook, Vec<String>> {
        let url = address(&format!("webhooks.{name}.url"), &self.url, false);
        let secret = required(secrets, &format!("webhook-{name}"));
        match (url, secret) {
            (Ok(url), Ok(secret)) => Ok(Webhook { url, secret }),
            (url, secret) => Err(url.err().into_iter().chain(secret.err()).collect()),
        }
    }
}

impl WrittenAlertmanager {
    fn read(self, secrets: &BTreeMap<String, String>) -> Result<Alertmanager, Vec<String>> {
        let url = address("alertmanager.url", &self.url, false).map_err(|error| vec![error])?;
        let token = optional(secrets, "alertmanager-token");
        Ok(Alertmanager { url, labels: self.labels, token })
    }
}

/// An address. Where a token goes along, only loopback may do without TLS.
fn address(field: &str, text: &str, token: bool) -> Result<Url, String> {
    let allowed = if token { "an https address" } else { "an http or https address" };
    // A user and a password may stand in it: it is not quoted.
    let wrong = |what: &str| format!("{field}: found {what}, allowed is {allowed}");
    let url = Url::parse(text).map_err(|error| wrong(&format!("no address ({error})")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "{field}: found a user or password in it, which belongs into the Secret"
        ));
    }
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if !token || loopback => Ok(url),
        scheme => Err(wrong(&format!("`{scheme}://`"))),
    }
}

fn required(secrets: &BTreeMap<String, String>, key: &str) -> Result<Secret, String> {
    optional(secrets, key)
        .ok_or_else(|| format!("Secret {NAME} has no key `{key}`, or no text in it"))
}

fn optional(secrets: &BTreeMap<String, String>, key: &str) -> Option<Secret> {
    let value = secrets.get(key)?.trim();
    (!value.is_empty()).then(|| Secret(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
slack:
  channels: {releases: C0123ABCD}
  users:
    U1: {user: ann@example.com, groups: [sre]}
webhooks:
  ci: {url: 'https://ci.example.com/hook'}
alertmanager:
  url: http://alertmanager.monitoring:9093
  labels: {team: shop}
namespaces: {shop: 'slack:releases', '*': alertmanager}
templates: {degraded: '{message}'}
";

    fn secrets() -> BTreeMap<String, String> {
        let pairs = [("slack-token", "xoxb-hush\n"), ("webhook-ci", "hush"), ("other", "x")];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn all_of_it_is_read_and_no_secret_shows() {
        let config = Config::read(WHOLE, &secrets()).unwrap();
        assert_eq!(config.slack.as_ref().unwrap().token.0, "xoxb-hush");
        assert_eq!(config.slack.as_ref().unwrap().users["U1"].groups, ["sre"]);
        assert_eq!(config.default_of("shop"), "slack:releases");
        assert_eq!(config.default_of("other"), "alertmanager");
        assert!(!format!("{config:?}").contains("hush"));
        assert_eq!(Config::read("", &BTreeMap::new()).unwrap(), Config::default());
    }

    #[test]
    fn each_mistake_is_named_with_its_field_and_without_any_secret() {
        let text = "
slack: {url: 'http://slack.example.com', channels: {releases: '#releases'}, users: {U1: {user: ''}}}
webhooks: {ci: {url: 'https://ann:hush@example.com'}, cd: {url: 'ftp://x'}}
templates: {live: '{nobody}'}
";
        let errors = Config::read(text, &secrets()).unwrap_err().join("\n");
        for said in [
            "slack.url: found `http://`, allowed is an https address",
            "slack.channels.releases: found `#releases`, allowed is a channel's id",
            "slack.users.U1.user: found ``",
            "webhooks.ci.url: found a user or password",
            "webhooks.cd.url: found `ftp://`, allowed is an http or https address",
            "Secret sluice-notifications has no key `webhook-cd`",
            "templates.live: found {nobody}",
        ] {
            assert!(errors.contains(said), "{said}: {errors}");
        }
        assert!(!errors.contains("hush"), "{errors}");
        let errors = Config::read("slak: {}", &secrets()).unwrap_err().join("\n");
        assert!(errors.starts_with("config.yaml: ") && errors.contains("slak"), "{errors}");
    }
}
