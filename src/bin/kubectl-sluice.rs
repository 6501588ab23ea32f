//! The `kubectl sluice` plugin.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use sluice::cli::{
    args::Cli,
    exit::{Exit, Failure},
    plugin,
    session::Terminal,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Failure::from).and_then(|runtime| {
        let clock = jiff::Timestamp::now;
        runtime.block_on(plugin::run(&cli, Terminal::of_stdout(), clock, &mut io::stdout()))
    });
    ExitCode::from(end(result).code())
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
