//! Tests of the departments without HTTP, at given times.

mod contract;
mod effects;
mod fixture;
mod payments;
mod queries;
mod submissions;
mod tickets;
