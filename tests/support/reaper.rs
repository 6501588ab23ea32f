//! Ends the processes that live as long as the test process: a shell waits on a pipe that closes
//! when the test process ends, however it ends, and then ends those whose ids it was told.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

/// Reads `add PID` and `del PID`.
const SCRIPT: &str = r#"
pids=""
while read -r word pid; do
  rest=""
  for known in $pids; do [ "$known" = "$pid" ] || rest="$rest $known"; done
  pids=$rest
  [ "$word" = del ] || pids="$pids $pid"
done
[ -z "$pids" ] || kill -9 $pids
"#;

static REAPER: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts");
    Mutex::new(shell)
});

/// Lets the process end with this one.
pub fn entrust(pid: u32) {
    tell(&format!("add {pid}"));
}

/// The process has ended: its id may soon be another's.
pub fn forget(pid: u32) {
    tell(&format!("del {pid}"));
}

fn tell(line: &str) {
    let mut shell = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = shell.stdin.as_mut().expect("the pipe is never taken");
    writeln!(pipe, "{line}").expect("the reaper reads");
}

/// Sends a signal, such as `TERM`, to a process that we started.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot send SIG{name} to {pid}");
}
