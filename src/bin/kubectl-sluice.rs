//! The `kubectl sluice` plugin.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Parser;
use sluice::cli::{
    args::Cli,
    complete,
    exit::{Exit, Failure},
    plugin,
    session::Terminal,
};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Failure::from).and_then(|runtime| {
        let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        if words.next().is_some_and(|program| is_completion(&program)) {
            let words: Vec<String> = words.collect();
            runtime.block_on(complete::run(&words, &mut io::stdout()))?;
            return Ok(Exit::Done);
        }
        let cli = Cli::parse();
        let clock = jiff::Timestamp::now;
        runtime.block_on(plugin::run(&cli, Terminal::of_stdout(), clock, &mut io::stdout()))
    });
    ExitCode::from(end(result).code())
}

/// Whether kubectl calls it to complete a line.
fn is_completion(program: &str) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == complete::PROGRAM)
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
