//! The world at one instant, as plain data: what a plan is made from.

pub mod fingerprint;
pub mod quantity;
