//! Makes and checks the driver package: `cargo run -q -p driver-package --example package -- make|step|verify|lint`.
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use driver_package::collect::collect;
use driver_package::inf::Inf;
use driver_package::lint::lint;
use driver_package::manifest::Manifest;
#[cfg(target_os = "linux")]
use driver_package::pipeline::{Pipeline, STEPS, Sources, Step, source_date};
use driver_package::stamp::{Date, Stamp, Version, stamp_file};
use driver_package::trust::{self, Thumbprint};
use driver_package::{Error, verify};

const USAGE: &str = "\
usage: package make              the package of the image, built if it is not, in target/package/x64
       package step NAME         one step of that on Linux, named as the task of `cargo make` is
       package collect FOLDER    the package from what the steps, or the WDK's tools, have put into a folder
       package verify [--thumbprint HEX] [FOLDER]
                                 checks a finished package, and that it is signed with this certificate: SHA-1 as Windows shows
                                 it, or SHA-256; that of this checkout, if none is given
       package lint [FILE]       checks an INF or INX, inf/ferrostor.inx if none is named
       package rules             what an INF is held to";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let Some(outcome) = run(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
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

/// Does what the arguments ask for; `None` when they ask for nothing that is known.
fn run(arguments: &[OsString]) -> Option<Result<bool, Error>> {
    let (command, rest) = arguments.split_first()?;
    let outcome = match (command.to_str()?, rest) {
        #[cfg(target_os = "linux")]
        ("make", []) => alone(make),
        #[cfg(target_os = "linux")]
        ("step", [name]) => {
            let step = Step::named(name.to_str()?)?;
            alone(|| one_step(step))
        }
        ("collect", [folder]) => alone(|| gather(Path::new(folder))),
        ("verify", rest) => check(&Verification::of(rest)?),
        ("lint", []) => workspace().and_then(|place| lint_file(&place.join("inf/ferrostor.inx"))),
        ("lint", [file]) => lint_file(Path::new(file)),
        ("rules", []) => {
            rules();
            Ok(true)
        }
        _ => return None,
    };
    Some(outcome)
}

/// Does something with the package of this checkout while no other process does.
fn alone<T>(task: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let path = target()?.join("package/lock");
    let failed = |source| Error::File {
        what: "lock",
        path: path.clone(),
        source,
    };
    fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
    let file = fs::File::create(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    task()
}

/// What is to be verified.
#[derive(Default)]
struct Verification {
    folder: Option<PathBuf>,
    thumbprint: Option<Thumbprint>,
}

impl Verification {
    fn of(mut arguments: &[OsString]) -> Option<Self> {
        let mut verification = Self::default();
        while let [first, rest @ ..] = arguments {
            arguments = rest;
            if first == "--thumbprint" && verification.thumbprint.is_none() {
                let (value, rest) = rest.split_first()?;
                verification.thumbprint = Some(Thumbprint::parse(value.to_str()?)?);
                arguments = rest;
            } else if verification.folder.is_none() && !first.as_encoded_bytes().starts_with(b"-") {
                verification.folder = Some(first.into());
            } else {
                return None;
            }
        }
        Some(verification)
    }
}

#[cfg(target_os = "linux")]
fn workspace() -> Result<PathBuf, Error> {
    Ok(wdk_linux::workspace()?)
}

/// The workspace as cargo names it, which runs this program.
#[cfg(not(target_os = "linux"))]
fn workspace() -> Result<PathBuf, Error> {
    let built = || env!("CARGO_MANIFEST_DIR").into();
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built));
    Ok(folder.ancestors().nth(2).unwrap_or(&folder).to_owned())
}

fn target() -> Result<PathBuf, Error> {
    Ok(workspace()?.join("target"))
}

fn place() -> Result<PathBuf, Error> {
    Ok(target()?.join("package/x64"))
}

#[cfg(target_os = "linux")]
fn pipeline() -> Result<Pipeline, Error> {
    let workspace = workspace()?;
    let sources = Sources {
        inx: workspace.join("inf/ferrostor.inx"),
        version: Version::parse(env!("CARGO_PKG_VERSION"))
            .expect("cargo's version has three parts"),
        date: source_date(&workspace)?,
    };
    let output = target()?.join("driver/release");
    Ok(Pipeline::new(sources, &output, &keys()?))
}

/// Where the key and the certificate of this checkout are.
#[cfg(target_os = "linux")]
fn keys() -> Result<PathBuf, Error> {
    Ok(target()?.join("package/test-signing"))
}

/// The certificate that packages of this checkout are signed with, if there is one.
#[cfg(target_os = "linux")]
fn own_certificate() -> Result<Option<PathBuf>, Error> {
    let certificate = keys()?.join("certificate.pem");
    Ok(certificate.is_file().then_some(certificate))
}

/// The certificate that the WDK's tools have signed the package of this checkout with, if they have.
#[cfg(not(target_os = "linux"))]
fn own_certificate() -> Result<Option<PathBuf>, Error> {
    let folder = target()?.join("release/ferrostor_package");
    Ok(driver_package::collect::certificate(&folder).ok())
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
fn one_step(step: Step) -> Result<bool, Error> {
    pipeline()?.run(step)?;
    Ok(true)
}

fn gather(folder: &Path) -> Result<bool, Error> {
    let scripts = scripts(&workspace()?.join("scripts"));
    tell(&collect(folder, &scripts, &place()?)?);
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

fn check(verification: &Verification) -> Result<bool, Error> {
    match &verification.folder {
        Some(folder) => check_folder(folder, verification),
        None => alone(|| check_folder(&place()?, verification)),
    }
}

fn check_folder(folder: &Path, verification: &Verification) -> Result<bool, Error> {
    let mut faults = verify::check(folder);
    #[cfg(target_os = "linux")]
    match driver_package::signing::Tools::find()?.check(folder) {
        Ok(more) => faults.extend(more),
        Err(error) => faults.push(error.into()),
    }
    let (wanted, whose) = signer(verification)?;
    match trust::check(folder, wanted.as_ref()) {
        Ok(fault) => faults.extend(fault),
        Err(error) => faults.push(error.into()),
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if let Ok(thumbprint) = trust::of_package(folder) {
        println!("the package is signed with the certificate {thumbprint}");
    }
    if faults.is_empty() {
        println!(
            "the package is sound: files, catalogue, INF and signatures, with the certificate {whose}"
        );
    }
    Ok(faults.is_empty())
}

/// The certificate that a package should be signed with, and how it is known.
fn signer(verification: &Verification) -> Result<(Option<Thumbprint>, &'static str), Error> {
    if let Some(given) = &verification.thumbprint {
        return Ok((Some(given.clone()), "of --thumbprint"));
    }
    let own = own_certificate()?;
    let thumbprint = own.map(|file| Thumbprint::of_file(&file)).transpose()?;
    Ok((thumbprint, "of this checkout"))
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
            date: Date::new(2020, 1, 1).expect("a day"),
            version: Version([0; 4]),
            catalog: "ferrostor.cat".to_owned(),
        };
        bytes = stamp_file(&bytes, &sample);
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
