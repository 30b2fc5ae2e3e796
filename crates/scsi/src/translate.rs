//! One SCSI request: an answer at once, or the NVMe command that carries it out.

use nvme_spec::command::{Command, CommandDword0, NvmOpcode};

use crate::access::{Access, access};
use crate::cdb::{self, Cdb, Needs};
use crate::extent::Extent;
use crate::reply::Reply;
use crate::sense::Sense;
use crate::status::Outcome;
use crate::unit::{Controller, LogicalUnit};
use crate::unmap::Deallocate;
use crate::{
    capacity, diagnostic, inquiry, log_sense, luns, mode_select, mode_sense, operation_codes,
    ready, request_sense, synchronize_cache, unmap, verify, write_same,
};

/// The data buffer of a request, as whoever sent it describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its length in bytes.
    pub bytes: u32,
    /// The device may write to it.
    pub data_in: bool,
    /// The device may read from it.
    pub data_out: bool,
}

impl Transfer {
    /// A request without a data buffer.
    pub const NONE: Self = Self {
        bytes: 0,
        data_in: false,
        data_out: false,
    };
}

/// Which way the data of an NVMe command travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDirection {
    /// The command has no data.
    None,
    /// From the device to the host.
    In,
    /// From the host to the device.
    Out,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// It is done: nothing goes to the device.
    Done(Outcome),
    /// It takes an NVMe command on an I/O queue; [`completed`](crate::completed) makes the answer of its status.
    Submit {
        /// The command, without its command identifier and its data pointer.
        command: Command,
        /// Which way its data travels.
        direction: DataDirection,
        /// The bytes of the request's buffer that count as transferred when it succeeded. Where the command has data, it is
        /// the whole buffer; WRITE SAME takes a block that no command has.
        bytes: u32,
        /// So many blocks behind those of the command are still to be verified, or to be zeroed:
        /// [`next_in_series`](crate::next_in_series) makes the command for them when this one has succeeded.
        more_blocks: u32,
    },
    /// It takes Dataset Management commands, one after the other, whose data is not the request's buffer.
    Deallocate(Deallocate),
    /// It takes Set Features of the Volatile Write Cache; where the cache is turned off, what is in it is written by the controller.
    SetWriteCache {
        /// WCE.
        enable: bool,
        /// The bytes of the request's buffer that count as transferred when it succeeded.
        bytes: u32,
    },
}

/// A command descriptor block that was read: one that this crate carries out.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// READ or WRITE of 10 or 16 bytes: [`access`](crate::access) translates it.
    Access(Access),
    /// Any other.
    Other(Other),
}

/// A request that is not an [`Access`].
#[derive(Clone, Copy, Debug)]
pub struct Other {
    cdb: Cdb,
    needs: Needs,
}

impl Request {
    /// Reads a CDB.
    #[inline]
    pub fn parse(cdb: &[u8]) -> Result<Self, Sense> {
        match Access::parse(cdb) {
            Some(access) => access.map(Self::Access),
            None => Other::parse(cdb).map(Self::Other),
        }
    }

    /// Whether it is REPORT LUNS.
    #[must_use]
    pub const fn is_report_luns(&self) -> bool {
        matches!(
            self,
            Self::Other(Other {
                cdb: Cdb::ReportLuns(_),
                ..
            })
        )
    }

    /// Whether it is REQUEST SENSE, which reports a unit attention condition as its parameter data.
    #[must_use]
    pub const fn is_request_sense(&self) -> bool {
        matches!(
            self,
            Self::Other(Other {
                cdb: Cdb::RequestSense(_),
                ..
            })
        )
    }

    /// The answer that tells of a unit attention condition: CHECK CONDITION, or the parameter data of REQUEST SENSE (SPC-4, 5.14).
    /// `data` is its buffer as memory, and may be empty for another request.
    #[must_use]
    #[cold]
    pub fn attention(&self, sense: Sense, transfer: Transfer, data: &mut [u8]) -> Outcome {
        match self {
            Self::Other(Other {
                cdb: Cdb::RequestSense(request),
                ..
            }) => {
                let data = writable(transfer, data);
                let mut reply = Reply::new(data, request.allocation_length.into());
                request_sense::request_sense(*request, sense, &mut reply);
                reply.finish()
            }
            _ => Outcome::check_condition(sense),
        }
    }

