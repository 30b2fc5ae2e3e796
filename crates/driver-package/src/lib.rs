//! The driver package: INF, catalogue, signature and manifest, made and checked.
//!
//! [`inf`] reads an INF, [`stamp`] turns the INX into one, [`lint`] holds it to the rules of an isolated storage driver, [`digest`]
//! is what Windows knows a file by, [`catalog`] writes and reads security catalogues, [`manifest`] lists a package's files, and
//! [`verify`] checks a finished package. [`signing`] and [`package`] put one together on Linux; on Windows the
//! WDK's tools do, and [`collect`] gathers what they have made.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod collect;
pub mod digest;
mod error;
pub mod inf;
pub mod lint;
pub mod manifest;
#[cfg(target_os = "linux")]
pub mod package;
#[cfg(target_os = "linux")]
pub mod signing;
pub mod stamp;
pub mod verify;

pub use error::Error;
