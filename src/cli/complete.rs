//! What may stand at the end of a `kubectl sluice` line: kubectl asks a program
//! `kubectl_complete-sluice` on the PATH, which is this plugin by another name.
//!
//! The words and the answer are those of kubectl's plugins: what was typed after `kubectl sluice`, the
//! last of it unfinished; a candidate a line, with a tab and its description, and last `:` with what the
//! shell does besides (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>, and
//! cobra's `ShellCompDirective`).

use std::{any::TypeId, io, io::Write, path::PathBuf, time::Duration};

use clap::{Arg, Command, CommandFactory};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::api::Rollout;

use super::{
    args::{Cli, Global},
    connect,
};

/// The name by which kubectl calls for this.
pub const PROGRAM: &str = "kubectl_complete-sluice";

/// The most names that are read.
const MOST: u32 = 500;

/// How long a person who pressed the tab key waits for the cluster.
const PATIENCE: Duration = Duration::from_secs(3);

/// What may stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One of these words, with a description.
    Words(Vec<(String, String)>),
    /// The name of an object.
    Named(Kind),
    /// A context of the kubeconfig.
    Context,
    /// A file.
    File,
    /// Something that nobody can know.
    Anything,
}

/// Objects with names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rollouts of the namespace.
    Rollout,
    /// Deployments of the namespace.
    Deployment,
    /// Namespaces.
    Namespace,
}

/// What is asked for, and where the cluster is.
#[derive(Clone, Debug)]
pub struct Question {
    /// What may stand there.
    pub wanted: Wanted,
    /// What is there of it so far.
    pub begun: String,
    /// What stands before it and is kept: `--output=`.
    pub before: String,
    /// The flags that say where the cluster is.
    pub global: Global,
}

/// Answers for the words after `kubectl sluice`, with names of the cluster that they name.
///
/// # Errors
/// The output is gone.
pub async fn run(words: &[String], out: &mut dyn Write) -> io::Result<()> {
    let question = question(words);
    let names = match question.wanted {
        Wanted::Named(kind) => match connect::connect(&question.global).await {
            Ok(found) => {
                let names = names(&found.client, &found.namespace, kind);
                tokio::time::timeout(PATIENCE, names).await.unwrap_or_default()
            }
            Err(_) => Vec::new(),
        },
        Wanted::Context => connect::contexts(&question.global),
        Wanted::Words(_) | Wanted::File | Wanted::Anything => Vec::new(),
    };
    answer(&question, names, out)
}

/// Reads the words after `kubectl sluice`; the last is unfinished.
pub fn question(words: &[String]) -> Question {
    let (last, words) =
        words.split_last().map_or(("", words), |(last, rest)| (last.as_str(), rest));
    let root = Cli::command();
    let mut line =
        Line { commands: vec![&root], global: Global::default(), positionals: 0, open: None };
    for word in words {
        line.read(word);
    }
    let (before, begun) = match last.split_once('=') {
        Some((flag, value)) if line.open.is_none() && flag.starts_with("--") => {
            line.open = line.flag(flag);
            (format!("{flag}="), value)
        }
        _ => (String::new(), last),
    };
    let wanted = line.wanted(begun);
    Question { wanted, begun: begun.to_owned(), before, global: line.global }
}

/// A line as far as it is read.
struct Line<'a> {
    /// The plugin, its verb, and the verb's own.
    commands: Vec<&'a Command>,
    global: Global,
    /// How many words of the verb have been read that are no flags.
    positionals: usize,
    /// The flag whose value comes next.
    open: Option<&'a Arg>,
}

impl<'a> Line<'a> {
    fn read(&mut self, word: &str) {
        if let Some(flag) = self.open.take() {
            return self.take(flag, word);
        }
        if word.starts_with('-') {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            match (self.flag(name), value) {
                (Some(flag), Some(value)) => self.take(flag, value),
                (Some(flag), None) if flag.get_action().takes_values() => self.open = Some(flag),
                _ => {}
            }
            return;
        }
        match self.commands.last().and_then(|command| command.find_subcommand(word)) {
            Some(command) => self.commands.push(command),
            None => self.positionals += 1,
        }
    }

    fn take(&mut self, flag: &Arg, value: &str) {
        match flag.get_id().as_str() {
            "namespace" => self.global.namespace = Some(value.to_owned()),
            "context" => self.global.context = Some(value.to_owned()),
            "kubeconfig" => self.global.kubeconfig = Some(PathBuf::from(value)),
            _ => {}
        }
    }

    /// The flags of the verb and of all verbs.
    fn flags(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        let of = |command: &'a Command| command.get_arguments().filter(|arg| !arg.is_positional());
        let (root, verb) = (self.commands.first().copied(), self.commands.last().copied());
        root.into_iter().chain(verb).flat_map(of)
    }

