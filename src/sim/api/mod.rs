//! The API server: objects with versions, and the rules by which they change.
//!
//! In: requests of the controller, of people, and of the cluster's own controllers. Out: objects, or
//! a [`Refusal`] in the API server's own form. Real semantics where Sluice or its users can notice
//! them; `tests/conformance` holds both servers to the same answers.

pub mod admission;
pub mod eviction;
pub mod http;
pub mod limits;
pub mod managed_fields;
pub mod patch;
pub mod refusal;
pub mod resource;
pub mod store;

pub use refusal::Refusal;
pub use resource::Resource;
pub use store::{Change, Key, Store};
