//! Tests of the sandboxes over HTTP on loopback, with each of their faults.

#![allow(clippy::unwrap_used)]

mod acquirer;
mod department;
mod fixture;
mod identity;
