//! What the two binaries offer, a file a verb.
//!
//! `controller`, `crds`, `demo` and `simulate` belong to `sluice`; the latter two play a [`trial`] on
//! the simulated cluster. The rest is the plugin `kubectl sluice`: [`args`] parses, [`plugin`]
//! dispatches, a file a verb decides what to do ([`command::command_for`]) or what to show, and
//! [`send`], [`set`], [`undo`], [`snapshot`] and [`watch`] are all that talks to the API server ([`judge`] reads a
//! file instead; [`complete`] lists names for the tab key). What is shown and what is decided are pure functions of the objects read and of `now`.

pub mod abort;
pub mod adopt;
pub mod age;
pub mod args;
pub mod backtest;
pub mod command;
pub mod complete;
pub mod completion;
pub mod connect;
pub mod controller;
pub mod convert;
pub mod crds;
pub mod demo;
pub mod exit;
pub mod explain;
pub mod get;
pub mod header;
pub mod history;
pub mod judge;
pub mod lint;
pub mod live;
pub mod manifests;
pub mod outlook;
pub mod pause;
pub mod plan;
pub mod plugin;
pub mod pods;
pub mod preflight;
pub mod promote;
pub mod release;
pub mod restart;
pub mod resume;
pub mod retry;
pub mod send;
pub mod session;
pub mod set;
pub mod simulate;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod steps;
pub mod strategy;
pub mod style;
pub mod table;
pub mod timeline;
pub mod tree;
pub mod trial;
pub mod undo;
pub mod version;
pub mod watch;
pub mod workload;

#[cfg(test)]
mod fixtures;
