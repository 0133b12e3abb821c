//! Tests of the platform with its acquirer and department: message by message in memory, and over HTTP.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod arbitrary_input;
mod card_authentication;
mod card_base;
mod charges;
mod claims;
mod codes;
mod department_api;
mod departments;
mod e_certificates;
mod feed;
mod fixture;
mod gateway;
mod http;
mod identify;
mod identity;
mod interleavings;
mod kiosk_client;
mod kiosk_listener;
mod licences;
mod maintenance;
mod pages;
mod pairing;
mod phone;
mod publications;
mod records;
mod restore;
mod services;
mod step_up;
mod unreported_orders;
