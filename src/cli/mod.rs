//! What the two binaries offer, a file a verb.

pub mod crds;
