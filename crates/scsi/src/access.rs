//! READ and WRITE (SBC-3, 5), which become the NVMe commands of the same name. Those of 10 and 16 bytes are what class drivers send:
//! they are read and translated without a look at the table of commands.

use nvme_spec::command::{Command, NvmOpcode, ReadWriteCdw12};

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out, usage};
use crate::extent::{Block6Bytes, Block10Bytes, Block12Bytes, Block16Bytes, BlockFlags, Extent};
use crate::sense::Sense;
use crate::status::Outcome;
use crate::translate::{Transfer, command};
use crate::unit::Medium;

const READ_6: u8 = 0x08;
const WRITE_6: u8 = 0x0A;
const READ_10: u8 = 0x28;
const WRITE_10: u8 = 0x2A;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8A;
const READ_12: u8 = 0xA8;
const WRITE_12: u8 = 0xAA;

/// RDPROTECT or WRPROTECT, DPO and FUA count.
const FLAGS: u8 = 0xF8;
/// RARC, the obsolete `FUA_NV` and RELADR do not.
const FLAGS_IGNORED: u8 = 0x07;

pub(crate) const COMMANDS: [Row; 8] = [
    six(&[READ_6, 0x1F, 0xFF, 0xFF, 0xFF, CONTROL], |bytes| {
        laid_out::<Block6Bytes>(bytes).map(|cdb| Cdb::Access(cdb.access(Operation::Read)))
    }),
    six(&[WRITE_6, 0x1F, 0xFF, 0xFF, 0xFF, CONTROL], |bytes| {
        laid_out::<Block6Bytes>(bytes).map(|cdb| Cdb::Access(cdb.access(Operation::Write)))
    }),
    Row::of_blocks(&usage::block_ten(READ_10, FLAGS), FLAGS_IGNORED, usual),
    Row::of_blocks(&usage::block_ten(WRITE_10, FLAGS), FLAGS_IGNORED, usual),
    Row::of_blocks(
        &usage::block_twelve(READ_12, FLAGS),
        FLAGS_IGNORED,
        |bytes| laid_out::<Block12Bytes>(bytes).map(|cdb| Cdb::Access(cdb.access(Operation::Read))),
    ),
    Row::of_blocks(
        &usage::block_twelve(WRITE_12, FLAGS),
        FLAGS_IGNORED,
        |bytes| {
            laid_out::<Block12Bytes>(bytes).map(|cdb| Cdb::Access(cdb.access(Operation::Write)))
        },
    ),
    Row::of_blocks(&usage::block_sixteen(READ_16, FLAGS), FLAGS_IGNORED, usual),
    Row::of_blocks(&usage::block_sixteen(WRITE_16, FLAGS), FLAGS_IGNORED, usual),
];

/// A command of 6 bytes, which has no flags.
const fn six(usage: &'static [u8], parse: fn(&[u8]) -> Result<Cdb, Sense>) -> Row {
    Row {
        usage,
        ignored_flags: 0,
        ignored: &ignored::SIX,
        has_service_action: false,
        parse,
    }
}

/// READ or WRITE of some blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    operation: Operation,
    extent: Extent,
    /// RDPROTECT or WRPROTECT: what is done with protection information.
    protection: u8,
    /// FUA: the medium, not a volatile cache.
    fua: bool,
}

/// What an [`Access`] does to the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
}

impl Access {
    /// Reads the CDB of READ(10), READ(16), WRITE(10) or WRITE(16); `None` for another one.
    #[inline]
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, Sense>> {
        let ten = |operation| Some(Ok(laid_out::<Block10Bytes>(bytes).ok()?.access(operation)));
        let sixteen = |operation| Some(Ok(laid_out::<Block16Bytes>(bytes).ok()?.access(operation)));
        let access = match *bytes.first()? {
            READ_10 => ten(Operation::Read),
            WRITE_10 => ten(Operation::Write),
            READ_16 => sixteen(Operation::Read),
            WRITE_16 => sixteen(Operation::Write),
            _ => return None,
        };
        Some(access.unwrap_or(Err(Sense::INVALID_FIELD_IN_CDB)))
    }

    /// Whether the device writes to the buffer.
    pub(crate) const fn is_read(&self) -> bool {
        matches!(self.operation, Operation::Read)
    }
}

/// The row of a command that [`Access::parse`] reads.
fn usual(bytes: &[u8]) -> Result<Cdb, Sense> {
    let access = Access::parse(bytes);
    let access = access.ok_or(Sense::INVALID_COMMAND_OPERATION_CODE)?;
    access.map(Cdb::Access)
}

impl Block6Bytes {
    fn access(&self, operation: Operation) -> Access {
        Access {
            operation,
            extent: self.extent(),
            protection: 0,
            fua: false,
        }
    }
}

impl Block10Bytes {
    fn access(&self, operation: Operation) -> Access {
        self.flags.access(operation, self.extent())
    }
}

impl Block12Bytes {
    fn access(&self, operation: Operation) -> Access {
        self.flags.access(operation, self.extent())
    }
}

impl Block16Bytes {
    fn access(&self, operation: Operation) -> Access {
        self.flags.access(operation, self.extent())
    }
}

impl BlockFlags {
    fn access(self, operation: Operation, extent: Extent) -> Access {
        Access {
            operation,
            extent,
            protection: self.protect(),
            fua: self.fua(),
        }
    }
}

/// READ and WRITE: the command, without its identifier and its data pointer, or the answer at once. Its data is exactly the buffer
/// of the request: a CDB whose block count says otherwise, or whose direction is not the buffer's, would let the device reach memory
/// that was not offered to it.
#[inline]
pub fn access(access: Access, medium: &Medium, transfer: Transfer) -> Result<Command, Outcome> {
    let Extent { lba, blocks } = access.extent;
    let (opcode, offered) = match access.operation {
        Operation::Read => (NvmOpcode::READ, transfer.data_in),
        Operation::Write => (NvmOpcode::WRITE, transfer.data_out),
    };
    let end = lba.checked_add(u64::from(blocks));
    let inside = end.is_some_and(|end| end <= medium.blocks.get());
    let bytes = u64::from(blocks) << medium.block_size.shift();
    let fits = blocks <= medium.maximum_transfer_blocks && bytes == u64::from(transfer.bytes);
    if access.protection != 0 || !inside || !fits || !offered || blocks == 0 {
        return Err(refused(access, medium));
    }
    // At most 65,536 blocks, as the limit of the medium says.
    let nlb_z = blocks.wrapping_sub(1) as u16;
    let dword12 = ReadWriteCdw12::new().with_nlb_z(nlb_z).with_fua(access.fua);
    Ok(Command {
        cdw10: lba as u32,
        cdw11: (lba >> 32) as u32,
        cdw12: dword12.into_bits(),
        ..command(opcode, medium.namespace_id)
    })
}

/// The answer to READ or WRITE that is not carried out.
#[cold]
fn refused(access: Access, medium: &Medium) -> Outcome {
    if access.protection != 0 {
        return Outcome::check_condition(Sense::INVALID_FIELD_IN_CDB);
    }
    match access.extent.within(medium.blocks) {
        Err(sense) => Outcome::check_condition(sense),
        Ok(Extent { blocks: 0, .. }) => Outcome::good(0),
        Ok(_) => Outcome::check_condition(Sense::INVALID_FIELD_IN_CDB),
    }
}