    fn flag(&self, name: &str) -> Option<&'a Arg> {
        self.flags().find(|flag| match name.strip_prefix("--") {
            Some(long) => flag.get_long() == Some(long),
            None => flag.get_short().is_some_and(|short| name == format!("-{short}")),
        })
    }

    fn wanted(&self, begun: &str) -> Wanted {
        if let Some(flag) = self.open {
            return value_of(flag);
        }
        let Some(command) = self.commands.last() else { return Wanted::Anything };
        if begun.starts_with('-') {
            let mut words: Vec<(String, String)> = Vec::new();
            for flag in self.flags().filter(|flag| !flag.is_hide_set()) {
                let word = flag.get_long().map(|long| (format!("--{long}"), help(flag.get_help())));
                words.extend(word.filter(|word| !words.contains(word)));
            }
            return Wanted::Words(words);
        }
        if command.has_subcommands() && self.positionals == 0 {
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
            return Wanted::Words(
                verbs.map(|verb| (verb.get_name().to_owned(), help(verb.get_about()))).collect(),
            );
        }
        let positionals: Vec<&Arg> = command.get_positionals().collect();
        let many = positionals
            .last()
            .filter(|last| last.get_num_args().is_some_and(|n| n.max_values() > 1));
        positionals
            .get(self.positionals)
            .or(many)
            .map_or(Wanted::Words(Vec::new()), |arg| value_of(arg))
    }
}

/// What an argument may be.
fn value_of(arg: &Arg) -> Wanted {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let of = |value: &clap::builder::PossibleValue| {
            (value.get_name().to_owned(), help(value.get_help()))
        };
        return Wanted::Words(
            possible.iter().filter(|value| !value.is_hide_set()).map(of).collect(),
        );
    }
    match arg.get_id().as_str() {
        "name" if arg.is_positional() => Wanted::Named(Kind::Rollout),
        "deployment" if arg.is_positional() => Wanted::Named(Kind::Deployment),
        "namespace" => Wanted::Named(Kind::Namespace),
        "context" => Wanted::Context,
        _ if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() => Wanted::File,
        _ => Wanted::Anything,
    }
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The names of a kind's objects. What cannot be read has none: a line that is being typed is no place
/// for an error.
pub async fn names(client: &Client, namespace: &str, kind: Kind) -> Vec<String> {
    async fn of<K>(api: Api<K>) -> Vec<String>
    where
        K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let listed = api.list_metadata(&ListParams::default().limit(MOST)).await;
        listed.map(|list| list.iter().map(ResourceExt::name_any).collect()).unwrap_or_default()
    }
    let client = client.clone();
    match kind {
        Kind::Rollout => of(Api::<Rollout>::namespaced(client, namespace)).await,
        Kind::Deployment => of(Api::<Deployment>::namespaced(client, namespace)).await,
        Kind::Namespace => of(Api::<Namespace>::all(client)).await,
    }
}

/// Writes the answer to a question; `names` are the objects or contexts that it asks for.
///
/// # Errors
/// The output is gone.
pub fn answer(question: &Question, names: Vec<String>, out: &mut dyn Write) -> io::Result<()> {
    let words = match &question.wanted {
        Wanted::Words(words) => words.clone(),
        Wanted::Named(_) | Wanted::Context => {
            names.into_iter().map(|name| (name, String::new())).collect()
        }
        Wanted::File | Wanted::Anything => Vec::new(),
    };
    for (word, help) in words.iter().filter(|(word, _)| word.starts_with(&question.begun)) {
        let tab = if help.is_empty() { "" } else { "\t" };
        writeln!(out, "{}{word}{tab}{help}", question.before)?;
    }
    // 0: the shell offers files; 4: it does not.
    writeln!(out, ":{}", if question.wanted == Wanted::File { 0 } else { 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Question {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        question(&words)
    }

    fn shown(line: &str) -> String {
        let mut out = Vec::new();
        answer(&asked(line), vec!["api".into(), "web".into()], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_stand_where_the_verb_wants_one() {
        for line in
            ["promote ", "get rollouts w", "status --timeout 5m ", "set image ", "-n shop undo "]
        {
            assert_eq!(asked(line).wanted, Wanted::Named(Kind::Rollout), "{line}");
        }
        assert_eq!(asked("adopt ").wanted, Wanted::Named(Kind::Deployment));
        assert_eq!(asked("get -n ").wanted, Wanted::Named(Kind::Namespace));
        assert_eq!(asked("get --namespace=s").wanted, Wanted::Named(Kind::Namespace));
        assert_eq!(asked("get --context ").wanted, Wanted::Context);
        assert_eq!(asked("promote web ").wanted, Wanted::Words(Vec::new()), "one is enough");
        assert_eq!(asked("set image web ").wanted, Wanted::Anything);
    }

    #[test]
    fn the_cluster_is_the_one_that_the_line_names() {
        let question = asked("-n shop --context=prod promote --kubeconfig here w");
        assert_eq!(question.global.namespace.as_deref(), Some("shop"));
        assert_eq!(question.global.context.as_deref(), Some("prod"));
        assert_eq!(question.global.kubeconfig, Some(PathBuf::from("here")));
        assert_eq!(question.begun, "w");
    }

    #[test]
    fn verbs_flags_and_values_are_told_with_their_help() {
        assert_eq!(
            shown("rest"),
            "restart\tReplaces all pods, one after the other, as disruption budgets allow; no release\n:4\n"
        );
        assert_eq!(shown("set "), "image\tGives containers another image; starts a release\n:4\n");
        assert!(shown("promote --f").starts_with("--full\t"), "{}", shown("promote --f"));
        assert!(shown("abort --names").starts_with("--namespace\t"), "flags of all verbs as well");
        assert!(shown("get -o y").starts_with("yaml\tYAML\n"));
        assert!(shown("get --output=y").starts_with("--output=yaml\tYAML\n"));
        assert_eq!(shown("promote w"), "web\n:4\n");
        assert_eq!(shown("lint "), ":0\n", "the shell offers files");
        assert_eq!(shown("plan web -f "), ":0\n");
        assert_eq!(shown("nonsense "), ":4\n");
    }
}
