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
use driver_package::trust::{self, Thumbprint};
use driver_package::{catalog, manifest, verify};
use tempfile::TempDir;

fn workspace() -> PathBuf {
    wdk_linux::workspace().unwrap()
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
    let files = verify::check(folder);
    let signatures = Tools::find().unwrap().check(folder);
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

/// Writes the manifest of a package anew, so that it fits what was changed.
fn fit_manifest(folder: &Path) {
    let sound = Manifest::read(package()).unwrap();
    let date = Date::new(2026, 1, 2).unwrap();
    let fitting = manifest::of(folder, &sound.version, date).unwrap();
    fitting.write(folder).unwrap();
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

/// Everything in a package that was signed anew fits together; only its certificate is another.
#[test]
fn a_package_that_somebody_else_signed_is_told_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let second = folder.path().join("x64");
    make(&second, folder.path());
    assert_eq!(faults(&second), [""; 0]);
    let told = |place: &Path, wanted: Option<&Thumbprint>| {
        let fault = trust::check(place, wanted).unwrap();
        fault.map(|fault| fault.to_string()).unwrap_or_default()
    };
    let [own, foreign] = [package(), &second].map(|place| trust::of_package(place).unwrap());
    assert_eq!(told(package(), Some(&own)), "");
    let said = told(&second, Some(&own));
    assert!(
        said.contains(&format!("{foreign}, not with {own}")),
        "{said}"
    );
    let said = told(package(), None);
    assert!(
        said.starts_with(&format!("whose certificate {own} is")),
        "{said}"
    );

    let certificate = folder.path().join("keys/certificate.pem");
    assert_eq!(Thumbprint::of_file(&certificate).unwrap(), foreign);
    let der = fs::read(second.join("ferrostor.cer")).unwrap();
    let long = driver_package::digest::hex(&driver_package::digest::Digests::of_file(&der).sha256);
    let long = Thumbprint::parse(&long).unwrap();
    assert_eq!(told(&second, Some(&long)), "");
    assert_ne!(told(package(), Some(&long)), "");
}

#[test]
fn packages_that_are_checked_at_once_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let second = folder.path().join("x64");
    make(&second, folder.path());
    std::thread::scope(|scope| {
        let threads = [package(), &second].map(|place| {
            scope.spawn(move || (0..5).flat_map(|_| faults(place)).collect::<Vec<String>>())
        });
        for thread in threads {
            assert_eq!(thread.join().unwrap(), [""; 0]);
        }
    });
}

/// The offsets of the checksum and of the certificates' directory entry.
fn places(image: &[u8]) -> [usize; 2] {
    let pe = u32::from_le_bytes(image[0x3c..0x40].try_into().unwrap());
    let header = usize::try_from(pe).unwrap() + 24;
    [header + 64, header + 112 + 4 * 8]
}

/// The Authenticode hash leaves the checksum out: the signatures hold, and Windows does not load the image.
#[test]
fn a_wrong_checksum_is_told() {
    let folder = copy();
    let image = folder.path().join("ferrostor.sys");
    let [checksum, _] = places(&fs::read(&image).unwrap());
    change(&image, checksum);
    fit_manifest(folder.path());
    let faults = verify::check(folder.path());
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("the checksum of ferrostor.sys is 0x"),
        "{lines:#?}"
    );
}

/// Padding behind the signature, which no hash covers.
#[test]
fn padding_in_the_certificate_table_is_told() {
    const PADDING: u32 = 4096;
    let folder = copy();
    let path = folder.path().join("ferrostor.sys");
    let mut image = fs::read(&path).unwrap();
    let [_, directory] = places(&image);
    let size = directory + 4..directory + 8;
    let bytes = u32::from_le_bytes(image[size.clone()].try_into().unwrap());
    image[size].copy_from_slice(&(bytes + PADDING).to_le_bytes());
    image.extend([7; PADDING as usize]);
    fs::write(&path, image).unwrap();
    fit_manifest(folder.path());
    assert_says(
        &faults(folder.path()),
        &["the certificate table of ferrostor.sys holds "],
    );
}

#[test]
fn a_manifest_that_describes_another_package_is_told() {
    let sound = Manifest::read(package()).unwrap();
    let changed = |change: fn(&mut Manifest), text: &str| {
        let folder = copy();
        let mut manifest = sound.clone();
        change(&mut manifest);
        manifest.write(folder.path()).unwrap();
        assert_says(&faults(folder.path()), &[text]);
    };
    changed(
        |manifest| manifest.date = "2026-01-03".into(),
        "the manifest's date is not",
    );
    changed(
        |manifest| manifest.version = "1.2.3.5".into(),
        "in the manifest it is \"1.2.3.5\"",
    );
    changed(
        |manifest| manifest.architecture = "arm64".into(),
        "the manifest's architecture is not",
    );
    changed(
        |manifest| manifest.files[0].bytes += 1,
        "the manifest's size of ferrostor.cat is not",
    );
    changed(
        |manifest| {
            let mut again = manifest.files[0].clone();
            again.name.make_ascii_uppercase();
            manifest.files.push(again);
        },
        "the manifest lists FERROSTOR.CAT twice",
    );
    changed(
        |manifest| manifest.certificate_thumbprint.clear(),
        "the manifest's certificate thumbprint is not",
    );
}

#[test]
fn what_is_no_plain_file_or_no_certificate_is_told() {
    let folder = copy();
    let image = folder.path().join("ferrostor.sys");
    fs::remove_file(&image).unwrap();
    std::os::unix::fs::symlink(package().join("ferrostor.sys"), &image).unwrap();
    assert_says(&faults(folder.path()), &["ferrostor.sys is no plain file"]);

    let folder = copy();
    let path = folder.path().join("ferrostor.cer");
    let mut certificate = fs::read(&path).unwrap();
    certificate.push(0);
    fs::write(&path, certificate).unwrap();
    assert_says(&faults(folder.path()), &["the certificate is not sound"]);
}

/// A catalogue of a program that takes every member for a file that is no image.
#[test]
fn a_member_of_the_wrong_kind_is_told() {
    let folder = copy();
    let path = folder.path().join("ferrostor.cat");
    let mut catalogue = fs::read(&path).unwrap();
    let image = [0x31, 0x02, 0x80, 0x00];
    let place = catalogue.windows(4).position(|bytes| bytes == image);
    catalogue[place.unwrap() + 2] = 0x82;
    fs::write(&path, catalogue).unwrap();
    let text = "the catalogue takes ferrostor.sys for another kind of file than it is";
    assert_says(&faults(folder.path()), &[text]);
}
