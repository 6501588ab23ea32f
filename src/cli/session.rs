//! What every verb works with: the cluster, the clock and the output.

use std::io::{IsTerminal, Write};

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt, api::DynamicObject, core::ApiResource};

use crate::{api::Rollout, sim::api::Resource};

use super::{exit::Failure, style::Style};

/// What every verb works with.
pub struct Session<'a> {
    /// The cluster.
    pub client: Client,
    /// The namespace to look in.
    pub namespace: String,
    /// The kubeconfig's name for the user.
    pub user: String,
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// What the output goes to.
    pub terminal: Terminal,
    /// The output.
    pub out: &'a mut dyn Write,
}

/// What the output goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Whether it is a terminal, which can be redrawn.
    pub interactive: bool,
    /// Whether to colour.
    pub style: Style,
}

impl Terminal {
    /// What standard output is: colours only on a terminal that wants them.
    pub fn of_stdout() -> Self {
        let interactive = std::io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            interactive: interactive && !dumb,
            style: Style { colour: interactive && !dumb && !set("NO_COLOR") },
        }
    }
}

impl Session<'_> {
    /// The Rollouts of the namespace.
    pub fn rollouts(&self) -> Api<Rollout> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Rollouts as they are stored, with fields that this version does not know; of all
    /// namespaces if `all`.
    pub fn raw_rollouts(&self, all: bool) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<Rollout>(&());
        if all {
            Api::all_with(self.client.clone(), &kind)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind)
        }
    }

    /// The objects of a kind; `namespace` counts for kinds that have one.
    pub fn objects(&self, kind: &Resource, namespace: &str) -> Api<DynamicObject> {
        let served = ApiResource {
            group: kind.group.to_owned(),
            version: kind.versions[0].to_owned(),
            api_version: kind.api_version(),
            kind: kind.kind.to_owned(),
            plural: kind.plural.to_owned(),
        };
        if kind.namespaced {
            Api::namespaced_with(self.client.clone(), namespace, &served)
        } else {
            Api::all_with(self.client.clone(), &served)
        }
    }

    /// The Rollout as it is now.
    pub async fn fetch(&self, name: &str) -> Result<Rollout, Failure> {
        let object = self.fetch_raw(name).await?;
        typed(object)
    }

    /// The Rollout as it is now and as it is stored.
    pub async fn fetch_raw(&self, name: &str) -> Result<DynamicObject, Failure> {
        let found = self.raw_rollouts(false).get_opt(name).await;
        match found {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(Failure::not_found(&self.namespace, name)),
            Err(error) => Err(Failure::api(&error, "read the Rollout")),
        }
    }

    /// Writes text as it is.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    /// Writes a line that is no output, to standard error, so that scripts do not read it.
    pub fn note(line: &str) -> Result<(), Failure> {
        writeln!(std::io::stderr(), "{line}")?;
        Ok(())
    }

    /// Writes a line.
    pub fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.print(&format!("{line}\n"))
    }
}

/// A stored Rollout as this version of the plugin reads it.
pub fn typed(object: DynamicObject) -> Result<Rollout, Failure> {
    let name = object.name_any();
    serde_json::to_value(object)
        .and_then(serde_json::from_value)
        .map_err(|error| {
            Failure::plain(format!(
                "cannot read the Rollout `{name}`: {error}; use a plugin of the controller's version, or look at it with -o yaml"
            ))
        })
}
