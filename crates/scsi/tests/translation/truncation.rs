//! Parameter data is cut off by the allocation length and by the buffer, and never changed by it.

use core::ops::Range;

use crate::disk::{CONTROLLER, answer, answer_into, unit};

/// A CDB, and the bytes of it that are the allocation length.
fn requests() -> Vec<(Vec<u8>, Range<usize>)> {
    let mut requests = vec![
        (vec![0x12, 0, 0, 0, 0, 0], 3..5),
        (vec![0x1A, 0, 0x3F, 0, 0, 0], 4..5),
        (vec![0x5A, 0x10, 0x3F, 0, 0, 0, 0, 0, 0, 0], 7..9),
        (
            vec![0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            10..14,
        ),
        (vec![0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 6..10),
    ];
    requests.extend([
        (vec![0x03, 0, 0, 0, 0, 0], 4..5),
        (vec![0x03, 1, 0, 0, 0, 0], 4..5),
        (vec![0x4D, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0], 7..9),
        (vec![0xA3, 0x0C, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 0], 6..10),
        (vec![0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 6..10),
    ]);
    for page in [0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2] {
        requests.push((vec![0x12, 1, page, 0, 0, 0], 3..5));
    }
    requests
}

fn with_allocation_length(cdb: &[u8], field: Range<usize>, length: u32) -> Vec<u8> {
    let mut cdb = cdb.to_vec();
    let width = field.len();
    cdb[field].copy_from_slice(&length.to_be_bytes()[4 - width..]);
    cdb
}

#[test]
fn every_allocation_length_gets_the_start_of_the_data() {
    for (cdb, field) in requests() {
        let most = if field.len() == 1 { 0xFF } else { 4096 };
        let whole = answer(
            &with_allocation_length(&cdb, field.clone(), most),
            &unit(&CONTROLLER),
        );
        assert!(whole.len() < 255, "the test sees all of it");
        let least = if cdb[0] == 0xA0 { 16 } else { 0 };
        for length in least..=255_u32 {
            let cdb = with_allocation_length(&cdb, field.clone(), length);
            let (outcome, data) = answer_into(&cdb, &unit(&CONTROLLER), 300);
            let written = whole.len().min(length as usize);
            assert_eq!(outcome.sense, None);
            assert_eq!(outcome.transferred_bytes as usize, written, "{cdb:02X?}");
            assert_eq!(data[..written], whole[..written]);
            assert!(data[written..].iter().all(|byte| *byte == 0xEE));
        }
    }
}

#[test]
fn every_buffer_length_gets_the_start_of_the_data() {
    for (cdb, field) in requests() {
        let cdb = with_allocation_length(&cdb, field, 0xFF);
        let whole = answer(&cdb, &unit(&CONTROLLER));
        for length in 0..=whole.len() + 1 {
            let (outcome, data) = answer_into(&cdb, &unit(&CONTROLLER), length);
            let written = whole.len().min(length);
            assert_eq!(outcome.transferred_bytes as usize, written, "{cdb:02X?}");
            assert_eq!(data[..written], whole[..written]);
        }
    }
}

#[test]
fn read_capacity_10_has_no_allocation_length_but_a_buffer() {
    let cdb = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let whole = answer(&cdb, &unit(&CONTROLLER));
    for length in 0..10 {
        let (outcome, data) = answer_into(&cdb, &unit(&CONTROLLER), length);
        assert_eq!(outcome.transferred_bytes as usize, length.min(8));
        assert_eq!(data[..length.min(8)], whole[..length.min(8)]);
    }
}
