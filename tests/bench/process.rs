//! What a process uses, as `/proc` tells it.

use std::{fs, ops::Sub, time::Duration};

/// CPU time of the two processes.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The controller's.
    pub controller: Duration,
    /// The control plane's: API server, etcd, controllers, scheduler and fake kubelet together.
    pub control_plane: Duration,
}

impl Usage {
    /// Up to now.
    pub fn of(controller: u32, control_plane: u32) -> Self {
        Self { controller: cpu(controller), control_plane: cpu(control_plane) }
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            controller: self.controller.saturating_sub(before.controller),
            control_plane: self.control_plane.saturating_sub(before.control_plane),
        }
    }
}

/// User and system time, from fields 14 and 15 of `stat` (proc(5)), in clock ticks of 10 ms.
fn cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is a name in brackets, which may hold blanks.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
