//! Slack: what is posted, how its answers are read, and what its buttons ask for.

pub mod api;
pub mod click;
pub mod message;
pub mod signature;
