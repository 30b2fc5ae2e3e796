//! Builds or checks the driver for its own target: `cargo run -p wdk-linux --example driver -- build|clippy|doc [FOLDER]`, of another
//! working copy if its folder is named.
use std::path::Path;
use std::process::ExitCode;

use wdk_linux::Task;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next();
    let task = match task.as_ref().map(|task| task.to_str()) {
        Some(Some("build")) | None => Task::Build,
        Some(Some("clippy")) => Task::Clippy,
        Some(Some("doc")) => Task::Doc,
        Some(_) => {
            eprintln!(
                "no task is called {}: build, clippy or doc",
                task.unwrap_or_default().to_string_lossy().escape_debug()
            );
            return ExitCode::from(2);
        }
    };
    let done = match arguments.next() {
        None => wdk_linux::run(task),
        // cargo works in that folder: a relative path would name another one there.
        Some(folder) => match Path::new(&folder).canonicalize() {
            Ok(folder) => wdk_linux::run_in(&folder, task),
            Err(error) => {
                eprintln!(
                    "cannot find the folder {}: {error}",
                    folder.to_string_lossy().escape_debug()
                );
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
