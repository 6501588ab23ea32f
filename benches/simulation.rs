//! What a simulated release costs, and whether it is the same a hundred times of a hundred.
//!
//! CPU of this process, as the kernel counts it; no bar is asserted here, the figures are for
//! `docs/benchmarks.md`.

#[path = "../tests/support/fleet.rs"]
mod fleet;

use std::time::Duration;

const PLAYS: usize = 100;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let (one, ()) = cpu(|| {
        for _ in 0..10 {
            fleet::transcript(1, 1);
        }
    });
    println!("simulated 31-minute release, CPU: {:?} (mean of 10)", one / 10);
    let (many, first) = cpu(|| fleet::transcript(20, 1));
    println!(
        "20 such releases at once, CPU: {many:?}, {} lines of transcript",
        first.lines().count()
    );
    let same = (0..PLAYS).filter(|_| fleet::transcript(5, 1) == fleet::transcript(5, 1)).count();
    println!("same transcript, 5 releases at once: {same} of {PLAYS}");
}

/// Runs `body`. Returns the CPU time of this thread that it took.
fn cpu<T>(body: impl FnOnce() -> T) -> (Duration, T) {
    let before = on_cpu();
    let result = body();
    (on_cpu().saturating_sub(before), result)
}

/// Nanoseconds that this thread has been on a CPU (proc(5), schedstat).
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has schedstat");
    let first = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(first.expect("a number"))
}
