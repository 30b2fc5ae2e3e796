//! Anything as a CDB, any buffer, any disk: what must hold whatever comes.

use core::num::NonZeroU64;

use nvme_spec::command::{Command, CommandDword0};
use proptest::array::uniform16;
use proptest::prelude::*;
use scsi::{
    Action, BlockSize, Controller, DataDirection, LogicalUnit, ScsiStatus, Transfer, next_in_series,
};

use crate::disk::{CONTROLLER, returns_parameter_data, translate, unit};

const KNOWN: [u8; 30] = [
    0x00, 0x03, 0x08, 0x0A, 0x12, 0x15, 0x41, 0x42, 0x55, 0x93, 0x1A, 0x1B, 0x1D, 0x25, 0x28, 0x2A,
    0x2F, 0x35, 0x4D, 0x5A, 0x88, 0x8A, 0x8F, 0x91, 0x9E, 0xA0, 0xA3, 0xA8, 0xAA, 0xAF,
];

/// Any bytes as a CDB, more often than not of a command that there is and with small numbers in it.
fn any_cdb() -> impl Strategy<Value = Vec<u8>> {
    let operation_code = prop_oneof![4 => prop::sample::select(&KNOWN[..]), 1 => any::<u8>()];
    let byte = prop_oneof![4 => Just(0_u8), 1 => 0_u8..32, 1 => any::<u8>()];
    (operation_code, prop::collection::vec(byte, 0..20))
        .prop_map(|(operation_code, rest)| [vec![operation_code], rest].concat())
}

/// A well-formed READ(16), WRITE(16), VERIFY(16) or SYNCHRONIZE CACHE(16), or the 10-byte one, often near the end of a small disk.
fn block_cdb() -> impl Strategy<Value = Vec<u8>> {
    let operation_code = prop::sample::select(vec![0x28, 0x2A, 0x2F, 0x35, 0x88, 0x8A, 0x8F, 0x91]);
    let flags = prop_oneof![4 => Just(0_u8), 2 => Just(0x08), 2 => Just(0x10), 1 => any::<u8>()];
    let lba = prop_oneof![4 => 0_u64..0x210, 1 => any::<u64>()];
    let blocks = prop_oneof![4 => 0_u32..0x40, 1 => 0_u32..0x1_0010, 1 => any::<u32>()];
    (operation_code, flags, lba, blocks).prop_map(|(operation_code, flags, lba, blocks)| {
        let head = [operation_code, flags];
        if operation_code < 0x80 {
            let (lba, blocks) = (lba as u32, blocks as u16);
            [
                &head[..],
                &lba.to_be_bytes(),
                &[0],
                &blocks.to_be_bytes(),
                &[0],
            ]
            .concat()
        } else {
            [
                &head[..],
                &lba.to_be_bytes(),
                &blocks.to_be_bytes(),
                &[0, 0],
            ]
            .concat()
        }
    })
}

#[derive(Debug)]
struct Disk {
    blocks: u64,
    block_size: BlockSize,
    maximum_transfer_bytes: u32,
    volatile_write_cache: bool,
    nguid: [u8; 16],
    luns: Vec<u8>,
}

fn disk() -> impl Strategy<Value = Disk> {
    (
        prop_oneof![1_u64..0x200, any::<u64>().prop_map(|blocks| blocks.max(1))],
        prop::sample::select(vec![BlockSize::Bytes512, BlockSize::Bytes4096]),
        prop_oneof![0_u32..0x10_0000, any::<u32>()],
        any::<bool>(),
        prop_oneof![Just([0; 16]), uniform16(any::<u8>())],
        prop::collection::vec(any::<u8>(), 0..260),
    )
        .prop_map(
            |(blocks, block_size, maximum_transfer_bytes, volatile_write_cache, nguid, luns)| {
                Disk {
                    blocks,
                    block_size,
                    maximum_transfer_bytes,
                    volatile_write_cache,
                    nguid,
                    luns,
                }
            },
        )
}

/// The description of a buffer; `None` for one that has the length that a READ or WRITE asks for.
fn transfer() -> impl Strategy<Value = (Option<u32>, bool, bool)> {
    let bytes = prop_oneof![4 => Just(None), 1 => any::<u32>().prop_map(Some), 1 => (0_u32..9000).prop_map(Some)];
    (bytes, prop::bool::weighted(0.8), prop::bool::weighted(0.8))
}

