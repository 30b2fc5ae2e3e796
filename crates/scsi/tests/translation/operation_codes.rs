//! REPORT SUPPORTED OPERATION CODES: exactly what is supported.

use core::num::NonZeroU64;

use scsi::{Action, Controller, Deallocation, LogicalUnit, Outcome, Request, Transfer};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, INVALID_OPERATION_CODE, answer, done, illegal_request, translate,
    unit,
};

const RCTD: u8 = 0x80;

fn ask(options: u8, operation_code: u8, service_action: u16) -> [u8; 12] {
    let [high, low] = service_action.to_be_bytes();
    [
        0xA3,
        0x0C,
        options,
        operation_code,
        high,
        low,
        0,
        0,
        0x10,
        0,
        0,
        0,
    ]
}

/// Each command: operation code, service action, length.
const COMMANDS: [(u8, Option<u8>, u8); 27] = [
    (0x00, None, 6),
    (0x03, None, 6),
    (0x08, None, 6),
    (0x0A, None, 6),
    (0x12, None, 6),
    (0x15, None, 6),
    (0x1A, None, 6),
    (0x1B, None, 6),
    (0x1D, None, 6),
    (0x25, None, 10),
    (0x28, None, 10),
    (0x2A, None, 10),
    (0x2F, None, 10),
    (0x35, None, 10),
    (0x4D, None, 10),
    (0x55, None, 10),
    (0x5A, None, 10),
    (0x88, None, 16),
    (0x8A, None, 16),
    (0x8F, None, 16),
    (0x91, None, 16),
    (0x9E, Some(0x10), 16),
    (0xA0, None, 12),
    (0xA3, Some(0x0C), 12),
    (0xA8, None, 12),
    (0xAA, None, 12),
    (0xAF, None, 12),
];

