//! Builds the miniport that breaks rules and prints where it is, or checks it: `cargo run -p wdk-linux --example breaker -- build|clippy`.
use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args_os().nth(1);
    let outcome = match task.as_ref().map(|task| task.to_str()) {
        Some(Some("build")) | None => {
            wdk_linux::breaker().map(|image| println!("{}", image.display()))
        }
        Some(Some("clippy")) => wdk_linux::lint_breaker(),
        Some(_) => {
            eprintln!(
                "no task is called {}: build or clippy",
                task.unwrap_or_default().to_string_lossy().escape_debug()
            );
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
