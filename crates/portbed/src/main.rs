//! The command line of the test bed.

use std::process::ExitCode;

fn main() -> ExitCode {
    portbed::cli::main(std::env::args_os())
}
