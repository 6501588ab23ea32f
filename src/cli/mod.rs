//! What the two binaries offer, a file a verb.

pub mod controller;
pub mod crds;
