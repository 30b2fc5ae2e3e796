//! The miniport that breaks rules, built with the same tools as the driver.

use std::path::{Path, PathBuf};

use crate::checkout::workspace;
use crate::driver::{cargo_missing, data_folder, lock, plain_cargo, target_folder};
use crate::toolchain::{TARGET, Toolchain};
use crate::{Error, wdk_root};

/// Makes sure that the image of `tests/seeded/breaker` is built from its sources as they are now, and says where it is.
///
/// It is no member of the workspace and depends on nothing, so that cargo, which is asked each time, is done in seconds.
pub fn breaker() -> Result<PathBuf, Error> {
    let workspace = workspace()?;
    let _lock = lock(&workspace)?;
    cargo(&workspace, false)?;
    let built = target_folder(&workspace).join(TARGET);
    Ok(built.join("release/breaker.dll"))
}

/// Checks its sources with clippy, warnings denied.
pub fn lint_breaker() -> Result<(), Error> {
    let workspace = workspace()?;
    let _lock = lock(&workspace)?;
    cargo(&workspace, true)
}

/// Runs cargo on the sources, which builds them, or has clippy check them.
fn cargo(workspace: &Path, lint: bool) -> Result<(), Error> {
    let target = target_folder(workspace);
    let toolchain = Toolchain::set_up()?;
    let root = target.join("wdk");
    wdk_root::assemble(&root, &data_folder(workspace), &toolchain)?;
    let (name, subcommand) = if lint {
        ("clippy", "check")
    } else {
        ("build", "build")
    };
    let mut command = plain_cargo(workspace);
    command
        .args([
            subcommand,
            "--release",
            "--locked",
            "--quiet",
            "--manifest-path",
        ])
        .arg(workspace.join("tests/seeded/breaker/Cargo.toml"))
        .args(["--target", TARGET])
        .env("CARGO_TARGET_DIR", &target)
        .env("WDKContentRoot", &root)
        .env("Version_Number", wdk_root::VERSION);
    toolchain.equip(&mut command);
    if lint {
        toolchain.lint(&mut command);
    }
    let status = command.status().map_err(cargo_missing)?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Cargo(name))
    }
}
