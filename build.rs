//! Link settings of the driver image.
//!
//! On Windows they come from the installed WDK through wdk-build. Elsewhere, where `wdk-linux` stands in for the WDK, the same
//! arguments are printed here, because a target's build dependencies follow the host.

use std::env;

/// What every image gets, whichever host builds it: the port driver's import library, which wdk-sys never links, and a PE checksum.
const ARGUMENTS: [&str; 2] = ["storport.lib", "/RELEASE"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_WINDOWS").is_err() {
        return;
    }
    wdk();
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}

#[cfg(windows)]
fn wdk() {
    wdk_build::configure_wdk_binary_build()
        .expect("the WDK is installed and its environment is set up");
}

/// Prints what `wdk_build::Config::configure_binary_build` prints for a WDM driver.
#[cfg(not(windows))]
fn wdk() {
    const ARGUMENTS: [&str; 13] = [
        "/DRIVER",
        "/NODEFAULTLIB",
        "/SUBSYSTEM:NATIVE",
        "/KERNEL",
        "/ENTRY:DriverEntry",
        "/IGNORE:4257",
        "/IGNORE:4216",
        "/NXCOMPAT",
        "/DYNAMICBASE",
        "/MAP",
        "/OPT:REF,ICF",
        "/INTEGRITYCHECK",
        "/MANIFEST:NO",
    ];
    println!("cargo::rerun-if-env-changed=WDKContentRoot");
    println!("cargo::rerun-if-env-changed=Version_Number");
    let root = env::var("WDKContentRoot")
        .expect("WDKContentRoot names the stand-in WDK; build through wdk-linux");
    let version =
        env::var("Version_Number").expect("Version_Number names the version in WDKContentRoot");
    let libraries = format!("{root}/Lib/{version}/km/x64");
    println!("cargo::rerun-if-changed={libraries}");
    println!("cargo::rustc-link-search={libraries}");
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
