//! A package of the real image: made, checked by several programs, and changed byte by byte.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use driver_package::collect::collect;
use driver_package::manifest::Manifest;
use driver_package::pipeline::{Pipeline, STEPS, Sources, Step};
use driver_package::signing::Tools;
use driver_package::stamp::{Date, Version};
use driver_package::{catalog, verify};
use tempfile::TempDir;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A package, made once for all tests of the process, in a folder that lasts as long.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<TempDir> = OnceLock::new();
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let folder = PACKAGE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("x64"), folder.path());
        folder
    });
    PLACE.get_or_init(|| folder.path().join("x64"))
}

fn make(place: &Path, scratch: &Path) {
    let script = scratch.join("install.ps1");
    fs::write(&script, "# nothing\r\n").unwrap();
    let pipeline = pipeline(&workspace().join("inf/ferrostor.inx"), scratch);
    for &step in STEPS {
        pipeline
            .run(step)
            .unwrap_or_else(|error| panic!("{step}: {error}"));
    }
    collect(&pipeline.package(), &[script], place).unwrap();
}

fn pipeline(inx: &Path, scratch: &Path) -> Pipeline {
    let sources = Sources {
        inx: inx.to_owned(),
        version: Version([1, 2, 3, 4]),
        date: Date::new(2026, 1, 2).unwrap(),
    };
    Pipeline::new(sources, &scratch.join("output"), &scratch.join("keys"))
}

/// A copy of the package, to be changed.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(package()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Everything that is wrong with a package, a line each.
fn faults(folder: &Path) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let files = verify::check(folder);
    let signatures = Tools::find().unwrap().check(folder, scratch.path());
    let lines = files.iter().map(ToString::to_string);
    match signatures {
        Ok(more) => lines.chain(more.iter().map(ToString::to_string)).collect(),
        Err(error) => lines.chain([error.to_string()]).collect(),
    }
}

