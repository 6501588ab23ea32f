//! `adopt`: a running Deployment under Sluice.

pub mod draft;
