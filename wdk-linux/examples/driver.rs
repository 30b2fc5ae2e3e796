//! Builds or checks the driver for its own target: `cargo run -p wdk-linux --example driver -- build|clippy|doc`.
use std::process::ExitCode;

use wdk_linux::Task;

fn main() -> ExitCode {
    let task = match std::env::args().nth(1).as_deref() {
        Some("build") | None => Task::Build,
        Some("clippy") => Task::Clippy,
        Some("doc") => Task::Doc,
        Some(other) => {
            eprintln!("no task is called {other}: build, clippy or doc");
            return ExitCode::from(2);
        }
    };
    match wdk_linux::run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
