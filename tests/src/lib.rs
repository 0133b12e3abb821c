//! System tests on the real interfaces: a rig that starts all programs, an accessibility client that reads the screen
//! as a screen reader does, links that can be cut, a scan for personal data, scenarios and fault scenarios.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod a11y_client;
pub mod bench_client;
mod desk_client;
mod desktop;
pub mod driver_process;
pub mod faults;
pub mod link_proxy;
pub mod namespace;
pub mod pcscd;
pub mod personal_data_scan;
pub mod phone_browser;
pub mod phone_client;
pub mod pointer;
pub mod process;
pub mod publication;
pub mod relay_endpoints;
pub mod repository;
pub mod rig;
mod rig_control;
pub mod rig_kiosk;
pub mod scenario_report;
pub mod scenarios;
pub mod screen_text;