    /// Whether a unit attention condition is reported instead of carrying it out (SPC-4, 5.14).
    #[must_use]
    pub const fn reports_unit_attention(&self) -> bool {
        !matches!(
            self,
            Self::Other(Other {
                cdb: Cdb::Inquiry(_) | Cdb::ReportLuns(_),
                ..
            })
        )
    }
}

impl Other {
    /// SYNCHRONIZE CACHE of the whole unit: what a flush comes down to.
    pub const FLUSH: Self = Self {
        cdb: Cdb::SynchronizeCache(Extent { lba: 0, blocks: 0 }),
        needs: Needs::Nothing,
    };

    /// Reads a CDB.
    #[inline(never)]
    pub fn parse(cdb: &[u8]) -> Result<Self, Sense> {
        cdb::parse(cdb).map(|(cdb, needs)| Self { cdb, needs })
    }

    /// Whether the answer is parameter data that [`translate`](Self::translate) writes, so that the buffer is needed as memory.
    #[must_use]
    pub fn returns_parameter_data(&self) -> bool {
        matches!(
            self.cdb,
            Cdb::Inquiry(_)
                | Cdb::ReadCapacity10
                | Cdb::ReadCapacity16 { .. }
                | Cdb::RequestSense(_)
                | Cdb::ReportLuns(_)
                | Cdb::ReportOperationCodes(_)
                | Cdb::ModeSense(_)
                | Cdb::LogSense(_)
        )
    }

    /// Whether the request brings parameter data that [`translate`](Self::translate) reads, so that the buffer is needed as memory.
    #[must_use]
    pub fn takes_parameter_data(&self) -> bool {
        matches!(
            self.cdb,
            Cdb::Unmap(_) | Cdb::WriteSame(_) | Cdb::ModeSelect(_)
        )
    }

    /// Answers the request where there is no such logical unit (any more): INQUIRY and REQUEST SENSE say so, REPORT LUNS tells which
    /// there are (SPC-4, 6.6.2, 6.39 and 6.33), all else is refused.
    #[must_use]
    pub fn translate_gone(
        self,
        controller: &Controller<'_>,
        transfer: Transfer,
        data: &mut [u8],
    ) -> Action {
        let data = writable(transfer, data);
        let answer = match self.cdb {
            Cdb::Inquiry(request) => {
                let mut reply = Reply::new(data, request.allocation_length.into());
                inquiry::absent(request, &mut reply).map(|()| reply.finish())
            }
            Cdb::ReportLuns(request) => {
                let mut reply = Reply::new(data, request.allocation_length);
                luns::report_luns(request, controller, &mut reply).map(|()| reply.finish())
            }
            Cdb::RequestSense(request) => {
                let mut reply = Reply::new(data, request.allocation_length.into());
                let sense = Sense::LOGICAL_UNIT_NOT_SUPPORTED;
                request_sense::request_sense(request, sense, &mut reply);
                Ok(reply.finish())
            }
            _ => return Action::Done(gone()),
        };
        Action::Done(answer.unwrap_or_else(Outcome::check_condition))
    }

    /// Translates the request.
    ///
    /// `transfer` describes its data buffer. `data` is that buffer as memory; it is written to by those commands only for which
    /// [`returns_parameter_data`](Self::returns_parameter_data) holds, read by those for which
    /// [`takes_parameter_data`](Self::takes_parameter_data) does, and may be empty for all others.
    #[must_use]
    pub fn translate(self, unit: &LogicalUnit<'_>, transfer: Transfer, data: &mut [u8]) -> Action {
        if !self.needs.are_met(unit) {
            let unknown = Sense::INVALID_COMMAND_OPERATION_CODE;
            return Action::Done(Outcome::check_condition(unknown));
        }
        let action = carry_out(self.cdb, unit, transfer, data);
        action.unwrap_or_else(|sense| Action::Done(Outcome::check_condition(sense)))
    }
}

/// The end of a request to a logical unit that is not there (any more).
#[must_use]
pub const fn gone() -> Outcome {
    Outcome::check_condition(Sense::LOGICAL_UNIT_NOT_SUPPORTED)
}

