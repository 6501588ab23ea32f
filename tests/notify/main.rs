//! What people are told of releases, on the simulated cluster and in a simulated Slack: what stands in
//! the channel, whatever crashes, fails or is lost on the way.

mod clicks;
mod crashes;
mod faults;
mod house;
mod others;
mod told;
