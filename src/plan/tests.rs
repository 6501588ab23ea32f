//! Whole releases, played by the planner against a small model of a cluster.

mod abort;
mod analysis;
mod colours;
mod drain;
mod faults;
mod identity;
mod match_routes;
mod model;
mod random;
mod release;
mod routes;
mod validity;
