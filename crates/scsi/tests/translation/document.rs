//! docs/requests.md has every command, and names tests that there are.

use core::num::NonZeroU64;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use scsi::{Controller, Deallocation, LogicalUnit};

use crate::disk::{CONTROLLER, answer, unit};

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    fs::read_to_string(workspace().join("docs/requests.md")).unwrap()
}

/// The cells of the rows of the table of commands.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let rows = document.lines().filter(|line| line.starts_with('|'));
    let rows = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect());
    rows.skip(2).collect()
}

/// The commands of a unit that offers all there are, as the document writes them: operation code and service action.
fn offered() -> BTreeSet<String> {
    let controller = Controller {
        write_zeroes_bytes: NonZeroU64::new(u64::MAX),
        ..CONTROLLER
    };
    let unit = LogicalUnit {
        deallocation: Some(Deallocation::default()),
        ..unit(&controller)
    };
    let list = answer(&[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0], &unit);
    let commands = list[4..].chunks(8).map(|command| match command[5] & 1 {
        0 => format!("{:02X}", command[0]),
        _ => format!("{:02X}/{:02X}", command[0], command[3]),
    });
    commands.collect()
}

#[test]
fn every_command_has_its_row() {
    let document = document();
    let rows = rows(&document);
    assert!(rows.iter().all(|row| row.len() == 5), "{rows:?}");
    let codes: Vec<&str> = rows.iter().flat_map(|row| row[1].split(' ')).collect();
    let told: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(told.len(), codes.len(), "none twice");
    assert_eq!(told, offered());
}

#[test]
fn every_row_says_whether_it_is_offered() {
    let document = document();
    let list = answer(
        &[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0],
        &unit(&CONTROLLER),
    );
    let always: BTreeSet<u8> = list[4..].chunks(8).map(|command| command[0]).collect();
    for row in rows(&document) {
        let code = u8::from_str_radix(&row[1][..2], 16).unwrap();
        let told = !row[3].contains("not offered without");
        assert_eq!(told, always.contains(&code), "{row:?}");
    }
}

/// Each file in back-quotes that is followed by a name in back-quotes has a test of that name.
#[test]
fn every_test_that_is_named_is_there() {
    let document = document();
    let quoted: Vec<&str> = document.split('`').skip(1).step_by(2).collect();
    let pairs = quoted.windows(2).filter(|pair| {
        let is_name = pair[1].contains('_') && !pair[1].contains(['/', '.', ' ']);
        pair[0].contains("tests/") && is_name && !pair[1].starts_with("SRB")
    });
    let mut count = 0;
    for pair in pairs {
        let text = fs::read_to_string(workspace().join(pair[0])).unwrap();
        assert!(text.contains(&format!("fn {}()", pair[1])), "{pair:?}");
        count += 1;
    }
    assert_eq!(
        count,
        rows(&document).len() + 2,
        "one for each row, two for the status table"
    );
}
