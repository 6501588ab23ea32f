//! Traffic: route objects in, route objects out.
//!
//! In: a route object as the API server holds it (unstructured JSON) and the share that the canary
//! is to have. Out: the weights that are in it now, or a copy with other weights. Nothing here
//! reads a clock or a cluster, and nothing decides *when* a weight may change: that is the plan's.
//!
//! Objects are never read through typed structs, because a field that the struct does not know
//! would be lost on the way back (a rival lost `withoutHeaders` so). What is not a weight, or a
//! label of one of the two subsets, leaves as it came.

pub mod istio;