/// The commands of the list with so many bytes a descriptor, in order of their operation codes.
fn listed(data: &[u8], bytes: usize) -> Vec<(u8, Option<u8>, u8)> {
    let length = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
    assert_eq!(length as usize, data.len() - 4);
    let mut commands: Vec<_> = data[4..]
        .chunks(bytes)
        .map(|descriptor| {
            assert_eq!([descriptor[1], descriptor[2], descriptor[4]], [0, 0, 0]);
            assert_eq!(descriptor[5] & 2 != 0, bytes == 20, "CTDP");
            assert!(bytes == 8 || descriptor[8..] == [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let has_action = descriptor[5] & 1 != 0;
            assert!(has_action || descriptor[3] == 0);
            let length = u16::from_be_bytes([descriptor[6], descriptor[7]]);
            let action = has_action.then_some(descriptor[3]);
            (descriptor[0], action, u8::try_from(length).unwrap())
        })
        .collect();
    commands.sort_unstable();
    commands
}

#[test]
fn all_commands_are_listed() {
    let list = answer(&ask(0, 0, 0), &unit(&CONTROLLER));
    assert_eq!(listed(&list, 8), COMMANDS);
    let with_timeouts = answer(&ask(RCTD, 0, 0), &unit(&CONTROLLER));
    assert_eq!(listed(&with_timeouts, 20), COMMANDS);
}

#[test]
fn what_a_unit_has_not_is_not_listed() {
    let controller = Controller {
        write_zeroes_bytes: NonZeroU64::new(u64::MAX),
        ..CONTROLLER
    };
    for (deallocation, controller, more) in [
        (
            Some(Deallocation::default()),
            &CONTROLLER,
            &[(0x42, None, 10)][..],
        ),
        (None, &controller, &[(0x41, None, 10), (0x93, None, 16)]),
    ] {
        let unit = LogicalUnit {
            deallocation,
            ..unit(controller)
        };
        let mut expected = [&COMMANDS[..], more].concat();
        expected.sort_unstable();
        assert_eq!(listed(&answer(&ask(0, 0, 0), &unit), 8), expected);
        let data = answer(&ask(1, more[0].0, 0), &unit);
        assert_eq!(data[1], 3);
        assert_eq!(usage(1, more[0].0, 0), None);
    }
}

#[test]
fn what_is_listed_is_what_is_known() {
    for operation_code in 0..=0xFF {
        let known = COMMANDS
            .iter()
            .any(|(listed, ..)| *listed == operation_code);
        let mut cdb = [0; 16];
        cdb[0] = operation_code;
        let action = translate(&cdb, &unit(&CONTROLLER), Transfer::NONE, &mut []);
        let unknown = illegal_request(INVALID_OPERATION_CODE);
        let unknown = matches!(action, Action::Done(outcome) if outcome == unknown);
        assert_eq!(unknown, !known, "{operation_code:02X}h");
    }
}

/// The usage data that one question gets; `None` where the command is not supported.
fn usage(options: u8, operation_code: u8, service_action: u16) -> Option<Vec<u8>> {
    let cdb = ask(options, operation_code, service_action);
    let data = answer(&cdb, &unit(&CONTROLLER));
    if data[1] == 1 {
        assert_eq!(data, [0, 1, 0, 0]);
        return None;
    }
    let length = usize::from(u16::from_be_bytes([data[2], data[3]]));
    if options & RCTD == 0 {
        assert_eq!((data[0], data[1], data.len()), (0, 3, 4 + length));
    } else {
        assert_eq!((data[0], data[1], data.len()), (0, 0x83, 16 + length));
        assert_eq!(data[4 + length..], [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    Some(data[4..4 + length].to_vec())
}

#[test]
fn one_command_is_told_by_operation_code_and_service_action() {
    for operation_code in 0..=0xFF {
        let command = COMMANDS
            .iter()
            .find(|(listed, ..)| *listed == operation_code);
        let unit = unit(&CONTROLLER);
        let refused = illegal_request(INVALID_FIELD);
        match command {
            None => {
                assert_eq!(usage(1, operation_code, 0), None);
                let with_action = ask(2, operation_code, 0);
                assert_eq!(done(&with_action, &unit, Transfer::NONE), refused);
                assert_eq!(usage(3, operation_code, 0), None);
            }
            Some((_, None, length)) => {
                for options in [1, 3, RCTD | 1] {
                    let usage = usage(options, operation_code, 0).unwrap();
                    assert_eq!((usage[0], usage.len()), (operation_code, (*length).into()));
                }
                let with_action = ask(2, operation_code, 0);
                assert_eq!(done(&with_action, &unit, Transfer::NONE), refused);
                assert_eq!(usage(3, operation_code, 1), None);
            }
            Some((_, Some(action), length)) => {
                let without = ask(1, operation_code, 0);
                assert_eq!(done(&without, &unit, Transfer::NONE), refused);
                for options in [2, 3, RCTD | 3] {
                    let usage = usage(options, operation_code, (*action).into()).unwrap();
                    assert_eq!(usage[..2], [operation_code, *action]);
                    assert_eq!(usage.len(), (*length).into());
                }
                for other in [0, u16::from(*action) | 0x100, 0x1F, u16::MAX] {
                    assert_eq!(usage(2, operation_code, other), None);
                    assert_eq!(usage(3, operation_code, other), None);
                }
            }
        }
    }
}

#[test]
fn usage_data_is_what_counts() {
    for (operation_code, expected) in [
        (0x00, &[0x00, 0, 0, 0, 0, 0x04][..]),
        (0x08, &[0x08, 0x1F, 0xFF, 0xFF, 0xFF, 0x04]),
        (0x12, &[0x12, 0x01, 0xFF, 0xFF, 0xFF, 0x04]),
        (
            0x28,
            &[0x28, 0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0x04],
        ),
        (0x5A, &[0x5A, 0x18, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0x04]),
    ] {
        assert_eq!(usage(1, operation_code, 0).unwrap(), expected);
    }
}

/// A bit that does not count changes nothing, or is refused as reserved.
#[test]
fn a_bit_that_does_not_count_changes_nothing_or_is_refused() {
    for (operation_code, action, length) in COMMANDS {
        let options = if action.is_some() { 2 } else { 1 };
        let usage = usage(options, operation_code, action.unwrap_or(0).into()).unwrap();
        let mut plain = vec![0; length.into()];
        plain[0] = operation_code;
        plain[1] = action.unwrap_or(0);
        let expected = format!("{:?}", Request::parse(&plain));
        for bit in 8..usize::from(length) * 8 {
            let (byte, bit) = (bit / 8, 1 << (bit % 8));
            if usage[byte] & bit != 0 || byte == 1 && action.is_some() && bit < 0x20 {
                continue;
            }
            let mut cdb = plain.clone();
            cdb[byte] |= bit;
            let Ok(request) = Request::parse(&cdb) else {
                continue;
            };
            assert_eq!(
                format!("{:?}", Ok::<_, ()>(request)),
                expected,
                "{cdb:02X?}"
            );
        }
    }
}

#[test]
fn other_reporting_options_are_refused() {
    for options in 4..8 {
        assert_eq!(
            done(&ask(options, 0x28, 0), &unit(&CONTROLLER), Transfer::NONE),
            illegal_request(INVALID_FIELD)
        );
    }
    let nothing = done(
        &[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &unit(&CONTROLLER),
        Transfer::NONE,
    );
    assert_eq!(nothing, Outcome::good(0));
}
