//! The `kubectl sluice` plugin.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use sluice::cli::{
    args::Cli,
    exit::{Exit, Failure},
    plugin,
    session::Terminal,
    style::Style,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Failure::from).and_then(|runtime| {
        let clock = jiff::Timestamp::now;
        runtime.block_on(plugin::run(&cli, terminal(), clock, &mut io::stdout()))
    });
    ExitCode::from(end(result).code())
}

/// What standard output is: colours only on a terminal that wants them.
fn terminal() -> Terminal {
    let interactive = io::stdout().is_terminal();
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Terminal {
        interactive: interactive && !dumb,
        style: Style { colour: interactive && !dumb && !set("NO_COLOR") },
    }
}

fn end(result: Result<Exit, Failure>) -> Exit {
    result.unwrap_or_else(|failure| {
        if !failure.text.is_empty() {
            // With standard error closed there is nobody left to tell; the exit code still does.
            let _ = writeln!(io::stderr(), "error: {}", failure.text);
        }
        failure.exit
    })
}
