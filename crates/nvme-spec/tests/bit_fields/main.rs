//! Position and width of every field of every bit-field, against the measured facts.

// Each test crate uses its own part of the facts.
#[allow(dead_code)]
#[path = "../facts/mod.rs"]
mod facts;
#[macro_use]
mod table;

mod commands;
mod features;
mod identify;
mod logs;
mod registers;
