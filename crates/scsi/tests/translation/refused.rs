//! What is refused whatever the rest of it says: other operation codes, short CDBs, NACA.

use scsi::{DataDirection, Transfer};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, INVALID_OPERATION_CODE, answer_into, data_in, done, illegal_request,
    returns_parameter_data, submitted, translate, unit,
};

/// A CDB of each command, with the length that its operation code has, and whether its answer is parameter data.
const COMMANDS: [(&[u8], bool); 18] = [
    (&[0x00, 0, 0, 0, 0, 0], false),
    (&[0x12, 0, 0, 0, 96, 0], true),
    (&[0x1A, 0, 0x3F, 0, 192, 0], true),
    (&[0x1B, 0, 0, 0, 1, 0], false),
    (&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], true),
    (&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], false),
    (&[0x2A, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
    (&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
    (&[0x2F, 0, 0, 0, 0, 0, 0, 0, 1, 0], false),
    (&[0x8F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], false),
    (&[0xAF, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], false),
    (&[0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 192, 0], true),
    (&[0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], false),
    (&[0x8A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
    (&[0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
    (
        &[0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0],
        true,
    ),
    (&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], true),
    (&[0x12, 1, 0x83, 0, 255, 0], true),
];

#[test]
fn every_other_operation_code_is_unknown() {
    for operation_code in 0..=0xFF {
        if COMMANDS.iter().any(|(cdb, _)| cdb[0] == operation_code) {
            continue;
        }
        let mut cdb = [0; 16];
        cdb[0] = operation_code;
        assert_eq!(
            done(&cdb, &unit(&CONTROLLER), Transfer::NONE),
            illegal_request(INVALID_OPERATION_CODE),
            "{operation_code:02X}h"
        );
    }
    assert_eq!(
        done(&[], &unit(&CONTROLLER), Transfer::NONE),
        illegal_request(INVALID_OPERATION_CODE)
    );
}

#[test]
fn a_cdb_that_ends_early_is_refused() {
    for (cdb, _) in COMMANDS {
        for length in 1..cdb.len() {
            let (outcome, data) = answer_into(&cdb[..length], &unit(&CONTROLLER), 512);
            assert_eq!(
                outcome,
                illegal_request(INVALID_FIELD),
                "{cdb:02X?}, {length}"
            );
            assert!(data.iter().all(|byte| *byte == 0xEE));
        }
    }
}

#[test]
fn naca_is_refused() {
    for (cdb, _) in COMMANDS {
        let mut cdb = cdb.to_vec();
        *cdb.last_mut().unwrap() = 0x04;
        assert_eq!(
            done(&cdb, &unit(&CONTROLLER), data_in(512)),
            illegal_request(INVALID_FIELD),
            "{cdb:02X?}"
        );
    }
}

#[test]
fn bytes_after_a_cdb_mean_nothing() {
    let read = [
        0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    ];
    let (_, direction, bytes) = submitted(&read, &unit(&CONTROLLER), data_in(512));
    assert_eq!((direction, bytes), (DataDirection::In, 512));
}

#[test]
fn parameter_data_is_foretold() {
    for (cdb, parameter_data) in COMMANDS {
        assert_eq!(returns_parameter_data(cdb), parameter_data, "{cdb:02X?}");
        let mut data = [0xEE; 512];
        let _ = translate(cdb, &unit(&CONTROLLER), data_in(512), &mut data);
        assert_eq!(data != [0xEE; 512], parameter_data, "{cdb:02X?}");
    }
    assert!(!returns_parameter_data(&[]));
    assert!(!returns_parameter_data(&[0x03, 0, 0, 0, 18, 0]));
}

#[test]
fn a_buffer_that_must_not_be_written_to_is_not() {
    for (cdb, parameter_data) in COMMANDS {
        if !parameter_data {
            continue;
        }
        let mut data = [0xEE; 512];
        let transfer = Transfer {
            bytes: 512,
            data_in: false,
            data_out: true,
        };
        let _ = translate(cdb, &unit(&CONTROLLER), transfer, &mut data);
        assert_eq!(data, [0xEE; 512], "{cdb:02X?}");
    }
}

/// What a logical unit that is not there answers, with a buffer of so many bytes.
fn gone(cdb: &[u8], bytes: u32) -> (scsi::Outcome, Vec<u8>) {
    let mut data = vec![0xEE; bytes as usize];
    let Ok(scsi::Request::Other(request)) = scsi::Request::parse(cdb) else {
        panic!("{cdb:02X?}");
    };
    match request.translate_gone(&CONTROLLER, data_in(bytes), &mut data) {
        scsi::Action::Done(outcome) => (outcome, data),
        scsi::Action::Submit { .. } => panic!("{cdb:02X?} goes to the device"),
    }
}

#[test]
fn a_unit_that_is_not_there_says_so_and_which_there_are() {
    let (outcome, data) = gone(&[0x12, 0, 0, 0, 96, 0], 96);
    assert_eq!(outcome.sense, None);
    assert_eq!(data[0], 0x7F, "no unit can be here, of no type");
    assert_eq!(outcome.transferred_bytes, 74);
    let (outcome, data) = gone(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], 64);
    assert_eq!(outcome.transferred_bytes, 32);
    assert_eq!([data[9], data[17], data[25]], [0, 1, 7]);
    let not_supported = 0x25;
    for (cdb, _) in COMMANDS {
        if matches!(cdb[0], 0x12 | 0xA0 | 0x28 | 0x2A | 0x88 | 0x8A) && cdb[1] == 0 {
            continue;
        }
        let (outcome, data) = gone(cdb, 512);
        assert_eq!(outcome, illegal_request(not_supported), "{cdb:02X?}");
        assert!(data.iter().all(|byte| *byte == 0xEE));
    }
    assert_eq!(scsi::gone(), illegal_request(not_supported));
}

#[test]
fn inquiry_and_report_luns_report_no_unit_attention() {
    for (cdb, _) in COMMANDS {
        let request = scsi::Request::parse(cdb).unwrap();
        assert_eq!(
            request.reports_unit_attention(),
            !matches!(cdb[0], 0x12 | 0xA0),
            "{cdb:02X?}"
        );
        assert_eq!(request.is_report_luns(), cdb[0] == 0xA0);
    }
}
