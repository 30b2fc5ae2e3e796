//! Link settings of the driver image.
//!
//! On Windows they come from the installed WDK through wdk-build. Elsewhere, where `wdk-linux` stands in for the WDK, the same
//! arguments are printed here, because a target's build dependencies follow the host.

#[path = "build/version.rs"]
mod version;

use std::path::Path;
use std::{env, fs};

use version::Version;

/// What every image gets, whichever host builds it: the port driver's import library, which wdk-sys never links, a PE
/// checksum, and no time of the build.
const ARGUMENTS: [&str; 3] = ["storport.lib", "/RELEASE", "/Brepro"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_WINDOWS").is_err() {
        return;
    }
    wdk();
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    println!("cargo::rustc-cdylib-link-arg={}", version_resource());
}

/// Writes the version resource from the package's metadata and returns where it is.
fn version_resource() -> String {
    println!("cargo::rerun-if-changed=build");
    let package = |name: &str| env::var(format!("CARGO_PKG_{name}")).expect("cargo sets it");
    let number = |name| package(name).parse().expect("a version number");
    let version = package("VERSION");
    let copyright = format!("Licensed under {}", package("LICENSE"));
    let resource = Version {
        numbers: ["VERSION_MAJOR", "VERSION_MINOR", "VERSION_PATCH"].map(number),
        strings: &[
            ("CompanyName", "The Ferrostor developers"),
            ("FileDescription", &package("DESCRIPTION")),
            ("FileVersion", &version),
            ("InternalName", "ferrostor"),
            ("LegalCopyright", &copyright),
            ("OriginalFilename", "ferrostor.sys"),
            ("ProductName", "Ferrostor"),
            ("ProductVersion", &version),
        ],
    };
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let file = Path::new(&out).join("version.res");
    fs::write(&file, resource.compile()).expect("OUT_DIR can be written");
    file.into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}

#[cfg(windows)]
fn wdk() {
    wdk_build::configure_wdk_binary_build()
        .expect("the WDK is installed and its environment is set up");
}

/// Prints what `wdk_build::Config::configure_binary_build` prints for a WDM driver.
#[cfg(not(windows))]
fn wdk() {
    const ARGUMENTS: [&str; 14] = [
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
        // Relative paths stay relative: without it lld puts the working folder in front of them.
        "/PDBSOURCEPATH:ferrostor",
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
