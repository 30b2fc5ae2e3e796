//! WRITE SAME.

use core::num::NonZeroU64;

use scsi::{
    Action, BlockSize, Controller, DataDirection, Deallocation, LogicalUnit, Outcome, Sense,
    SenseKey, Transfer, next_in_series,
};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, INVALID_OPERATION_CODE, LBA_OUT_OF_RANGE, data_in, data_out,
    illegal_request, sixteen, ten, translate, unit,
};

const UNMAP: u8 = 0x08;
const NDOB: u8 = 0x01;

fn zeroing(bytes: u64) -> Controller<'static> {
    Controller {
        write_zeroes_bytes: NonZeroU64::new(bytes),
        ..CONTROLLER
    }
}

fn deallocating<'a>(controller: &'a Controller<'a>, write_zeroes: bool) -> LogicalUnit<'a> {
    LogicalUnit {
        deallocation: Some(Deallocation {
            reads_zeroes: true,
            write_zeroes,
            ..Deallocation::default()
        }),
        ..unit(controller)
    }
}

/// WRITE SAME(10) and WRITE SAME(16) of the same blocks.
fn both(flags: u8, lba: u32, blocks: u16) -> [Vec<u8>; 2] {
    [
        ten(0x41, flags, lba, blocks).to_vec(),
        sixteen(0x93, flags, lba.into(), blocks.into()).to_vec(),
    ]
}

fn write(cdb: &[u8], unit: &LogicalUnit<'_>, mut data: Vec<u8>) -> Action {
    let bytes = u32::try_from(data.len()).unwrap();
    translate(cdb, unit, data_out(bytes), &mut data)
}

fn ended(cdb: &[u8], unit: &LogicalUnit<'_>, data: Vec<u8>) -> Outcome {
    match write(cdb, unit, data) {
        Action::Done(outcome) => outcome,
        other => panic!("{cdb:02X?} became {other:?}"),
    }
}

/// The blocks of each command, and whether it deallocates.
fn commands(cdb: &[u8], unit: &LogicalUnit<'_>, data: Vec<u8>) -> Vec<(u64, u32, bool)> {
    let given = data.len();
    let Action::Submit {
        mut command,
        direction: DataDirection::None,
        bytes,
        mut more_blocks,
    } = write(cdb, unit, data)
    else {
        panic!("{cdb:02X?}");
    };
    assert_eq!(bytes as usize, given, "the one block counts");
    let mut all = Vec::new();
    loop {
        assert_eq!((command.cdw0.opcode(), command.nsid), (0x08, 3));
        assert_eq!(command.cdw12 & !0x0200_FFFF, 0);
        let lba = u64::from(command.cdw11) << 32 | u64::from(command.cdw10);
        let deallocates = command.cdw12 & 1 << 25 != 0;
        all.push((lba, (command.cdw12 & 0xFFFF) + 1, deallocates));
        match next_in_series(&mut command, more_blocks) {
            Some(left) => more_blocks = left,
            None => return all,
        }
    }
}

#[test]
fn zeros_become_write_zeroes() {
    let controller = zeroing(u64::MAX);
    let unit = unit(&controller);
    for cdb in both(0, 0x1234, 0xFFFF) {
        let sent = commands(&cdb, &unit, vec![0; 512]);
        assert_eq!(sent, [(0x1234, 0xFFFF, false)], "{cdb:02X?}");
    }
    let without_data = sixteen(0x93, NDOB, 7, 9);
    assert_eq!(commands(&without_data, &unit, vec![]), [(7, 9, false)]);
}

#[test]
fn unmap_deallocates_where_the_namespace_does_so() {
    let controller = zeroing(u64::MAX);
    for (write_zeroes, flags, deallocates) in
        [(true, UNMAP, true), (false, UNMAP, false), (true, 0, false)]
    {
        let unit = deallocating(&controller, write_zeroes);
        for cdb in both(flags, 5, 6) {
            assert_eq!(commands(&cdb, &unit, vec![0; 512]), [(5, 6, deallocates)]);
        }
    }
    for cdb in both(UNMAP, 5, 6) {
        let sent = commands(&cdb, &unit(&controller), vec![0; 512]);
        assert_eq!(sent, [(5, 6, false)], "nothing deallocates");
    }
}

