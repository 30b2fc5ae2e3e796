//! Command descriptor blocks (SPC-4, 4.2.2), typed at the edge. Each command family has a file of its own with its rows of the table
//! [`FAMILIES`], the bytes of its CDBs, and what it answers. The parser and REPORT SUPPORTED OPERATION CODES read the same rows.
//!
//! The structures of the families are the bytes of a CDB in order. Fields that begin with an underscore are reserved, obsolete, or
//! hints that may be ignored.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::access::{self, Access};
use crate::capacity;
use crate::diagnostic::{self, SendDiagnostic};
use crate::extent::Extent;
use crate::inquiry::{self, Inquiry};
use crate::log_sense::{self, LogSense};
use crate::luns::{self, ReportLuns};
use crate::mode_select::{self, ModeSelect};
use crate::mode_sense::{self, ModeSense};
use crate::operation_codes::{self, ReportOperationCodes};
use crate::ready::{self, StartStopUnit};
use crate::request_sense::{self, RequestSense};
use crate::sense::Sense;
use crate::synchronize_cache;
use crate::unit::LogicalUnit;
use crate::unmap::{self, Unmap};
use crate::verify::{self, Verify};
use crate::write_same::{self, WriteSame};

/// The commands that there are, family by family.
static FAMILIES: [Family; 15] = [
    always(&ready::COMMANDS),
    always(&request_sense::COMMANDS),
    always(&inquiry::COMMANDS),
    always(&luns::COMMANDS),
    always(&capacity::COMMANDS),
    always(&access::COMMANDS),
    always(&verify::COMMANDS),
    always(&synchronize_cache::COMMANDS),
    always(&mode_sense::COMMANDS),
    always(&mode_select::COMMANDS),
    always(&log_sense::COMMANDS),
    always(&diagnostic::COMMANDS),
    always(&operation_codes::COMMANDS),
    Family {
        needs: Needs::Deallocation,
        rows: &unmap::COMMANDS,
    },
    Family {
        needs: Needs::WriteZeroes,
        rows: &write_same::COMMANDS,
    },
];

/// Commands of one kind.
struct Family {
    needs: Needs,
    rows: &'static [Row],
}

const fn always(rows: &'static [Row]) -> Family {
    Family {
        needs: Needs::Nothing,
        rows,
    }
}

/// What a logical unit has to have for a command: without it the operation code is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Deallocation,
    WriteZeroes,
}

impl Needs {
    /// Whether the unit has it.
    pub(crate) fn are_met(self, unit: &LogicalUnit<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Deallocation => unit.deallocation.is_some(),
            Self::WriteZeroes => write_same::maximum_blocks(unit).is_some(),
        }
    }
}

/// A command that this crate carries out.
pub(crate) struct Row {
    /// CDB usage data (SPC-4, 6.35.3): the operation code, the service action where there is one, and the bits that count.
    pub(crate) usage: &'static [u8],
    /// Bits of byte 1 that do not count and may be set: obsolete ones, and hints that NVMe has no like of.
    pub(crate) ignored_flags: u8,
    /// Such bits of the other bytes. What neither counts nor is ignored is reserved.
    pub(crate) ignored: &'static [u8],
    /// The lower bits of byte 1 are a service action.
    pub(crate) has_service_action: bool,
    /// Reads a CDB whose length and reserved bits were checked.
    pub(crate) parse: fn(&[u8]) -> Result<Cdb, Sense>,
}

/// A CDB of one of the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cdb {
    TestUnitReady,
    RequestSense(RequestSense),
    Inquiry(Inquiry),
    ModeSense(ModeSense),
    ModeSelect(ModeSelect),
    StartStopUnit(StartStopUnit),
    SendDiagnostic(SendDiagnostic),
    ReadCapacity10,
    ReadCapacity16 {
        allocation_length: u32,
    },
    Access(Access),
    LogSense(LogSense),
    ReportLuns(ReportLuns),
    ReportOperationCodes(ReportOperationCodes),
    Verify(Verify),
    SynchronizeCache(Extent),
    Unmap(Unmap),
    WriteSame(WriteSame),
    /// Refused so, by a unit that has the command.
    Refused(Sense),
}

/// The SERVICE ACTION field.
const SERVICE_ACTION: u8 = 0x1F;
/// NACA of the CONTROL byte (SAM-5): standard INQUIRY data says that it is not supported.
const NACA: u8 = 1 << 2;
/// The bits of the CONTROL byte that count.
pub(crate) const CONTROL: u8 = NACA;
/// The bits of the CONTROL byte that do not: vendor specific ones, and the obsolete FLAG and LINK.
pub(crate) const CONTROL_IGNORED: u8 = 0xC3;

/// [`Row::ignored`] of most commands, by the length of the CDB.
pub(crate) mod ignored {
    use super::CONTROL_IGNORED;

    /// GROUP NUMBER: what statistics an access counts for.
    const GROUP: u8 = 0x3F;

    pub(crate) const SIX: [u8; 6] = [0, 0, 0, 0, 0, CONTROL_IGNORED];
    pub(crate) const TEN: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL_IGNORED];
    pub(crate) const TWELVE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL_IGNORED];
    /// Those that name logical blocks.
    pub(crate) const BLOCK_TEN: [u8; 10] = [0, 0, 0, 0, 0, 0, GROUP, 0, 0, CONTROL_IGNORED];
    pub(crate) const BLOCK_TWELVE: [u8; 12] =
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, GROUP, CONTROL_IGNORED];
    pub(crate) const BLOCK_SIXTEEN: [u8; 16] = [
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        GROUP,
        CONTROL_IGNORED,
    ];
}
/// The logical unit number that SCSI-2 has in byte 1.
pub(crate) const SCSI_2_LUN: u8 = 0xE0;

