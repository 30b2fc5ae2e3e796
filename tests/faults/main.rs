//! The built image against controllers that do things wrong: what can be recovered is, what cannot is told.
#![cfg(target_os = "linux")]

#[path = "../bed/mod.rs"]
mod bed;
mod interrupts;
