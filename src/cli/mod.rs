//! What the two binaries offer, a file a verb.

pub mod abort;
pub mod age;
pub mod args;
pub mod command;
pub mod connect;
pub mod crds;
pub mod exit;
pub mod get;
pub mod header;
pub mod live;
pub mod pause;
pub mod pods;
pub mod promote;
pub mod resume;
pub mod retry;
pub mod session;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod style;
pub mod table;
pub mod tree;
pub mod version;
pub mod watch;

#[cfg(test)]
mod fixtures;
