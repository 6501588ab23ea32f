//! Who is told of a Rollout's releases: its own subscription, or that of its namespace.

use super::config::Config;
use crate::{api::NOTIFY_ANNOTATION, world::Rollout};

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A channel in Slack, by its name in the configuration.
    Slack(String),
    /// A webhook, by its name in the configuration.
    Webhook(String),
    /// Alertmanager.
    Alertmanager,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slack(channel) => write!(f, "slack:{channel}"),
            Self::Webhook(name) => write!(f, "webhook:{name}"),
            Self::Alertmanager => f.write_str("alertmanager"),
        }
    }
}

impl Target {
    /// Reads one target of a subscription.
    pub fn read(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("slack", name)) if !name.is_empty() => Some(Self::Slack(name.to_owned())),
            Some(("webhook", name)) if !name.is_empty() => Some(Self::Webhook(name.to_owned())),
            None if text == "alertmanager" => Some(Self::Alertmanager),
            _ => None,
        }
    }

    /// What is wrong with it, if it is not configured.
    fn problem(&self, config: &Config) -> Option<String> {
        let list = |names: Vec<&String>| {
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            if names.is_empty() {
                "none is configured".to_owned()
            } else {
                format!("configured are {}", names.join(", "))
            }
        };
        let channels = config.slack.as_ref().map(|slack| &slack.channels);
        match self {
            Self::Slack(name) if channels.is_none_or(|channels| !channels.contains_key(name)) => {
                let known =
                    list(channels.map(|channels| channels.keys().collect()).unwrap_or_default());
                Some(format!("there is no Slack channel `{name}`; {known}"))
            }
            Self::Webhook(name) if !config.webhooks.contains_key(name) => {
                let known = list(config.webhooks.keys().collect());
                Some(format!("there is no webhook `{name}`; {known}"))
            }
            Self::Alertmanager if config.alertmanager.is_none() => {
                Some("no Alertmanager is configured".to_owned())
            }
            _ => None,
        }
    }
}

/// Who is told, and what is wrong with the subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Who is told.
    pub targets: Vec<Target>,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
}

/// The subscription of a Rollout.
pub fn subscription(config: &Config, rollout: &Rollout) -> Subscription {
    let own = rollout.object.pointer("/metadata/annotations");
    let own = own.and_then(|all| all.get(NOTIFY_ANNOTATION)).and_then(|text| text.as_str());
    let text = own.unwrap_or_else(|| config.default_of(&rollout.namespace));
    let place = match own {
        Some(_) => format!("annotation {NOTIFY_ANNOTATION}"),
        None => "the namespace's subscription".to_owned(),
    };
    let mut found = Subscription::default();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty() && *item != "none") {
        let target = Target::read(item);
        let problem = match &target {
            None => Some(format!(
                "found `{item}`, allowed are slack:NAME, webhook:NAME, alertmanager, none"
            )),
            Some(target) => target.problem(config),
        };
        let Some(problem) = problem else {
            let new = target.filter(|target| !found.targets.contains(target));
            found.targets.extend(new);
            continue;
        };
        found.problems.push(format!("{place}: {problem} (ConfigMap {})", super::config::NAME));
    }
    found
}
