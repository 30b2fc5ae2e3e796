//! The driver image, built as `cargo run` and the tests build it.
use std::time::{Duration, Instant};

use wdk_linux::{Image, image_check};

fn image() -> Image {
    wdk_linux::image().unwrap_or_else(|error| panic!("{error}"))
}

/// An image that is current is returned without asking cargo, so that a run can begin at once.
#[test]
fn a_current_image_is_not_built_again() {
    let first = image();
    let began = Instant::now();
    let second = image();
    let took = began.elapsed();
    assert_eq!(first, second);
    assert!(
        took < Duration::from_millis(500),
        "the second call took {took:?}"
    );
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