fn change(file: &Path, offset: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn assert_says(faults: &[String], texts: &[&str]) {
    for text in texts {
        assert!(
            faults.iter().any(|fault| fault.contains(text)),
            "{text}: {faults:#?}"
        );
    }
}

#[test]
fn a_package_is_complete_and_sound() {
    let mut names: Vec<_> = fs::read_dir(package())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "ferrostor.cat",
        "ferrostor.cer",
        "ferrostor.inf",
        "ferrostor.pdb",
        "ferrostor.sys",
        "install.ps1",
        "manifest.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(faults(package()), [""; 0]);
}

#[test]
fn a_changed_image_is_told_by_manifest_catalogue_and_signature() {
    let folder = copy();
    let image = folder.path().join("ferrostor.sys");
    change(&image, 0x1234);
    assert_says(
        &faults(folder.path()),
        &[
            "ferrostor.sys was changed",
            "the catalogue does not know ferrostor.sys by its Authenticode hash",
            "the signature of the image does not hold",
            "the manifest's Authenticode hash is not that of the package",
        ],
    );
}

#[test]
fn a_changed_inf_is_told_by_manifest_and_catalogue() {
    let folder = copy();
    let inf = folder.path().join("ferrostor.inf");
    let text = fs::read_to_string(&inf).unwrap();
    change(&inf, text.find("Ferrostor").unwrap());
    assert_says(
        &faults(folder.path()),
        &[
            "ferrostor.inf was changed",
            "the catalogue does not know ferrostor.inf by its SHA-256",
        ],
    );
}

#[test]
fn an_inf_that_breaks_a_rule_is_told_with_its_line() {
    let folder = copy();
    let inf = folder.path().join("ferrostor.inf");
    let text = fs::read_to_string(&inf).unwrap();
    let line = 1 + text[..text.find("DefaultDestDir").unwrap()]
        .matches('\n')
        .count();
    fs::write(
        &inf,
        text.replace("DefaultDestDir = 13", "DefaultDestDir = 12"),
    )
    .unwrap();
    assert_says(
        &faults(folder.path()),
        &[&format!("ferrostor.inf:{line}: destination: ")],
    );
}

#[test]
fn an_inx_that_breaks_a_rule_goes_no_further_than_the_lint() {
    let folder = tempfile::tempdir().unwrap();
    let inx = folder.path().join("broken.inx");
    let sound = fs::read_to_string(workspace().join("inf/ferrostor.inx")).unwrap();
    fs::write(
        &inx,
        sound.replace("StartType      = 0", "StartType      = 5"),
    )
    .unwrap();
    let line = 1 + sound[..sound.find("StartType").unwrap()]
        .matches('\n')
        .count();
    let pipeline = pipeline(&inx, folder.path());
    pipeline.run(Step::StampInf).unwrap();
    let error = pipeline.run(Step::VerifyInf).unwrap_err().to_string();
    assert!(
        error.contains(&format!("broken.inx:{line}: service-entry: ")),
        "{error}"
    );
}

#[test]
fn a_signature_that_does_not_hold_fails_its_step() {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("x64"), folder.path());
    let pipeline = pipeline(&workspace().join("inf/ferrostor.inx"), folder.path());
    change(&pipeline.package().join("ferrostor.sys"), 0x1234);
    for (step, name) in [
        (Step::VerifyImage, "the image"),
        (Step::VerifyCatalog, "the image by the catalogue"),
    ] {
        let error = pipeline.run(step).unwrap_err().to_string();
        let expected = format!("the signature of {name} does not hold: ");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_changed_catalogue_is_told_by_manifest_and_signature() {
    let sound = fs::read(package().join("ferrostor.cat")).unwrap();
    let contents = catalog::read(&sound).unwrap();
    let hash = &contents.entries[0].digest;
    let offset = sound
        .windows(hash.len())
        .position(|bytes| bytes == hash)
        .unwrap();
    let folder = copy();
    change(&folder.path().join("ferrostor.cat"), offset);
    assert_says(
        &faults(folder.path()),
        &[
            "ferrostor.cat was changed",
            "the signature of the catalogue does not hold: osslsigncode",
            "the signature of the catalogue does not hold: openssl",
        ],
    );
}

#[test]
fn a_catalogue_that_nobody_signed_or_can_read_is_told() {
    let folder = copy();
    fs::write(folder.path().join("ferrostor.cat"), [0x30, 0x00]).unwrap();
    assert_says(&faults(folder.path()), &["the catalogue is not sound"]);
}

#[test]
fn files_that_come_and_go_are_told() {
    let folder = copy();
    fs::remove_file(folder.path().join("install.ps1")).unwrap();
    fs::write(folder.path().join("more.dll"), "").unwrap();
    assert_says(
        &faults(folder.path()),
        &[
            "install.ps1 is missing",
            "more.dll does not belong to the package",
        ],
    );
    fs::remove_file(folder.path().join("manifest.json")).unwrap();
    assert_says(&faults(folder.path()), &["cannot read", "manifest.json"]);
}

#[test]
fn what_the_tools_of_windows_have_made_becomes_the_same_package() {
    let folder = copy();
    fs::remove_file(folder.path().join("manifest.json")).unwrap();
    let certificate = folder.path().join("WDRLocalTestCert.cer");
    fs::rename(folder.path().join("ferrostor.cer"), certificate).unwrap();
    let script = folder.path().join("install.ps1");
    let place = folder.path().join("x64");
    let manifest = collect(folder.path(), &[script], &place).unwrap();
    assert_eq!(manifest, Manifest::read(package()).unwrap());
    assert_eq!(faults(&place), [""; 0]);
}

#[test]
fn a_second_package_differs_in_its_signatures_only() {
    let folder = tempfile::tempdir().unwrap();
    let second = folder.path().join("x64");
    make(&second, folder.path());
    for name in ["ferrostor.inf", "ferrostor.pdb", "install.ps1"] {
        let [a, b] = [package(), &second].map(|place| fs::read(place.join(name)).unwrap());
        assert_eq!(a, b, "{name}");
    }
    let content = |place: &Path| {
        catalog::detach(&fs::read(place.join("ferrostor.cat")).unwrap())
            .unwrap()
            .content
    };
    assert_eq!(content(package()), content(&second));
}
