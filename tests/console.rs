//! One file below `tests/console` is one test: what a person types at the simulated cluster, and what
//! is then on the screen, in a golden transcript beside it (`make golden` writes them anew).
//!
//! A file is a scenario with a `session` instead of steps: command lines, `wait: 1m` between them, and
//! `{watch: COMMAND, for: 3m}` for one that Ctrl-C ends. A line `kubectl_complete-sluice WORDS` is what
//! kubectl asks when the tab key is pressed.

#[allow(dead_code, reason = "the scenarios and the end-to-end tests list the files")]
#[path = "support/stories.rs"]
mod stories;

#[path = "support/golden.rs"]
mod golden;

use std::{cell::Cell, fmt::Write, fs, path::Path, pin::pin};

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sluice::{
    api::Duration,
    cli::{
        args::Cli,
        complete::{self, Wanted},
        exit::{Exit, Failure},
        plugin,
        session::{Session, Terminal},
    },
    sim::{actors, api::resource, mesh, scenario::Scenario, simulation::Simulation},
};

thread_local! {
    /// The clock of the present command.
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

/// The longest time that a command may take, in simulated time.
const PATIENCE: SignedDuration = SignedDuration::from_hours(2);

/// How often a command may go on before time passes.
const TURNS: usize = 60;

/// What is typed, and what happens in between.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Command(String),
    Wait { wait: Duration },
    Watch { watch: String, r#for: Duration },
}

fn console(path: &Path) -> datatest_stable::Result<()> {
    let mut file: Value = serde_yaml::from_str(&fs::read_to_string(path)?)?;
    let session = file.as_object_mut().and_then(|fields| fields.remove("session"));
    let session: Vec<Line> = serde_json::from_value(session.ok_or("session: found none")?)?;
    file["steps"] = json!([{"wait": "1s"}]);
    let scenario = Scenario::read(&file.to_string()).map_err(|error| error.to_string())?;
    let (scenario, objects) = stories::with_objects(scenario, path)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let screen = runtime.block_on(play(&scenario, &objects, &session))?;
    golden::compare(path, &format!("# {}\n\n{screen}", scenario.claim))
}

async fn play(scenario: &Scenario, objects: &[Value], session: &[Line]) -> Result<String, String> {
    let (actors, users) = (actors::Settings::of(scenario), mesh::Settings::of(scenario, 1));
    let mut cluster = Simulation::new(actors, users);
    for object in objects {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let kind = resource::of_kind(text("apiVersion"), text("kind")).ok_or("an unknown kind")?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        cluster.store().ensure_namespace(namespace);
        let applied = cluster.apply("kubectl", kind, namespace, object);
        applied.map_err(|refusal| refusal.message)?;
    }
    cluster.start_controller().await;
    cluster.settle().await;
    NOW.set(cluster.now());
    let mut screen = String::new();
    for line in session {
        match line {
            Line::Wait { wait } => {
                let _ = writeln!(screen, "({wait} later)\n");
                let until = wait.after(cluster.now());
                cluster.run_until(until).await;
            }
            Line::Watch { watch, r#for } => {
                let _ = writeln!(screen, "$ {watch}");
                let until = r#for.after(cluster.now());
                let (shown, ended) = Box::pin(command(&mut cluster, watch, until)).await?;
                let exit = ended.map(|_| "it ended by itself");
                let _ = writeln!(screen, "{shown}^C{}\n", exit.unwrap_or_default());
            }
            Line::Command(line) => {
                let _ = writeln!(screen, "$ {line}");
                let limit =
                    cluster.now().checked_add(PATIENCE).map_err(|error| error.to_string())?;
                let (shown, ended) = Box::pin(command(&mut cluster, line, limit)).await?;
                screen.push_str(&shown);
                let result = ended.ok_or_else(|| format!("`{line}` has no end"))?;
                let exit = result.unwrap_or_else(|failure| {
                    if !failure.text.is_empty() {
                        let _ = writeln!(screen, "error: {}", failure.text);
                    }
                    failure.exit
                });
                if exit != Exit::Done {
                    let _ = writeln!(screen, "(exit code {})", exit.code());
                }
                screen.push('\n');
            }
        }
    }
    match cluster.broken() {
        [] => Ok(screen),
        broken => Err(format!("what must always hold did not: {}", broken.join("; "))),
    }
}

/// What a line shows, and how it ends; nothing when it has not by then.
type Shown = (String, Option<Result<Exit, Failure>>);

/// Runs a command until `limit` while the cluster goes on: time passes only when the command waits.
async fn command(cluster: &mut Simulation, line: &str, limit: Timestamp) -> Result<Shown, String> {
    let mut shown = Vec::new();
    if let Some(line) = line.strip_prefix(complete::PROGRAM) {
        let question = complete::question(&words(line));
        let client = cluster.client_of("ann@example.com", "kubectl");
        let names = match question.wanted {
            Wanted::Named(kind) => complete::names(&client, "default", kind).await,
            _ => Vec::new(),
        };
        complete::answer(&question, names, &mut shown).map_err(|error| error.to_string())?;
        return Ok((String::from_utf8_lossy(&shown).into_owned(), Some(Ok(Exit::Done))));
    }
    let words = words(line.strip_prefix("kubectl ").ok_or("a line begins with kubectl")?);
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    // No two people type at the same instant, and commands are told apart by their time.
    let typed = NOW.get().checked_add(SignedDuration::from_micros(1)).unwrap_or_default();
    NOW.set(cluster.now().max(typed));
    let mut session = Session {
        client: cluster.client_of("ann@example.com", "kubectl-sluice"),
        namespace: cli.global.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        user: "ann".to_owned(),
        clock: || NOW.get(),
        terminal: Terminal::default(),
        out: &mut shown,
    };
    let result = {
        let mut command = pin!(plugin::dispatch(&mut session, &cli.verb));
        loop {
            let turns = async {
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                result = &mut command => break Some(result),
                () = turns => {}
            }
            let version = cluster.store().version();
            cluster.settle().await;
            if cluster.store().version() != version {
                continue;
            }
            let before = cluster.now();
            if before >= limit {
                break None;
            }
            let second = before.checked_add(SignedDuration::from_secs(1)).unwrap_or(limit);
            cluster.step(second).await;
            NOW.set(cluster.now().max(NOW.get()));
            tokio::time::advance(cluster.now().duration_since(before).unsigned_abs()).await;
        }
    };
    Ok((String::from_utf8_lossy(&shown).into_owned(), result))
}

/// A line as a shell splits it: `'…'` and `"…"` hold words together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, c @ ('\'' | '"')) => (quote, begun) = (Some(c), true),
            (None, ' ') if begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            (None, ' ') => {}
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

datatest_stable::harness! {
    { test = console, root = "tests/console", pattern = r".*\.yaml$" },
}