/// The blocks that READ and WRITE count, in bytes.
fn asked_bytes(cdb: &[u8], unit: &LogicalUnit<'_>) -> u32 {
    let blocks = match cdb {
        [0x08 | 0x0A, _, _, _, 0, ..] => 256,
        [0x08 | 0x0A, _, _, _, blocks, ..] => u32::from(*blocks),
        [0xA8 | 0xAA, _, _, _, _, _, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        [0x28 | 0x2A, _, _, _, _, _, _, a, b, ..] => u32::from_be_bytes([0, 0, *a, *b]),
        [0x88 | 0x8A, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] => {
            u32::from_be_bytes([*a, *b, *c, *d])
        }
        _ => 0,
    };
    blocks.wrapping_mul(unit.block_size.bytes())
}

/// A command that is submitted moves exactly the buffer, the way that the buffer allows, and stays in the namespace.
fn check_submitted(
    (command, direction, bytes): (Command, DataDirection, u32),
    unit: &LogicalUnit<'_>,
    transfer: Transfer,
) -> Result<(), TestCaseError> {
    let opcode = command.cdw0.opcode();
    let plain = Command {
        cdw0: CommandDword0::new().with_opcode(opcode),
        nsid: unit.namespace_id,
        cdw10: command.cdw10,
        cdw11: command.cdw11,
        cdw12: command.cdw12,
        ..Command::default()
    };
    prop_assert_eq!(command, plain);
    if direction == DataDirection::None {
        prop_assert!(unit.controller.volatile_write_cache);
        prop_assert_eq!((opcode, bytes), (0x00, 0));
        prop_assert_eq!((command.cdw10, command.cdw11, command.cdw12), (0, 0, 0));
        return Ok(());
    }
    match direction {
        DataDirection::In => prop_assert!(opcode == 0x02 && transfer.data_in),
        _ => prop_assert!(opcode == 0x01 && transfer.data_out),
    }
    let lba = u128::from(command.cdw10) | u128::from(command.cdw11) << 32;
    let blocks = u128::from(command.cdw12 & 0xFFFF) + 1;
    prop_assert_eq!(
        command.cdw12 & !0x4000_FFFF,
        0,
        "FUA and the block count only"
    );
    prop_assert!(lba + blocks <= u128::from(unit.blocks.get()));
    prop_assert_eq!(
        blocks * u128::from(unit.block_size.bytes()),
        u128::from(bytes)
    );
    prop_assert_eq!(bytes, transfer.bytes);
    prop_assert!(bytes <= unit.controller.maximum_transfer_bytes);
    Ok(())
}

/// What a VERIFY becomes: commands for blocks that exist, one behind the other, none larger than the limit.
fn check_verifies(
    mut command: Command,
    mut more_blocks: u32,
    unit: &LogicalUnit<'_>,
) -> Result<(), TestCaseError> {
    let limit = unit.controller.verify_bytes.map_or(0, NonZeroU64::get);
    let mut at = None;
    loop {
        let lba = u64::from(command.cdw10) | u64::from(command.cdw11) << 32;
        let blocks = u64::from(command.cdw12 & 0xFFFF) + 1;
        prop_assert!(at.is_none_or(|at| at == lba));
        prop_assert!(lba + blocks <= unit.blocks.get());
        prop_assert!(blocks * u64::from(unit.block_size.bytes()) <= limit);
        at = Some(lba + blocks);
        let Some(left) = next_in_series(&mut command, more_blocks) else {
            prop_assert_eq!(more_blocks, 0);
            return Ok(());
        };
        prop_assert!(left < more_blocks);
        more_blocks = left;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_request_gets_what_it_may_have(
        cdb in prop_oneof![any_cdb(), block_cdb()],
        disk in disk(),
        (bytes, data_in, data_out) in transfer(),
        room in 0_usize..600,
    ) {
        let controller = Controller {
            maximum_transfer_bytes: disk.maximum_transfer_bytes,
            verify_bytes: NonZeroU64::new(u64::from(disk.maximum_transfer_bytes)),
            volatile_write_cache: disk.volatile_write_cache,
            luns: &disk.luns,
            ..CONTROLLER
        };
        let unit = LogicalUnit {
            blocks: NonZeroU64::new(disk.blocks).unwrap(),
            block_size: disk.block_size,
            nguid: &disk.nguid,
            ..unit(&controller)
        };
        let transfer = Transfer {
            bytes: bytes.unwrap_or_else(|| asked_bytes(&cdb, &unit)),
            data_in,
            data_out,
        };
        let mut data = vec![0xEE; room];
        let written = match translate(&cdb, &unit, transfer, &mut data) {
            Action::Submit { command, more_blocks, .. } if command.cdw0.opcode() == 0x0C => {
                check_verifies(command, more_blocks, &unit)?;
                0
            }
            Action::Submit { command, direction, bytes, more_blocks } => {
                prop_assert_eq!(more_blocks, 0);
                check_submitted((command, direction, bytes), &unit, transfer)?;
                0
            }
            Action::Deallocate(_) | Action::SetWriteCache { .. } => {
                prop_assert!(false, "the unit does neither");
                0
            }
            Action::Done(outcome) => {
                prop_assert_eq!(
                    outcome.sense.is_some(),
                    outcome.status == ScsiStatus::CHECK_CONDITION
                );
                outcome.transferred_bytes as usize
            }
        };
        prop_assert!(written <= room);
        prop_assert!(data.iter().skip(written).all(|byte| *byte == 0xEE));
        prop_assert!(written == 0 || data_in && returns_parameter_data(&cdb));
    }
}
