//! WRITE SAME (SBC-3, 5.43; SBC-4 for NDOB) of zeros, which becomes Write Zeroes. Other data is not written.

use nvme_spec::command::{NvmOpcode, ReadWriteCdw12};

use crate::cdb::{Cdb, Row, laid_out, usage};
use crate::extent::{Block10Bytes, Block16Bytes, BlockFlags, Extent};
use crate::sense::Sense;
use crate::series;
use crate::translate::{Action, DataDirection};
use crate::unit::LogicalUnit;

pub(crate) const COMMANDS: [Row; 2] = [
    // WRPROTECT, ANCHOR and UNMAP count in byte 1.
    Row::of_blocks(&usage::block_ten(0x41, 0xF8), 0, |bytes| {
        let cdb = laid_out::<Block10Bytes>(bytes)?;
        Ok(cdb.flags.write_same(cdb.extent()))
    }),
    // NDOB besides.
    Row::of_blocks(&usage::block_sixteen(0x93, 0xF9), 0, |bytes| {
        let cdb = laid_out::<Block16Bytes>(bytes)?;
        Ok(cdb.flags.write_same(cdb.extent()))
    }),
];

/// WRITE SAME(10) and WRITE SAME(16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteSame {
    extent: Extent,
    /// Byte 1.
    flags: u8,
}

/// NDOB: there is no data, and zeros are meant.
const NDOB: u8 = 1;
const UNMAP: u8 = 1 << 3;
/// ANCHOR and WRPROTECT: neither is carried out.
const REFUSED: u8 = 0xF0;

impl BlockFlags {
    fn write_same(self, extent: Extent) -> Cdb {
        Cdb::WriteSame(WriteSame {
            extent,
            flags: self.into_bits(),
        })
    }
}

/// MAXIMUM WRITE SAME LENGTH: what is done before a request takes too long. `None` where the controller has no Write Zeroes.
pub(crate) fn maximum_blocks(unit: &LogicalUnit<'_>) -> Option<u32> {
    const MOST_BYTES: u32 = 1 << 30;
    unit.command_blocks(unit.controller.write_zeroes_bytes)?;
    Some(unit.block_size.blocks_in(MOST_BYTES))
}

/// Whether UNMAP of WRITE SAME deallocates.
pub(crate) fn deallocates(unit: &LogicalUnit<'_>) -> bool {
    let supported = |limits: crate::unit::Deallocation| limits.write_zeroes;
    maximum_blocks(unit).is_some() && unit.deallocation.is_some_and(supported)
}

/// `data` is the block that is written, unless there is none.
pub(crate) fn write_same(
    request: WriteSame,
    unit: &LogicalUnit<'_>,
    data: &[u8],
) -> Result<Action, Sense> {
    let most = unit.command_blocks(unit.controller.write_zeroes_bytes);
    let most = most.ok_or(Sense::INVALID_COMMAND_OPERATION_CODE)?;
    let maximum = maximum_blocks(unit).unwrap_or(0);
    let blocks = request.extent.blocks;
    // NUMBER OF LOGICAL BLOCKS 0 would mean all to the end of the medium: WSNZ says that it means nothing.
    if request.flags & REFUSED != 0 || blocks == 0 || blocks > maximum {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    request.extent.within(unit.blocks)?;
    if unit.write_protected {
        return Err(Sense::WRITE_PROTECTED);
    }
    let zeros = data.len() as u64 == u64::from(unit.block_size.bytes())
        && data.iter().all(|byte| *byte == 0);
    if request.flags & NDOB == 0 && !zeros {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let deallocate = request.flags & UNMAP != 0 && deallocates(unit);
    let flags = ReadWriteCdw12::new().with_deac(deallocate);
    let extent = request.extent;
    let (command, more_blocks) = series::first(NvmOpcode::WRITE_ZEROES, unit, extent, most, flags)?;
    Ok(Action::Submit {
        command,
        direction: DataDirection::None,
        bytes: if request.flags & NDOB == 0 {
            unit.block_size.bytes()
        } else {
            0
        },
        more_blocks,
    })
}
