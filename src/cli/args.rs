//! The command line: parsing and nothing else.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::api::Duration;

use super::{
    adopt, backtest, completion, convert, exit, explain, judge, lint, plan, preflight, release,
    simulate, status::Goal,
};

/// The plugin's command line.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-sluice",
    bin_name = "kubectl sluice",
    disable_version_flag = true,
    about = "Shows and steers releases under Sluice",
    after_help = exit::HELP
)]
pub struct Cli {
    /// Where the cluster is.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Where the cluster is, as in kubectl.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Namespace to look in; default: the context's
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig to use; default: the current one
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Kubeconfig file to use; default: as kubectl (KUBECONFIG, then the home folder)
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists Rollouts, or shows one with its revisions, pods and analysis
    Get(Get),
    /// Says how a Rollout stands, by text and exit code; --watch waits for the end of the release
    #[command(after_help = exit::HELP)]
    Status(Status),
    /// Ends the pause or analysis step that the release waits in
    Promote(Promote),
    /// Goes back to the stable revision
    Abort(Abort),
    /// Starts an aborted release again at its first step
    Retry(Plain),
    /// Holds the release before its next step
    Pause(Plain),
    /// Ends a pause that `pause` or spec.paused began
    Resume(Plain),
    /// Replaces all pods, one after the other, as disruption budgets allow; no release
    Restart(Plain),
    /// Writes the pod template of an earlier revision back to where the template stands
    Undo(Undo),
    /// Changes the pod template where it stands, which starts a release
    #[command(subcommand)]
    Set(Set),
    /// Lists the releases that the Rollout remembers: who, what, why, how long
    History(History),
    /// Shows the decision log: what was decided when, on which numbers, and by whom
    Explain(explain::Flags),
    /// Shows every write that a change would cause, in order and with its reason; writes nothing
    Plan(plan::Flags),
    /// Releases your own manifests on a simulated cluster, with a good or a bad new version
    Simulate(Box<simulate::Flags>),
    /// Converts manifests of Argo Rollouts, Flagger or plain Deployments, and lists what changed or has
    /// no equal; needs no cluster
    Convert(convert::Flags),
    /// Looks whether a release can go through: routes, Services, quotas, autoscalers, queries, rights
    Preflight(Box<preflight::Flags>),
    /// Puts a running Deployment under Sluice, after a look for what is in the way
    #[command(after_help = exit::HELP)]
    Adopt(Box<adopt::Flags>),
    /// Gives an adopted Deployment its pods, Services and routes back, and deletes the Rollout
    #[command(after_help = exit::HELP)]
    Release(release::Flags),
    /// Compares canary and stable in a file of counts, after every interval; needs no cluster
    Judge(judge::Flags),
    /// Replays the comparison over the past of a Prometheus: false alarms of quiet times, and when bad
    /// releases would have been caught
    Backtest(Box<backtest::Flags>),
    /// Checks manifests: schema, references, queries, conditions; needs no cluster
    Lint(lint::Flags),
    /// Prints the script that completes this command line in a shell
    #[command(after_help = completion::HELP)]
    Completion(completion::Flags),
    /// Prints the version of this plugin
    Version,
}

/// `get`.
#[derive(Args, Debug)]
pub struct Get {
    /// What to show
    #[arg(value_enum, hide_possible_values = true)]
    pub kind: Kind,
    /// One Rollout, shown as a tree
    #[arg(value_parser = rollout_name)]
    pub name: Option<String>,
    /// Looks in all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Label selector, such as team=shop
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Format of the output
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// With NAME: goes on showing changes, in place on a terminal, else a line per change
    #[arg(short, long)]
    pub watch: bool,
}

/// The kinds that `get` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Rollouts.
    #[value(aliases = ["rollout", "ro", "rollouts.sluice.dev", "rollout.sluice.dev"])]
    Rollouts,
}

/// The formats of `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The table with more columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Names only
    Name,
}

