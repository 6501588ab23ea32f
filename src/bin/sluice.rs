//! The `sluice` binary: the controller and its tools.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sluice::cli;

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
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Controller(flags) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(cli::controller::run(flags))
        }
        Verb::Crds { folder } => cli::crds::write(&folder),
    }
}
