//! What disturbs all other tests, or is disturbed by them. The names sort before the others', so that
//! the others need not wait twice.

mod istiod;
mod measured;
