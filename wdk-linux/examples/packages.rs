//! Fetches and unpacks packages and prints the folder: `cargo run -p wdk-linux --example packages -- NAME PACKAGE...`; with `--qemu`,
//! QEMU, and prints the program.
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use wdk_linux::Error;
use wdk_linux::packages::{qemu, unpacked};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(outcome) = run(&arguments) else {
        eprintln!("a name for the folder and the packages are needed, or --qemu");
        return ExitCode::from(2);
    };
    match outcome {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Option<Result<PathBuf, Error>> {
    let arguments: Option<Vec<&str>> = arguments.iter().map(|word| word.to_str()).collect();
    match arguments?.as_slice() {
        ["--qemu"] => Some(qemu()),
        [name, packages @ ..] if !packages.is_empty() && is_name(name) => {
            Some(unpacked(name, packages))
        }
        _ => None,
    }
}

/// A folder's name, which leads nowhere else.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.starts_with('-') && text.bytes().all(plain)
}
