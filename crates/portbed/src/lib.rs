//! A test bed that executes Storport miniport images on Linux.
//!
//! It loads the image into this process, plays the port driver towards it, holds it to the rules that a miniport must
//! obey, and connects it to a controller.
#![cfg(target_os = "linux")]

mod abi;
pub mod cli;
pub mod controller;
pub mod disk;
pub mod image;
pub mod journal;
mod last_words;
pub mod machine;
pub mod memory;
pub mod ntoskrnl;
mod pages;
mod pci;
mod port;
pub mod report;
pub mod rules;
pub mod run;
mod schedule;
pub mod serve;
pub mod thunk;
pub mod timeline;
pub mod trap;
pub mod workload;
