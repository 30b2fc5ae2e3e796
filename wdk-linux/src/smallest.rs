//! The small miniport in C, built with the same headers, libraries and linker as the driver.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::workspace;
use crate::driver::{data_folder, lock, target_folder};
use crate::toolchain::{Toolchain, llvm};
use crate::{Error, files, packages, wdk_root};

/// The C compiler, of the newest LLVM that the distribution has.
const COMPILER: [&str; 1] = ["clang-*"];

/// Warnings are errors. The standard headers are clang's own: those of this machine are for programs.
const COMPILE: [&str; 12] = [
    "--target=x86_64-pc-windows-msvc",
    "-std=c11",
    "-ffreestanding",
    "-nostdlibinc",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-four-char-constants",
    "-Wno-multichar",
    "-D_AMD64_",
    "-c",
];

/// What makes a driver of an object file.
const LINK: [&str; 9] = [
    "/DRIVER",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE",
    "/ENTRY:DriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/MANIFEST:NO",
    "/RELEASE",
    "/BREPRO",
];

/// Builds `tests/seeded/smallest/smallest.c` unless it is built already, and says where the image is.
pub fn smallest() -> Result<PathBuf, Error> {
    let workspace = workspace()?;
    let _lock = lock(&workspace)?;
    let target = target_folder(&workspace);
    let toolchain = Toolchain::set_up()?;
    let root = target.join("wdk");
    wdk_root::assemble(&root, &data_folder(&workspace), &toolchain)?;
    let source = workspace.join("tests/seeded/smallest/smallest.c");
    let folder = target.join("smallest");
    files::create_folder(&folder)?;
    let (object, image) = (folder.join("smallest.obj"), folder.join("smallest.sys"));
    // What it was built from: sources and headers, and this program, which has the options.
    let inputs = [source.clone(), root.clone(), program()?];
    if !inputs.iter().all(|input| is_older(input, &image)) {
        compile(&root, &source, &object)?;
        link(&toolchain, &root, &object, &image)?;
    }
    Ok(image)
}

fn program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(Error::file("find", Path::new("this program")))
}

fn is_older(input: &Path, image: &Path) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    matches!((changed(input), changed(image)), (Some(input), Some(image)) if input < image)
}

fn compile(root: &Path, source: &Path, object: &Path) -> Result<(), Error> {
    let packages = packages::unpacked("c-compiler", &COMPILER)?;
    let include = root.join("Include").join(wdk_root::VERSION);
    let clang = llvm(&packages, "clang")?.join("bin/clang");
    let mut command = Command::new(clang);
    command
        .env("LD_LIBRARY_PATH", packages.join("usr/lib/x86_64-linux-gnu"))
        .args(COMPILE);
    for folder in ["km/crt", "km", "shared"] {
        command.arg("-isystem").arg(include.join(folder));
    }
    ended(command.arg(source).arg("-o").arg(object), "clang")
}

/// Links under another name first: an image that a test runs stays whole.
fn link(toolchain: &Toolchain, root: &Path, object: &Path, image: &Path) -> Result<(), Error> {
    let libraries = root.join("Lib").join(wdk_root::VERSION).join("km/x64");
    let unfinished = image.with_extension("unfinished");
    let mut command = toolchain.command(&toolchain.linker());
    command
        .args(LINK)
        .arg(format!("/OUT:{}", unfinished.display()))
        .arg(object);
    for library in ["storport.lib", "ntoskrnl.lib", "hal.lib"] {
        command.arg(libraries.join(library));
    }
    ended(&mut command, "lld-link")?;
    std::fs::rename(&unfinished, image).map_err(Error::file("move the image to", image))
}

fn ended(command: &mut Command, name: &'static str) -> Result<(), Error> {
    let program = PathBuf::from(command.get_program());
    let status = command.status().map_err(Error::file("start", &program))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Tool(name))
    }
}
