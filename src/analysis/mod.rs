//! The analysis of a release: is the new revision good?
//!
//! In: templates, arguments and measurements. Out: verdicts, and what to measure next.
//!
//! [`template::resolve`] makes the spec of a run from templates; [`advance::advance`] takes a run
//! from measurement to measurement to its verdict; [`verdict::judge`] judges one of them, with a
//! [`condition`] or a threshold; [`judge`] holds the judges that compare canary and stable, [`compare`] feeds them with samples.
//! All of these are pure. Only [`provider`] talks to anybody.

pub mod advance;
pub mod arguments;
pub mod compare;
pub mod condition;
pub mod judge;
pub mod provider;
pub mod template;
pub mod text;
pub mod validate;
pub mod verdict;
