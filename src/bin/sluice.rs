//! The `sluice` binary.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "sluice",
    version,
    about = "Progressive delivery controller for Kubernetes"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Writes the CustomResourceDefinitions into a folder
    Crds {
        /// The folder
        #[arg(default_value = "crds")]
        folder: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Crds { folder } => sluice::cli::crds::write(&folder),
    }
}
