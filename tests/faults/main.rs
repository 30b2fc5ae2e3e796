//! The built image against controllers that do things wrong: what can be recovered is, what cannot is told.
#![cfg(target_os = "linux")]

mod absence;
#[path = "../bed/mod.rs"]
mod bed;
mod held;
mod interrupts;
mod optional;

use bed::Bed;

/// Fills a disk whose controller has these faults, reads it back, and gives the bed.
fn survives(profile: &str, faults: &[&str]) -> Bed {
    let mut bed = Bed::with_faults(profile, faults);
    let units = bed.start();
    bed.fill(&units[0], 1);
    bed.expect_filled(&units[0], 1);
    bed
}
