//! System tests on the real interfaces: a rig that starts all programs, an accessibility client that reads the screen
//! as a screen reader does, links that can be cut, a scan for personal data, scenarios and fault scenarios.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod browser;
mod desk;
mod desktop;
pub mod driver;
pub mod ends;
pub mod eyes;
pub mod faults;
pub mod finger;
pub mod kiosk;
pub mod namespace;
pub mod phone;
pub mod process;
pub mod proxy;
pub mod readers;
pub mod report;
pub mod rig;
pub mod scan;
pub mod script;
pub mod station;
