//! Whole releases, played by the planner against a small model of a cluster.

mod abort;

mod model;

mod release;
