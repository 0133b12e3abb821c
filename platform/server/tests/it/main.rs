//! Tests of the platform with its acquirer and department: message by message in memory, and over HTTP.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod base;
mod cards;
mod city;
mod codes;
mod evidence;
mod facts;
mod feed;
mod hostile;
mod http;
mod identify;
mod interleavings;
mod kiosks;
mod licences;
mod link;
mod money;
mod pages;
mod pairing;
mod phone;
mod records;
mod services;
