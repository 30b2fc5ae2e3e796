//! The disk under test, and how it is asked.

use core::num::NonZeroU64;

use nvme_spec::command::{Command, CommandDword0};
use scsi::{
    Action, BlockSize, Controller, DataDirection, IoHints, LogicalUnit, Naming, Outcome, Request,
    Sense, Transfer, access,
};

pub const CONTROLLER: Controller<'static> = Controller {
    model: b"Ferro DRAM-less SSD 1TB                 ",
    serial: b"S0123456789         ",
    firmware: b"1.20.7  ",
    pci_vendor_id: 0x1B36,
    volatile_write_cache: true,
    write_cache_enabled: true,
    write_cache_changeable: false,
    maximum_transfer_bytes: 0x2_0000,
    verify_bytes: None,
    write_zeroes_bytes: None,
    luns: &[0, 1, 7],
};

/// A disk of 1 000 000 blocks of 512 bytes, on the controller that it is given.
pub fn unit<'a>(controller: &'a Controller<'a>) -> LogicalUnit<'a> {
    LogicalUnit {
        controller,
        namespace_id: 3,
        blocks: NonZeroU64::new(1_000_000).unwrap(),
        block_size: BlockSize::Bytes512,
        nguid: &[
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
            0xEE, 0xFF,
        ],
        eui64: &[0x00, 0x25, 0x38, 0x5B, 0x71, 0xB0, 0x3A, 0x41],
        uuid: &[0; 16],
        naming: Naming::Reported,
        write_protected: false,
        hints: IoHints {
            boundary_blocks: 256,
            preferred: None,
        },
        deallocation: None,
    }
}

/// A buffer that the device may write to.
pub fn data_in(bytes: u32) -> Transfer {
    Transfer {
        bytes,
        data_in: true,
        data_out: false,
    }
}

/// A buffer that the device may read from.
pub fn data_out(bytes: u32) -> Transfer {
    Transfer {
        bytes,
        data_in: false,
        data_out: true,
    }
}

/// What the unit answers at once, with a buffer of so many bytes; what it did not write keeps the value `0xEE`.
pub fn answer_into(cdb: &[u8], unit: &LogicalUnit<'_>, bytes: usize) -> (Outcome, Vec<u8>) {
    let mut data = vec![0xEE; bytes];
    match translate(cdb, unit, data_in(u32::try_from(bytes).unwrap()), &mut data) {
        Action::Done(outcome) => (outcome, data),
        other => panic!("{cdb:02X?} became {other:?}"),
    }
}

/// The parameter data with which the unit answers, given more room than it needs.
pub fn answer(cdb: &[u8], unit: &LogicalUnit<'_>) -> Vec<u8> {
    let (outcome, mut data) = answer_into(cdb, unit, 4096);
    assert_eq!(
        outcome,
        Outcome::good(outcome.transferred_bytes),
        "{cdb:02X?}"
    );
    data.truncate(outcome.transferred_bytes as usize);
    data
}

/// The command that a request becomes.
pub fn submitted(
    cdb: &[u8],
    unit: &LogicalUnit<'_>,
    transfer: Transfer,
) -> (Command, DataDirection, u32) {
    match translate(cdb, unit, transfer, &mut []) {
        Action::Submit {
            command,
            direction,
            bytes,
            more_blocks: 0,
        } => (command, direction, bytes),
        other => panic!("{cdb:02X?} ended with {other:?}"),
    }
}

/// How a request ends for which nothing goes to the device.
pub fn done(cdb: &[u8], unit: &LogicalUnit<'_>, transfer: Transfer) -> Outcome {
    match translate(cdb, unit, transfer, &mut []) {
        Action::Done(outcome) => outcome,
        other => panic!("{cdb:02X?} became {other:?}"),
    }
}

/// CHECK CONDITION, ILLEGAL REQUEST, and an additional sense code as the standard numbers it.
pub fn illegal_request(code: u8) -> Outcome {
    Outcome::check_condition(Sense::new(scsi::SenseKey::IllegalRequest, code, 0))
}

pub const INVALID_OPERATION_CODE: u8 = 0x20;
pub const LBA_OUT_OF_RANGE: u8 = 0x21;
pub const INVALID_FIELD: u8 = 0x24;
pub const SAVING_NOT_SUPPORTED: u8 = 0x39;

/// What becomes of a request with this CDB.
pub fn translate(
    cdb: &[u8],
    unit: &LogicalUnit<'_>,
    transfer: Transfer,
    data: &mut [u8],
) -> Action {
    match Request::parse(cdb) {
        Ok(Request::Access(request)) => match access(request, &unit.medium(), transfer) {
            Ok(command) => Action::Submit {
                command,
                direction: if command.cdw0.opcode() == 1 {
                    DataDirection::Out
                } else {
                    DataDirection::In
                },
                bytes: transfer.bytes,
                more_blocks: 0,
            },
            Err(outcome) => Action::Done(outcome),
        },
        Ok(Request::Other(request)) => request.translate(unit, transfer, data),
        Err(sense) => Action::Done(Outcome::check_condition(sense)),
    }
}

/// Whether the answer to a CDB is parameter data.
pub fn returns_parameter_data(cdb: &[u8]) -> bool {
    matches!(Request::parse(cdb), Ok(Request::Other(request)) if request.returns_parameter_data())
}

/// A CDB of 10 bytes that names logical blocks.
pub fn ten(operation_code: u8, flags: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let mut cdb = [0; 10];
    cdb[0] = operation_code;
    cdb[1] = flags;
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

/// A CDB of 16 bytes that names logical blocks.
pub fn sixteen(operation_code: u8, flags: u8, lba: u64, blocks: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = operation_code;
    cdb[1] = flags;
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

/// A command for the namespace of [`unit`].
pub fn command(opcode: u8, cdw10: u32, cdw11: u32, cdw12: u32) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode),
        nsid: 3,
        cdw10,
        cdw11,
        cdw12,
        ..Command::default()
    }
}

/// A CDB of 6 bytes that names logical blocks.
pub fn six(operation_code: u8, lba: u32, blocks: u8) -> [u8; 6] {
    let [_, high, middle, low] = lba.to_be_bytes();
    [operation_code, high, middle, low, blocks, 0]
}

/// A CDB of 12 bytes that names logical blocks.
pub fn twelve(operation_code: u8, flags: u8, lba: u32, blocks: u32) -> [u8; 12] {
    let mut cdb = [0; 12];
    cdb[0] = operation_code;
    cdb[1] = flags;
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[6..10].copy_from_slice(&blocks.to_be_bytes());
    cdb
}
