//! The `kubectl sluice` plugin.

fn main() {}