/// CDB usage data of the commands that name logical blocks, by the length of the CDB; `flags` are the bits of byte 1 that count.
pub(crate) mod usage {
    use super::CONTROL;

    const ALL: u8 = 0xFF;

    pub(crate) const fn block_ten(operation_code: u8, flags: u8) -> [u8; 10] {
        let code = operation_code;
        [code, flags, ALL, ALL, ALL, ALL, 0, ALL, ALL, CONTROL]
    }

    pub(crate) const fn block_twelve(operation_code: u8, flags: u8) -> [u8; 12] {
        let code = operation_code;
        [
            code, flags, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, 0, CONTROL,
        ]
    }

    pub(crate) const fn block_sixteen(operation_code: u8, flags: u8) -> [u8; 16] {
        let code = operation_code;
        [
            code, flags, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, 0, CONTROL,
        ]
    }
}

impl Row {
    /// A command that names logical blocks, of 10, 12 or 16 bytes.
    pub(crate) const fn of_blocks(
        usage: &'static [u8],
        ignored_flags: u8,
        parse: fn(&[u8]) -> Result<Cdb, Sense>,
    ) -> Self {
        Self {
            usage,
            ignored_flags,
            ignored: match usage.len() {
                10 => &ignored::BLOCK_TEN,
                12 => &ignored::BLOCK_TWELVE,
                _ => &ignored::BLOCK_SIXTEEN,
            },
            has_service_action: false,
            parse,
        }
    }

    /// The operation code.
    pub(crate) const fn operation_code(&self) -> u8 {
        match self.usage {
            [operation_code, ..] => *operation_code,
            [] => 0,
        }
    }

    /// The service action.
    pub(crate) const fn service_action(&self) -> Option<u8> {
        match self.usage {
            [_, byte, ..] if self.has_service_action => Some(*byte & SERVICE_ACTION),
            _ => None,
        }
    }

    /// Whether a CDB is of this command, whose operation code it has.
    fn is_of(&self, cdb: &[u8]) -> bool {
        let asked = cdb.get(1).map(|byte| byte & SERVICE_ACTION);
        !self.has_service_action || asked == self.service_action()
    }

    /// Refuses a CDB that ends early or has a reserved bit set.
    fn check(&self, cdb: &[u8]) -> Result<(), Sense> {
        let cdb = cdb.get(..self.usage.len());
        let cdb = cdb.ok_or(Sense::INVALID_FIELD_IN_CDB)?;
        let flags = [0, self.ignored_flags]
            .into_iter()
            .chain(core::iter::repeat(0));
        let ignored = self
            .ignored
            .iter()
            .zip(flags)
            .map(|(byte, flags)| byte | flags);
        let known = self
            .usage
            .iter()
            .zip(ignored)
            .map(|(counts, ignored)| counts | ignored);
        if cdb
            .iter()
            .zip(known)
            .any(|(byte, known)| byte & !known != 0)
        {
            return Err(Sense::INVALID_FIELD_IN_CDB);
        }
        Ok(())
    }
}

/// The commands of a logical unit.
pub(crate) fn rows(unit: &LogicalUnit<'_>) -> impl Iterator<Item = &'static Row> + Clone {
    let offered = FAMILIES.iter().filter(|family| family.needs.are_met(unit));
    offered.flat_map(|family| family.rows)
}

/// Reads a CDB by the table, and tells what its command needs. One that is shorter than its operation code asks for is refused;
/// bytes after its end are ignored.
pub(crate) fn parse(cdb: &[u8]) -> Result<(Cdb, Needs), Sense> {
    let operation_code = cdb.first().copied();
    let operation_code = operation_code.ok_or(Sense::INVALID_COMMAND_OPERATION_CODE)?;
    let mut unknown = Sense::INVALID_COMMAND_OPERATION_CODE;
    for family in &FAMILIES {
        for row in family.rows {
            if row.operation_code() != operation_code {
                continue;
            }
            if row.is_of(cdb) {
                let read = row.check(cdb).and_then(|()| (row.parse)(cdb));
                let read = match read {
                    // Whether the operation code is known at all is for the unit to say.
                    Err(sense) if family.needs != Needs::Nothing => Cdb::Refused(sense),
                    read => read?,
                };
                return Ok((read, family.needs));
            }
            // The operation code is known: another service action is a field.
            unknown = Sense::INVALID_FIELD_IN_CDB;
        }
    }
    Err(unknown)
}

/// The start of a CDB as the structure of its operation code, NACA checked: CONTROL is the last byte of each CDB here.
pub(crate) fn laid_out<T>(bytes: &[u8]) -> Result<&T, Sense>
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    let (cdb, _) = T::ref_from_prefix(bytes).map_err(|_| Sense::INVALID_FIELD_IN_CDB)?;
    match cdb.as_bytes().last() {
        Some(control) if control & NACA == 0 => Ok(cdb),
        _ => Err(Sense::INVALID_FIELD_IN_CDB),
    }
}
