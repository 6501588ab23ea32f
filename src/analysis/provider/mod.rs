//! Where the numbers come from.
//!
//! In: a provider's part of a metric, the values of arguments and Secrets. Out: a
//! [`Reading`](super::verdict::Reading). Only [`prometheus::measure`] talks to anybody; a Job is
//! built and read here, but the caller creates and watches it.

pub mod job;
pub mod prometheus;
