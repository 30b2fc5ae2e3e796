//! Fetches and unpacks packages and prints the folder: `cargo run -p wdk-linux --example packages -- NAME PACKAGE...`.
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, packages @ ..] = arguments.as_slice() else {
        eprintln!("a name for the folder and the packages are needed");
        return ExitCode::from(2);
    };
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    match wdk_linux::packages::unpacked(name, &packages) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
