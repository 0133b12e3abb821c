//! The platform with its acquirer and department, message by message and over HTTP.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod city;
mod hostile;
mod http;
mod identify;
mod interleavings;
mod kiosks;
mod link;
mod money;
mod pages;
mod records;
mod services;
