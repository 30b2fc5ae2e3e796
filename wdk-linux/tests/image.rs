//! The driver image, built as `cargo run` and the tests build it.
use std::os::unix::fs::MetadataExt;

use wdk_linux::{Image, image_check};

fn image() -> Image {
    wdk_linux::image().unwrap_or_else(|error| panic!("{error}"))
}

/// An image that is current is returned without asking cargo, so that a run can begin at once.
#[test]
fn a_current_image_is_not_built_again() {
    let first = image();
    let inode = |image: &Image| std::fs::metadata(&image.sys).expect("the image").ino();
    let before = inode(&first);
    let second = image();
    assert_eq!(first, second);
    // A build puts a new file in place.
    assert_eq!(before, inode(&second), "built once more");
    for file in [&second.sys, &second.pdb, &second.map] {
        assert!(file.is_file(), "{} is missing", file.display());
    }
}

/// The image that ships is one that Windows loads, calls only what a miniport may call, and cannot panic.
#[test]
fn the_image_that_ships_has_no_findings() {
    let findings = image_check::check(&image()).unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn image_tells_its_version() {
    let image = wdk_linux::image().expect("the image builds");
    let bytes = std::fs::read(&image.sys).expect("the image");
    let file = pelite::PeFile::from_bytes(&bytes).expect("a PE file");
    let resources = file.resources().expect("resources");
    let version = resources.version_info().expect("a version resource");
    let fixed = version.fixed().expect("the binary part");
    let numbers = fixed.dwFileVersion;
    let expected = env!("CARGO_PKG_VERSION");
    assert_eq!(
        format!("{}.{}.{}", numbers.Major, numbers.Minor, numbers.Patch),
        expected
    );
    let language = *version.translation().first().expect("a language");
    for (name, value) in [
        ("FileVersion", expected),
        ("ProductVersion", expected),
        ("OriginalFilename", "ferrostor.sys"),
        ("ProductName", "Ferrostor"),
    ] {
        assert_eq!(
            version.value(language, name).as_deref(),
            Some(value),
            "{name}"
        );
    }
    for name in ["CompanyName", "FileDescription", "LegalCopyright"] {
        let value = version.value(language, name);
        assert!(value.is_some_and(|value| !value.is_empty()), "{name}");
    }
}
