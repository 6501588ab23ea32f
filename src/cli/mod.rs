//! What the two binaries offer, a file a verb.

pub mod abort;
pub mod age;
pub mod args;
pub mod command;
pub mod connect;
pub mod crds;
pub mod exit;
pub mod pause;
pub mod promote;
pub mod resume;
pub mod retry;
pub mod session;
pub mod state;
pub mod style;
pub mod table;
pub mod version;
pub mod watch;

#[cfg(test)]
mod fixtures;
