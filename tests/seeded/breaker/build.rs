//! Link settings of a kernel image, with the libraries of the stand-in for the WDK.

use std::env;

/// What makes a driver of a library.
const ARGUMENTS: [&str; 9] = [
    "/DRIVER",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE",
    "/KERNEL",
    "/ENTRY:DriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/MANIFEST:NO",
    "/RELEASE",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WDKContentRoot");
    println!("cargo::rerun-if-env-changed=Version_Number");
    let root = env::var("WDKContentRoot").expect("the image is built through wdk-linux");
    let version = env::var("Version_Number").expect("the image is built through wdk-linux");
    println!("cargo::rustc-link-search={root}/Lib/{version}/km/x64");
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
