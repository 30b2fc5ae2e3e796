//! REQUEST SENSE.

use scsi::{Action, Outcome, Request, Sense, Transfer};

use crate::disk::{CONTROLLER, answer, data_in, data_out, unit};

const FIXED: [u8; 6] = [0x03, 0, 0, 0, 252, 0];
const DESCRIPTOR: [u8; 6] = [0x03, 1, 0, 0, 252, 0];

/// Sense data of a key, an additional sense code and its qualifier.
fn fixed([key, code, qualifier]: [u8; 3]) -> Vec<u8> {
    vec![
        0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0,
    ]
}

fn descriptor([key, code, qualifier]: [u8; 3]) -> Vec<u8> {
    vec![0x72, key, code, qualifier, 0, 0, 0, 0]
}

#[test]
fn there_is_nothing_to_tell_in_either_format() {
    assert_eq!(answer(&FIXED, &unit(&CONTROLLER)), fixed([0, 0, 0]));
    assert_eq!(
        answer(&DESCRIPTOR, &unit(&CONTROLLER)),
        descriptor([0, 0, 0])
    );
}

/// What a unit attention condition becomes.
fn attention(cdb: &[u8], transfer: Transfer) -> (Outcome, Vec<u8>) {
    let mut data = vec![0xEE; 64];
    let request = Request::parse(cdb).unwrap();
    let outcome = request.attention(Sense::CAPACITY_DATA_HAS_CHANGED, transfer, &mut data);
    (outcome, data)
}

#[test]
fn a_unit_attention_condition_is_its_parameter_data() {
    for (cdb, expected) in [
        (FIXED, fixed([6, 0x2A, 9])),
        (DESCRIPTOR, descriptor([6, 0x2A, 9])),
    ] {
        let (outcome, data) = attention(&cdb, data_in(64));
        assert_eq!(outcome, Outcome::good(expected.len() as u32));
        assert_eq!(data[..expected.len()], expected);
        assert!(data[expected.len()..].iter().all(|byte| *byte == 0xEE));
        assert_eq!(
            attention(&cdb, data_out(64)),
            (Outcome::good(0), vec![0xEE; 64])
        );
    }
    let (outcome, data) = attention(&[0x03, 0, 0, 0, 4, 0], data_in(64));
    assert_eq!(outcome, Outcome::good(4));
    assert_eq!(data[..5], [0x70, 0, 6, 0, 0xEE]);
}

#[test]
fn every_other_command_ends_with_it() {
    for cdb in [
        &[0x00, 0, 0, 0, 0, 0][..],
        &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let expected = Outcome::check_condition(Sense::CAPACITY_DATA_HAS_CHANGED);
        assert_eq!(attention(cdb, data_in(512)), (expected, vec![0xEE; 64]));
        assert!(!Request::parse(cdb).unwrap().is_request_sense());
    }
    assert!(Request::parse(&FIXED).unwrap().is_request_sense());
}

#[test]
fn a_unit_that_is_not_there_says_so_in_the_data() {
    let Ok(Request::Other(request)) = Request::parse(&FIXED) else {
        panic!("REQUEST SENSE");
    };
    let mut data = [0xEE; 32];
    let action = request.translate_gone(&CONTROLLER, data_in(32), &mut data);
    assert!(matches!(action, Action::Done(outcome) if outcome == Outcome::good(18)));
    assert_eq!(data[..18], fixed([5, 0x25, 0]));
}
