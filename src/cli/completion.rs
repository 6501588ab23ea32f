//! `completion`: the script that completes the command line in a shell.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{
    args::Cli,
    exit::{Exit, Failure},
};

/// How kubectl is told of it, for `--help`.
pub const HELP: &str = "\
kubectl asks a program `kubectl_complete-sluice` on the PATH for what may follow `kubectl sluice`, names
of Rollouts among it; that is this plugin by another name:

  ln -s \"$(command -v kubectl-sluice)\" /usr/local/bin/kubectl_complete-sluice

The script that is printed completes the command `kubectl-sluice` itself:

  source <(kubectl-sluice completion bash)
  kubectl-sluice completion zsh > \"${fpath[1]}/_kubectl-sluice\"
  kubectl-sluice completion fish > ~/.config/fish/completions/kubectl-sluice.fish
  kubectl-sluice completion powershell | Out-String | Invoke-Expression";

/// The shell.
#[derive(Args, Debug)]
pub struct Flags {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// The output is gone.
pub fn run(flags: &Flags, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "kubectl-sluice", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}
