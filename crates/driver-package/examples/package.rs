//! Makes and checks the driver package: `cargo run -q -p driver-package --example package -- make|step|verify|lint`.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use driver_package::collect::collect;
use driver_package::inf::Inf;
use driver_package::lint::lint;
use driver_package::manifest::Manifest;
#[cfg(target_os = "linux")]
use driver_package::pipeline::{Pipeline, STEPS, Sources, Step, source_date};
use driver_package::stamp::{Date, Stamp, Version, stamp};
use driver_package::{Error, verify};

const USAGE: &str = "\
usage: package make              the package of the image, built if it is not, in target/package/x64
       package step NAME         one step of that on Linux, named as the task of `cargo make` is
       package collect FOLDER    the package from what the steps, or the WDK's tools, have put into a folder
       package verify [FOLDER]   checks a finished package
       package lint [FILE]       checks an INF or INX, inf/ferrostor.inx if none is named
       package rules             what an INF is held to";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        #[cfg(target_os = "linux")]
        ["make"] => make(),
        #[cfg(target_os = "linux")]
        ["step", name] if Step::named(name).is_some() => one_step(name),
        ["collect", folder] => gather(Path::new(folder)),
        ["verify"] => check(&place()),
        ["verify", folder] => check(Path::new(folder)),
        ["lint"] => lint_file(&workspace().join("inf/ferrostor.inx")),
        ["lint", file] => lint_file(Path::new(file)),
        ["rules"] => {
            rules();
            Ok(true)
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn workspace() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).expect("the workspace").to_owned()
}

fn target() -> PathBuf {
    workspace().join("target")
}

fn place() -> PathBuf {
    target().join("package/x64")
}

#[cfg(target_os = "linux")]
fn pipeline() -> Result<Pipeline, Error> {
    let workspace = workspace();
    let sources = Sources {
        inx: workspace.join("inf/ferrostor.inx"),
        version: Version::parse(env!("CARGO_PKG_VERSION"))
            .expect("cargo's version has three parts"),
        date: source_date(&workspace)?,
    };
    let output = target().join("driver/release");
    let keys = target().join("package/test-signing");
    Ok(Pipeline::new(sources, &output, &keys))
}

#[cfg(target_os = "linux")]
fn make() -> Result<bool, Error> {
    let pipeline = pipeline()?;
    for &step in STEPS {
        pipeline.run(step)?;
    }
    gather(&pipeline.package())
}

#[cfg(target_os = "linux")]
fn one_step(name: &str) -> Result<bool, Error> {
    let step = Step::named(name).expect("a step's name");
    pipeline()?.run(step)?;
    Ok(true)
}

fn gather(folder: &Path) -> Result<bool, Error> {
    let scripts = scripts(&workspace().join("scripts"));
    tell(&collect(folder, &scripts, &place())?);
    Ok(true)
}

fn tell(manifest: &Manifest) {
    println!("ferrostor {} of {}", manifest.version, manifest.date);
    for file in &manifest.files {
        println!("  {:16} {:9} bytes  {}", file.name, file.bytes, file.sha256);
    }
    let thumbprint = &manifest.certificate_thumbprint;
    println!("signed with the test certificate {thumbprint}");
    println!("the package is in target/package/x64");
}

/// The scripts and the trace profile for Windows, in the order of their names.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension == "ps1" || extension == "wprp")
        })
        .collect();
    scripts.sort();
    scripts
}

fn check(folder: &Path) -> Result<bool, Error> {
    let mut faults = verify::check(folder);
    #[cfg(target_os = "linux")]
    match driver_package::signing::Tools::find()?.check(folder, &target().join("package/verify")) {
        Ok(more) => faults.extend(more),
        Err(error) => faults.push(error.into()),
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() {
        println!("the package is sound: files, catalogue, INF and signatures");
    }
    Ok(faults.is_empty())
}

fn lint_file(file: &Path) -> Result<bool, Error> {
    let mut bytes = fs::read(file).map_err(|source| Error::File {
        what: "read",
        path: file.to_owned(),
        source,
    })?;
    if file.extension().is_some_and(|extension| extension == "inx") {
        let sample = Stamp {
            architecture: "amd64",
            date: Date::new(2000, 1, 1).expect("a day"),
            version: Version([0; 4]),
            catalog: "ferrostor.cat".to_owned(),
        };
        bytes = stamp(&String::from_utf8_lossy(&bytes), &sample).into_bytes();
    }
    let findings = lint(&Inf::parse(&bytes));
    for finding in &findings {
        println!("{}:{finding}", file.display());
    }
    if findings.is_empty() {
        println!("{} breaks no rule", file.display());
    }
    Ok(findings.is_empty())
}

fn rules() {
    for rule in driver_package::lint::RULES {
        println!("{:18} {} [{}]", rule.id(), rule.meaning(), rule.source());
    }
}
