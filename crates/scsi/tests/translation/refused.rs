//! What is refused whatever the rest of it says: other operation codes, short CDBs, NACA.

use scsi::{DataDirection, Transfer};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, INVALID_OPERATION_CODE, answer_into, data_in, done, illegal_request,
    returns_parameter_data, submitted, translate, unit,
};

/// A CDB of each command, with the length that its operation code has, and whether its answer is parameter data.
const COMMANDS: [(&[u8], bool); 28] = [
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
    (&[0x03, 0, 0, 0, 18, 0], true),
    (&[0x08, 0, 0, 0, 1, 0], false),
    (&[0x0A, 0, 0, 0, 1, 0], false),
    (&[0x1D, 0x04, 0, 0, 0, 0], false),
    (&[0x15, 0x10, 0, 0, 0, 0], false),
    (&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 0, 0], false),
    (&[0x4D, 0, 0x40, 0, 0, 0, 0, 0, 64, 0], true),
    (&[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], true),
    (&[0xA8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], false),
    (&[0xAA, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], false),
];

/// Reserved bits of each command: its operation code and service action, a byte, and the bits.
const RESERVED: [(u8, u8, usize, u8); 40] = [
    (0x00, 0, 1, 0x1F),
    (0x00, 0, 2, 0xFF),
    (0x00, 0, 4, 0xFF),
    (0x03, 0, 1, 0x1E),
    (0x03, 0, 2, 0xFF),
    (0x03, 0, 3, 0xFF),
    (0x08, 0, 1, 0xE0),
    (0x0A, 0, 1, 0xE0),
    (0x12, 0, 1, 0x1E),
    (0x1A, 0, 1, 0x17),
    (0x1B, 0, 1, 0x1E),
    (0x1B, 0, 2, 0xFF),
    (0x1B, 0, 3, 0xF0),
    (0x1B, 0, 4, 0x08),
    (0x1D, 0, 1, 0x08),
    (0x1D, 0, 2, 0xFF),
    (0x25, 0, 1, 0x1E),
    (0x25, 0, 6, 0xFF),
    (0x25, 0, 8, 0xFE),
    (0x2F, 0, 1, 0x08),
    (0x2F, 0, 6, 0xC0),
    (0x35, 0, 1, 0xF8),
    (0x35, 0, 6, 0xC0),
    (0x4D, 0, 1, 0x1C),
    (0x4D, 0, 4, 0xFF),
    (0x5A, 0, 1, 0x07),
    (0x5A, 0, 4, 0xFF),
    (0x5A, 0, 6, 0xFF),
    (0x8F, 0, 1, 0x08),
    (0x8F, 0, 14, 0xC0),
    (0x91, 0, 1, 0xF8),
    (0x9E, 0x10, 1, 0xE0),
    (0x9E, 0x10, 14, 0xFE),
    (0xA0, 0, 1, 0xFF),
    (0xA0, 0, 3, 0xFF),
    (0xA0, 0, 10, 0xFF),
    (0xA3, 0x0C, 1, 0xE0),
    (0xA3, 0x0C, 2, 0x78),
    (0xA8, 0, 10, 0xC0),
    (0xAF, 0, 1, 0x08),
];

#[test]
fn reserved_bits_are_refused() {
    for (operation_code, service_action, byte, bits) in RESERVED {
        let command = COMMANDS.iter().find(|(cdb, _)| cdb[0] == operation_code);
        let (cdb, _) = command.unwrap();
        for bit in (0..8).map(|bit| 1 << bit).filter(|bit| bits & bit != 0) {
            let mut cdb = cdb.to_vec();
            cdb[1] |= service_action;
            cdb[byte] |= bit;
            assert_eq!(
                done(&cdb, &unit(&CONTROLLER), data_in(512)),
                illegal_request(INVALID_FIELD),
                "{cdb:02X?}"
            );
        }
    }
    for (cdb, _) in COMMANDS {
        // Those of READ and WRITE that class drivers send are not looked at.
        if matches!(cdb[0], 0x28 | 0x2A | 0x88 | 0x8A) {
            continue;
        }
        for bit in [0x08, 0x10, 0x20] {
            let mut cdb = cdb.to_vec();
            *cdb.last_mut().unwrap() = bit;
            let outcome = done(&cdb, &unit(&CONTROLLER), data_in(512));
            assert_eq!(outcome, illegal_request(INVALID_FIELD), "{cdb:02X?}");
        }
    }
}

/// Obsolete bits and hints: an operation code, a byte, and the bits.
const IGNORED: [(u8, usize, u8); 14] = [
    (0x00, 1, 0xE0),
    (0x03, 1, 0xE0),
    (0x12, 1, 0xE0),
    (0x1A, 1, 0xE0),
    (0x1B, 3, 0x0F),
    (0x25, 1, 0xE1),
    (0x25, 2, 0xFF),
    (0x25, 8, 0x01),
    (0x2F, 6, 0x3F),
    (0x35, 1, 0x05),
    (0x4D, 1, 0xE2),
    (0x8F, 14, 0x3F),
    (0x9E, 2, 0xFF),
    (0x9E, 14, 0x01),
];

#[test]
fn obsolete_bits_and_hints_change_nothing() {
    for (operation_code, byte, bits) in IGNORED {
        let command = COMMANDS.iter().find(|(cdb, _)| cdb[0] == operation_code);
        let (cdb, _) = command.unwrap();
        let mut with = cdb.to_vec();
        with[byte] |= bits;
        let read = |cdb| format!("{:?}", scsi::Request::parse(cdb).unwrap());
        assert_eq!(read(&with), read(cdb), "{with:02X?}");
    }
}

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
    assert!(!returns_parameter_data(&[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0]));
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
        _ => panic!("{cdb:02X?} goes to the device"),
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
        let accesses = [0x08, 0x0A, 0x28, 0x2A, 0x88, 0x8A, 0xA8, 0xAA];
        let answers = [0x03, 0x12, 0xA0];
        if accesses.contains(&cdb[0]) || answers.contains(&cdb[0]) && cdb[1] == 0 {
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
