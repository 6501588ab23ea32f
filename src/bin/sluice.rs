//! The `sluice` binary: the controller and its tools.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use sluice::cli::{
    self,
    exit::{Exit, Failure},
    session::Terminal,
};

#[derive(Parser)]
#[command(name = "sluice", version, about = "Progressive delivery controller for Kubernetes")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the controller
    Controller(cli::controller::Flags),
    /// Writes the CustomResourceDefinitions into a folder
    Crds {
        /// The folder
        #[arg(default_value = "crds")]
        folder: PathBuf,
    },
    /// Shows a good and a bad release on a simulated cluster
    Demo(cli::demo::Flags),
    /// Releases your own Rollout on a simulated cluster
    Simulate(Box<cli::simulate::Flags>),
}

fn main() -> anyhow::Result<ExitCode> {
    let done = Ok(ExitCode::SUCCESS);
    match Cli::parse().verb {
        Verb::Controller(flags) => {
            runtime()?.block_on(cli::controller::run(flags))?;
            done
        }
        Verb::Crds { folder } => cli::crds::write(&folder).and(done),
        Verb::Demo(flags) => {
            let mut out = io::stdout();
            let demo = cli::demo::run(&flags, Terminal::of_stdout(), &mut out);
            Ok(end(runtime()?.block_on(demo)))
        }
        Verb::Simulate(flags) => {
            let mut out = io::stdout();
            let simulate = cli::simulate::run(&flags, Terminal::of_stdout(), &mut out);
            Ok(end(runtime()?.block_on(simulate)))
        }
    }
}

/// One thread: simulations run in one order, and the controller, which waits for answers most of the
/// time, needs a quarter less CPU than with a thread for each core.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn end(result: Result<Exit, Failure>) -> ExitCode {
    let exit = result.unwrap_or_else(|failure| {
        if !failure.text.is_empty() {
            // With standard error closed there is nobody left to tell; the exit code still does.
            let _ = writeln!(io::stderr(), "error: {}", failure.text);
        }
        failure.exit
    });
    ExitCode::from(exit.code())
}
