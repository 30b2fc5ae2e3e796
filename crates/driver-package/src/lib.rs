//! The driver package: INF, catalogue, signature and manifest, made and checked.
//!
//! [`inf`] reads an INF, [`stamp`] turns the INX into one, [`lint`] holds it to the rules of an isolated storage driver, [`digest`]
//! is what Windows knows a file by, [`catalog`] writes and reads security catalogues, [`manifest`] lists a package's files,
//! [`verify`] checks a finished package, and [`trust`] whose it is. [`pipeline`] and [`signing`] put one together on Linux; on Windows the
//! WDK's tools do. [`collect`] gathers what either has made.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod collect;
pub mod digest;
mod error;
mod files;
mod image;
pub mod inf;
pub mod lint;
pub mod manifest;
#[cfg(target_os = "linux")]
pub mod pipeline;
#[cfg(target_os = "linux")]
pub mod signing;
pub mod stamp;
pub mod trust;
pub mod verify;

pub use error::Error;