/// The formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON document
    Json,
}

/// `status`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("waits").args(["watch", "goal"])))]
pub struct Status {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// Waits for the end of the release, or for a pause that needs a person
    #[arg(short, long)]
    pub watch: bool,
    /// Waits for this: completed (the end of the release, whatever pauses there are), healthy, paused,
    /// or step=N (the beginning of that step, from 1); an abort or a degraded Rollout ends it as well
    #[arg(long = "for", value_name = "GOAL")]
    pub goal: Option<Goal>,
    /// With --watch or --for: the longest time to wait, such as 90s, 10m or 1h; default: no limit
    #[arg(long, value_name = "DURATION", requires = "waits")]
    pub timeout: Option<Duration>,
    /// JSON: one object, or while waiting one on a line for each change
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
    /// Adds a summary in Markdown to this file at the end, for example `"$GITHUB_STEP_SUMMARY"`
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Writes a `JUnit` file at the end: the release and each metric as test cases
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

impl Status {
    /// What to wait for, if at all.
    pub fn goal(&self) -> Option<Goal> {
        self.goal.or_else(|| self.watch.then_some(Goal::Turn))
    }
}

/// `set`.
#[derive(Debug, Subcommand)]
pub enum Set {
    /// Gives containers another image; starts a release
    Image(SetImage),
}

/// `set image`.
#[derive(Args, Debug)]
pub struct SetImage {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// Container and image; `*` is every container
    #[arg(required = true, value_name = "CONTAINER=IMAGE", value_parser = change)]
    pub changes: Vec<Change>,
}

/// One container's new image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The container, or `*`.
    pub container: String,
    /// The image.
    pub image: String,
}

fn change(text: &str) -> Result<Change, String> {
    let parts = text.split_once('=').filter(|(container, image)| {
        !container.is_empty() && !image.is_empty() && !image.contains(char::is_whitespace)
    });
    let (container, image) = parts.ok_or("write CONTAINER=IMAGE, such as app=shop/checkout:v3")?;
    Ok(Change { container: container.to_owned(), image: image.to_owned() })
}

/// `history`.
#[derive(Args, Debug)]
pub struct History {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// Only the releases of this revision
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<i64>,
    /// Format of the output
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Encoding>,
}

/// JSON or YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// `promote`.
#[derive(Args, Debug)]
pub struct Promote {
    /// The Rollout and how long to wait.
    #[command(flatten)]
    pub plain: Plain,
    /// Skips all that is left of the steps and of the analysis
    #[arg(long)]
    pub full: bool,
    /// Leaves the present step, whatever it waits for, and goes to the next one
    #[arg(long, visible_alias = "step")]
    pub skip_current_step: bool,
}

/// `undo`.
#[derive(Args, Debug)]
pub struct Undo {
    /// The Rollout and how long to wait.
    #[command(flatten)]
    pub plain: Plain,
    /// Number of the revision, as `get rollout NAME` shows it; default: during a release the stable
    /// one, else the one that was stable before
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    pub to_revision: Option<i64>,
}

