//! Tests of the sandboxes over HTTP on loopback, with each of their faults.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod acquirer;
mod department;
mod department_data;
mod fixture;
mod identity;
