//! `kubectl` and `kubectl sluice`, run as users run them.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::{io::AsyncWriteExt, process::Command};

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Answer {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Standard output of a command that must succeed.
    pub fn expect(self, what: &str) -> String {
        assert!(self.code == 0, "{what} failed ({}): {}{}", self.code, self.stdout, self.stderr);
        self.stdout
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A user with a kubeconfig, in a namespace.
#[derive(Clone, Debug)]
pub struct User {
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// The namespace; empty for the kubeconfig's.
    pub namespace: String,
}

impl User {
    /// Runs `kubectl` with arguments separated by spaces, and with `input` on standard input.
    pub async fn kubectl(&self, line: &str, input: &str) -> Answer {
        self.run(Path::new("kubectl"), &words(line), input).await
    }

    /// Runs the plugin as kubectl does.
    pub async fn sluice(&self, line: &str) -> Answer {
        self.run(Path::new(env!("CARGO_BIN_EXE_kubectl-sluice")), &words(line), "").await
    }

    /// Runs `program`, with the namespace as kubectl and its plugins take it.
    pub async fn run(&self, program: &Path, arguments: &[&str], input: &str) -> Answer {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        if !self.namespace.is_empty() {
            command.args(["--namespace", &self.namespace]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap_or_else(|error| {
            panic!("cannot run {}: {error}", program.display());
        });
        let mut pipe = child.stdin.take().expect("stdin is a pipe");
        // A command that reads no input may have closed it.
        let _ = pipe.write_all(input.as_bytes()).await;
        drop(pipe);
        child.wait_with_output().await.expect("the command ends").into()
    }

    /// Applies manifests that the API server accepts.
    pub async fn apply(&self, manifests: &str) {
        self.kubectl("apply -f -", manifests).await.expect("kubectl apply");
    }

    /// Applies manifests that the API server refuses. Returns what it says.
    pub async fn apply_refused(&self, manifests: &str) -> String {
        let answer = self.kubectl("apply -f -", manifests).await;
        assert_ne!(answer.code, 0, "accepted: {}", answer.stdout);
        answer.stderr
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|word| !word.is_empty()).collect()
}
