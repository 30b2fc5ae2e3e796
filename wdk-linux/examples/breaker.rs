//! Builds the miniport that breaks rules and prints where it is: `cargo run -p wdk-linux --example breaker`.
use std::process::ExitCode;

fn main() -> ExitCode {
    match wdk_linux::breaker() {
        Ok(image) => {
            println!("{}", image.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
