//! What the cluster tests and the benchmark share: a real control plane, the controller as a
//! process of its own with the rights it ships with, `kubectl` as users run it, a real Prometheus,
//! and a recorder of all that happens in a namespace.
//!
//! Everything listens on 127.0.0.1, and ends with the test process, however that ends.

pub mod audit;
pub mod cluster;
pub mod controller;
pub mod fleet;
pub mod kubectl;
pub mod namespace;
pub mod prometheus;
pub mod random;
pub mod reaper;
pub mod recorder;
pub mod shipped;
pub mod stories;
pub mod transcript;
pub mod wait;

use std::path::PathBuf;

/// The folder of the package.
pub fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A fresh folder for the files of one run, named by what runs.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the folder of the last run can be removed");
    }
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}