/// The buffer of a request as far as it may be written to: one that the device may not write to takes no parameter data either.
fn writable(transfer: Transfer, data: &mut [u8]) -> &mut [u8] {
    if transfer.data_in {
        data
    } else {
        Default::default()
    }
}

/// The buffer of a request as far as it was sent: one that the device may not read from brings no parameter data.
fn readable(transfer: Transfer, data: &[u8]) -> &[u8] {
    if transfer.data_out { data } else { &[] }
}

fn carry_out(
    cdb: Cdb,
    unit: &LogicalUnit<'_>,
    transfer: Transfer,
    data: &mut [u8],
) -> Result<Action, Sense> {
    match cdb {
        Cdb::Verify(request) => verify::verify(request, unit),
        Cdb::SynchronizeCache(extent) => synchronize_cache::synchronize_cache(extent, unit),
        Cdb::StartStopUnit(request) => ready::start_stop_unit(request, unit),
        Cdb::SendDiagnostic(request) => diagnostic::send_diagnostic(request).map(Action::Done),
        Cdb::TestUnitReady => Ok(Action::Done(Outcome::good(0))),
        Cdb::Refused(sense) => Err(sense),
        Cdb::Access(request) => Ok(read_or_write(request, unit, transfer)),
        Cdb::ModeSelect(request) => {
            mode_select::mode_select(request, unit, readable(transfer, data))
        }
        Cdb::Unmap(request) => unmap::unmap(request, unit, readable(transfer, data)),
        Cdb::WriteSame(request) => write_same::write_same(request, unit, readable(transfer, data)),
        _ => answer(cdb, unit, writable(transfer, data)).map(Action::Done),
    }
}

/// READ or WRITE of another length than class drivers send.
fn read_or_write(request: Access, unit: &LogicalUnit<'_>, transfer: Transfer) -> Action {
    match access(request, &unit.medium(), transfer) {
        Ok(command) => Action::Submit {
            command,
            direction: if request.is_read() {
                DataDirection::In
            } else {
                DataDirection::Out
            },
            bytes: transfer.bytes,
            more_blocks: 0,
        },
        Err(outcome) => Action::Done(outcome),
    }
}

/// The commands whose answer is parameter data.
fn answer(cdb: Cdb, unit: &LogicalUnit<'_>, data: &mut [u8]) -> Result<Outcome, Sense> {
    let allocation_length = match cdb {
        Cdb::Inquiry(request) => request.allocation_length.into(),
        Cdb::ReadCapacity16 { allocation_length } => allocation_length,
        Cdb::ReportLuns(request) => request.allocation_length,
        Cdb::RequestSense(request) => request.allocation_length.into(),
        Cdb::ReportOperationCodes(request) => request.allocation_length,
        Cdb::ModeSense(request) => request.allocation_length.into(),
        Cdb::LogSense(request) => request.allocation_length.into(),
        _ => u32::MAX,
    };
    let mut reply = Reply::new(data, allocation_length);
    match cdb {
        Cdb::Inquiry(request) => inquiry::inquiry(request, unit, &mut reply)?,
        Cdb::ReadCapacity10 => capacity::read_capacity_10(unit, &mut reply),
        Cdb::ReadCapacity16 { .. } => capacity::read_capacity_16(unit, &mut reply),
        Cdb::ReportLuns(request) => luns::report_luns(request, unit.controller, &mut reply)?,
        Cdb::RequestSense(request) => {
            request_sense::request_sense(request, request_sense::NOTHING, &mut reply);
        }
        Cdb::ReportOperationCodes(request) => {
            operation_codes::report_operation_codes(request, unit, &mut reply)?;
        }
        Cdb::ModeSense(request) => mode_sense::mode_sense(request, unit, &mut reply)?,
        Cdb::LogSense(request) => log_sense::log_sense(request, &mut reply)?,
        _ => return Err(Sense::INVALID_COMMAND_OPERATION_CODE),
    }
    Ok(reply.finish())
}

/// A command for a namespace.
pub(crate) fn command(opcode: NvmOpcode, namespace_id: u32) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode.0),
        nsid: namespace_id,
        ..Command::default()
    }
}
