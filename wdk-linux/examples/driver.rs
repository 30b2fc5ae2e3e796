//! Builds or checks the driver for its own target: `cargo run -p wdk-linux --example driver -- build|clippy|doc [FOLDER]`, of another
//! working copy if its folder is named.
use std::path::Path;
use std::process::ExitCode;

use wdk_linux::Task;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = match arguments.next().as_deref() {
        Some("build") | None => Task::Build,
        Some("clippy") => Task::Clippy,
        Some("doc") => Task::Doc,
        Some(other) => {
            eprintln!("no task is called {other}: build, clippy or doc");
            return ExitCode::from(2);
        }
    };
    let done = match arguments.next() {
        None => wdk_linux::run(task),
        // cargo works in that folder: a relative path would name another one there.
        Some(folder) => match Path::new(&folder).canonicalize() {
            Ok(folder) => wdk_linux::run_in(&folder, task),
            Err(error) => {
                eprintln!("cannot find the folder {folder}: {error}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
