//! What the two binaries offer, a file a verb.

pub mod age;
pub mod args;
pub mod connect;
pub mod crds;
pub mod exit;
pub mod session;
pub mod style;
pub mod table;
pub mod version;
pub mod watch;
