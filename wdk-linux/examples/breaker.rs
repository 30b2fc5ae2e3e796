//! Builds the miniport that breaks rules and prints where it is, or checks it: `cargo run -p wdk-linux --example breaker -- build|clippy`.
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("build") | None => wdk_linux::breaker().map(|image| println!("{}", image.display())),
        Some("clippy") => wdk_linux::lint_breaker(),
        Some(other) => {
            eprintln!("no task is called {other}: build or clippy");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
