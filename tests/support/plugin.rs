//! `kubectl-sluice` as people run it where there is no cluster.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Runs it in a folder of the package with `input` on its standard input. Returns the exit code, the
/// output, and what was told on standard error.
pub fn run(folder: &str, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-sluice"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).args(arguments);
    // It must not look for a cluster.
    command.env("KUBECONFIG", "/nowhere");
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("kubectl-sluice");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A child that reads no input closes the pipe early.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
