//! Tests of the state machine: whole visits, one event at a time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod bench;
mod cards;
mod codes;
mod gate;
mod id_card;
mod identity;
mod money;
mod new_pin;
mod paper;
mod pin;
mod seeded;
mod staff;
mod visits;