/// `abort`.
#[derive(Args, Debug)]
pub struct Abort {
    /// The Rollout and how long to wait.
    #[command(flatten)]
    pub plain: Plain,
    /// Why, for those who read the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// A command without arguments of its own.
#[derive(Args, Debug)]
pub struct Plain {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// How long to wait for the controller to carry the command out
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub wait_timeout: Duration,
    /// Does not wait for the controller
    #[arg(long, conflicts_with = "wait_timeout")]
    pub no_wait: bool,
}

impl Plain {
    /// How long to wait; `None`: not at all.
    pub fn wait(&self) -> Option<std::time::Duration> {
        (!self.no_wait).then_some(self.wait_timeout.0)
    }
}

/// The name of a Rollout, with or without its kind, as `get -o name` prints it.
pub(super) fn rollout_name(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some((
            "rollout" | "rollouts" | "ro" | "rollout.sluice.dev" | "rollouts.sluice.dev",
            name,
        )) => name,
        Some((kind, _)) => {
            return Err(format!(
                "`{kind}` is not a kind that this plugin knows; write rollout/NAME or just NAME"
            ));
        }
        None => text,
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.is_empty() || !name.chars().all(allowed) {
        return Err("a Rollout's name has lower-case letters, digits, `-` and `.` only".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reads_what_kubectl_users_write() {
        for line in [
            "x get rollouts",
            "x get ro -A -o wide",
            "x get ro -l team=shop -n shop -o json",
            "x get rollout checkout --watch",
            "x -n shop --context prod status rollout/checkout --watch --timeout 10m",
            "x status rollout.sluice.dev/checkout -n shop",
            "x promote checkout --full --no-wait",
            "x abort checkout --reason errors",
            "x retry ro/checkout --wait-timeout 5s",
            "x pause checkout",
            "x resume checkout --kubeconfig file",
            "x promote checkout --skip-current-step",
            "x promote checkout --step",
            "x restart checkout --no-wait",
            "x status checkout --for=completed --timeout 10m -o json --summary s.md --junit j.xml",
            "x status checkout --for step=3",
            "x set image rollout/checkout app=shop/checkout:v3 *=x:1",
            "x history checkout -o yaml --revision 3",
            "x completion zsh",
            "x explain checkout --all -o json",
            "x plan checkout --image shop/checkout:v4 -o json",
            "x plan checkout -f rollout.yaml -f -",
            "x simulate examples/canary --canary-errors 5%",
            "x undo ro/checkout",
            "x undo checkout --to-revision 3 --wait-timeout 5s",
            "x judge counts.csv",
            "x judge - --false-alarms 2% --tolerate-ratio 1.5 --release 20m --objective 99.9%",
            "x convert rollout.yaml canary/ --output-dir out",
            "x convert - -o json",
            "x adopt deployment/web --strategy canary --stable-service web --steps s.yaml --no-wait",
            "x adopt web --dry-run=client -o yaml",
            "x release rollout/web --force --wait-timeout 5m",
            "x preflight web --prometheus-url http://localhost:9090 -o json",
            "x preflight -f rollout.yaml --controller-service-account sluice/sluice",
            "x backtest rollout.yaml templates --metric errors --arg service=shop --prometheus-url http://p",
            "x backtest --requests a --errors b --quiet 14d..7d --bad 1d..2h --label v --report r.svg",
            "x lint rollout.yaml templates -o sarif",
            "x lint - --cluster --prometheus-url http://p -o github",
            "x version",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn wrong_usage_has_the_code_of_wrong_usage() {
        for line in [
            "x",
            "x promote",
            "x promote a b",
            "x promote checkout --no-wait --wait-timeout 5s",
            "x promote checkout --reason why",
            "x undo checkout --to-revision 0",
            "x undo checkout --to-revision last",
            "x promote deployment/checkout",
            "x abort Checkout",
            "x status checkout --timeout 5m",
            "x status checkout --for done",
            "x status checkout --for healthy --watch",
            "x set image checkout",
            "x set image checkout app",
            "x set image checkout app=",
            "x completion tcsh",
            "x status checkout --watch --timeout soon",
            "x get pods",
            "x judge",
            "x judge counts.csv --false-alarms few",
            "x judge counts.csv --burn 6",
            "x get rollouts -o xml",
            "x convert",
            "x adopt statefulset/web",
            "x adopt web --strategy recreate",
            "x release",
            "x preflight",
            "x preflight web --controller-service-account sluice",
            "x lint",
            "x lint file -o xml",
            "x lint file --prometheus-url http://p",
            "x backtest",
            "x backtest file --requests a",
            "x backtest --requests a --quiet yesterday..now",
        ] {
            let code = parse(line).err().map(|error| error.exit_code());
            assert_eq!(code, Some(i32::from(exit::Exit::Usage.code())), "{line}");
        }
    }
}
