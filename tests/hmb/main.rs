//! The Host Memory Buffer, from what the controller asks for to what is freed. `docs/hmb.md` lists what each scenario shows.
#![cfg(target_os = "linux")]

#[path = "../bed/mod.rs"]
mod bed;

mod answers;
mod document;
mod downgrade;
mod irql;
mod lending;
mod power;
mod random;
mod removal;
mod sizes;
