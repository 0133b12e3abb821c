//! Tests of the state machine: whole visits, one event at a time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod cards;
mod codes;
mod fixture;
mod gate;
mod id_card;
mod identity;
mod menu;
mod paper_codes;
mod payments;
mod pin_change;
mod print_jobs;
mod questions;
mod seeded;
mod services;
mod shown_rows;
mod staff;
mod step_up_pin;
mod submissions;
mod visits;
