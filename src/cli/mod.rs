//! What the two binaries offer, a file a verb.

pub mod age;
pub mod crds;
pub mod exit;
pub mod style;
pub mod table;
pub mod version;