#[test]
fn more_than_a_command_takes_becomes_several() {
    let controller = zeroing(4096);
    let cdb = sixteen(0x93, NDOB | UNMAP, 8, 17);
    assert_eq!(
        commands(&cdb, &deallocating(&controller, true), vec![]),
        [(8, 8, true), (16, 8, true), (24, 1, true)]
    );
    let most = zeroing(u64::MAX);
    let cdb = sixteen(0x93, NDOB, 1, 0x2_0001);
    assert_eq!(
        commands(&cdb, &unit(&most), vec![]),
        [
            (1, 0x1_0000, false),
            (0x1_0001, 0x1_0000, false),
            (0x2_0001, 1, false)
        ]
    );
}

#[test]
fn other_data_and_other_lengths_of_it_are_refused() {
    let controller = zeroing(u64::MAX);
    let unit = unit(&controller);
    let refused = illegal_request(INVALID_FIELD);
    for cdb in both(0, 0, 1) {
        for at in [0, 1, 255, 511] {
            let mut data = vec![0; 512];
            data[at] = 1;
            assert_eq!(ended(&cdb, &unit, data), refused, "{at}");
        }
        for length in [0, 511, 513, 1024, 4096] {
            assert_eq!(ended(&cdb, &unit, vec![0; length]), refused, "{length}");
        }
        let mut zeros = [0; 512];
        let action = translate(&cdb, &unit, data_in(512), &mut zeros);
        assert!(matches!(action, Action::Done(outcome) if outcome == refused));
    }
}

#[test]
fn what_is_not_carried_out_is_refused() {
    let controller = zeroing(u64::MAX);
    let large = LogicalUnit {
        blocks: NonZeroU64::new(1 << 40).unwrap(),
        ..unit(&controller)
    };
    // No blocks (WSNZ), ANCHOR, WRPROTECT, the obsolete LBDATA and PBDATA, and NDOB of WRITE SAME(10).
    for flags in [0x10, 0x18, 0x20, 0xE0, 0x02, 0x04] {
        for cdb in both(flags, 0, 1) {
            let end = ended(&cdb, &large, vec![0; 512]);
            assert_eq!(end, illegal_request(INVALID_FIELD), "{cdb:02X?}");
        }
    }
    let refused = illegal_request(INVALID_FIELD);
    for cdb in both(0, 5, 0) {
        assert_eq!(ended(&cdb, &large, vec![0; 512]), refused);
    }
    assert_eq!(ended(&ten(0x41, NDOB, 0, 1), &large, vec![]), refused);
    // 1 GiB is the most.
    let most = sixteen(0x93, NDOB, 0, 0x20_0000);
    assert_eq!(commands(&most, &large, vec![]).len(), 32);
    let beyond = sixteen(0x93, NDOB, 0, 0x20_0001);
    assert_eq!(ended(&beyond, &large, vec![]), refused);
    for cdb in both(0, 999_999, 2) {
        let end = ended(&cdb, &unit(&controller), vec![0; 512]);
        assert_eq!(end, illegal_request(LBA_OUT_OF_RANGE));
    }
    let protected = LogicalUnit {
        write_protected: true,
        ..unit(&controller)
    };
    let expected = Sense::new(SenseKey::DataProtect, 0x27, 0);
    assert_eq!(
        ended(&ten(0x41, 0, 0, 1), &protected, vec![0; 512]),
        Outcome::check_condition(expected)
    );
}

#[test]
fn a_controller_without_write_zeroes_does_not_know_it() {
    // A limit below a block is as good as none.
    for controller in [CONTROLLER, zeroing(511)] {
        for cdb in both(0, 0, 1) {
            let end = ended(&cdb, &unit(&controller), vec![0; 512]);
            assert_eq!(end, illegal_request(INVALID_OPERATION_CODE));
        }
    }
    let large_blocks = LogicalUnit {
        block_size: BlockSize::Bytes4096,
        ..unit(&CONTROLLER)
    };
    let action = translate(&ten(0x41, 0, 0, 1), &large_blocks, Transfer::NONE, &mut []);
    let expected = illegal_request(INVALID_OPERATION_CODE);
    assert!(matches!(action, Action::Done(outcome) if outcome == expected));
}
