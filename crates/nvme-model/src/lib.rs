//! A software NVMe controller, driven from outside.
//!
//! [`Controller`] is what a host sees of a PCI Express NVMe device: configuration space, registers, doorbells, queues in
//! host memory, interrupts, and a Host Memory Buffer that is really used. It has no thread and no clock of its own: every
//! entry takes the virtual time, and [`Controller::run`] does what is due by then. What it does to the machine, DMA and
//! interrupts, goes through [`Bus`].
//!
//! It follows the NVM Express Base and NVM Command Set specifications, revisions 1.4 and 2.0. While it works it judges
//! what the host does against them: each evaluation of a [`Rule`] is reported to [`Bus::judge`], held or not. Nothing that
//! a host writes makes it panic.
//!
//! A [`Profile`] says which controller it is, and each [`Fault`] what is wrong with it.
//!
//! # Driving it
//! * [`Controller::new`] gives a controller as firmware leaves it: memory decoding and bus mastering on, interrupt
//!   messages off, CC.EN = 0, unless the profile says otherwise. A machine that uses messages programs the MSI-X table in the BAR (every vector comes out of
//!   reset masked) and sets the enable bit of the MSI-X capability. Without it, the controller uses the INTx line.
//! * [`Controller::run`] does what is due: DMA, completions, interrupts. A register access does the same first, and then
//!   changes state and schedules more; unmasking an interrupt may deliver it at once. So [`Bus`] is used in all of them.
//! * [`Controller::next_event_ns`] says when the next piece of work is due, so that a virtual clock can jump there.
#![forbid(unsafe_code)]

mod admin;
mod bus;
mod command;
mod controller;
mod event;
mod failure;
mod fault;
mod feature;
mod hmb;
mod interrupt;
mod log;
mod media;
mod namespace;
mod nvm;
mod pci;
mod profile;
mod prp;
mod queue;
mod registers;
mod rule;

pub use bus::{Access, Bus, BusFault};
pub use controller::{Controller, HmbCounters, Power, Width};
pub use fault::{
    Fault, FaultError, FiredFault, GRAMMAR, GrammarEntry, Losses, Moment, RegisterFaults,
};
pub use media::{FileMedia, Media, MemoryMedia};
pub use profile::{
    Allocation, Answer, Dataset, Deallocated, Death, Dies, Handover, Identifiers, IntxLine, Key,
    NamedProfile, Profile, ProfileError, Ranges, Refusal, Temperature, Verify,
};
pub use prp::data_parts;
pub use rule::Rule;
