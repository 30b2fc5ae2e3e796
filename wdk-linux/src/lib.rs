//! What stands in for the WDK on Linux, and the build of the driver image with it.
//!
//! [`image`] is all that a caller needs: it fetches what is missing, assembles a folder that looks like the WDK to windows-drivers-rs,
//! and has cargo build `ferrostor.sys` from the unmodified crates. Nothing is installed, and nothing outside the user's cache folder
//! and the workspace's `target` folder is written.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod breaker;
mod checkout;
mod driver;
mod error;
mod files;
mod host_port;
pub mod image_check;
pub mod packages;
mod smallest;
mod storport_headers;
mod toolchain;
mod wdk_root;

pub use breaker::{breaker, lint_breaker};
pub use checkout::workspace;
pub use driver::{Image, Task, image, run, run_in};
pub use error::Error;
pub use smallest::smallest;
