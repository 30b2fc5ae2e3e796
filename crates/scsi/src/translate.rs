//! One SCSI request: an answer at once, or the NVMe command that carries it out.

use nvme_spec::command::Command;

use crate::cdb::{Access, Cdb, Extent};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::status::Outcome;
use crate::unit::{Controller, LogicalUnit};
use crate::{block_io, capacity, inquiry, luns, mode};

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
        /// The length of its data, always the length of the request's buffer where there is data.
        bytes: u32,
        /// So many blocks behind those of the command are still to be verified: [`next_verify`](crate::next_verify) makes the
        /// command for them when this one has succeeded.
        more_blocks: u32,
    },
}

/// A command descriptor block that was read: one that this crate carries out.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// READ or WRITE: [`access`](crate::access) translates it.
    Access(Access),
    /// Any other.
    Other(Other),
}

/// A request that is neither READ nor WRITE.
#[derive(Clone, Copy, Debug)]
pub struct Other(Cdb);

impl Request {
    /// Reads a CDB.
    #[inline]
    pub fn parse(cdb: &[u8]) -> Result<Self, Sense> {
        match Access::parse(cdb) {
            Some(access) => access.map(Self::Access),
            None => Cdb::parse(cdb).map(|cdb| Self::Other(Other(cdb))),
        }
    }

    /// Whether it is REPORT LUNS.
    #[must_use]
    pub const fn is_report_luns(&self) -> bool {
        matches!(self, Self::Other(Other(Cdb::ReportLuns(_))))
    }

    /// Whether a unit attention condition is reported instead of carrying it out (SPC-4, 5.14).
    #[must_use]
    pub const fn reports_unit_attention(&self) -> bool {
        !matches!(
            self,
            Self::Other(Other(Cdb::Inquiry(_) | Cdb::ReportLuns(_)))
        )
    }
}

impl Other {
    /// SYNCHRONIZE CACHE of the whole unit: what a flush comes down to.
    pub const FLUSH: Self = Self(Cdb::SynchronizeCache(Extent { lba: 0, blocks: 0 }));

    /// Whether the answer is parameter data that [`translate`](Self::translate) writes, so that the buffer is needed as memory.
    #[must_use]
    pub fn returns_parameter_data(&self) -> bool {
        matches!(
            self.0,
            Cdb::Inquiry(_)
                | Cdb::ReadCapacity10
                | Cdb::ReadCapacity16 { .. }
                | Cdb::ReportLuns(_)
                | Cdb::ModeSense(_)
        )
    }

    /// Answers the request where there is no such logical unit (any more): INQUIRY says so, REPORT LUNS tells which there are
    /// (SPC-4, 6.6.2 and 6.33), all else is refused.
    #[must_use]
    pub fn translate_gone(
        self,
        controller: &Controller<'_>,
        transfer: Transfer,
        data: &mut [u8],
    ) -> Action {
        let data = if transfer.data_in {
            data
        } else {
            Default::default()
        };
        let answer = match self.0 {
            Cdb::Inquiry(request) => {
                let mut reply = Reply::new(data, request.allocation_length.into());
                inquiry::absent(request, &mut reply).map(|()| reply.finish())
            }
            Cdb::ReportLuns(request) => {
                let mut reply = Reply::new(data, request.allocation_length);
                luns::report_luns(request, controller, &mut reply).map(|()| reply.finish())
            }
            _ => return Action::Done(gone()),
        };
        Action::Done(answer.unwrap_or_else(Outcome::check_condition))
    }

    /// Translates the request.
    ///
    /// `transfer` describes its data buffer. `data` is that buffer as memory; it is written to by those commands only for which
    /// [`returns_parameter_data`](Self::returns_parameter_data) holds, and may be empty for all others.
    #[must_use]
    pub fn translate(self, unit: &LogicalUnit<'_>, transfer: Transfer, data: &mut [u8]) -> Action {
        let action = carry_out(self.0, unit, transfer, data);
        action.unwrap_or_else(|sense| Action::Done(Outcome::check_condition(sense)))
    }
}

/// The end of a request to a logical unit that is not there (any more).
#[must_use]
pub const fn gone() -> Outcome {
    Outcome::check_condition(Sense::LOGICAL_UNIT_NOT_SUPPORTED)
}

fn carry_out(
    cdb: Cdb,
    unit: &LogicalUnit<'_>,
    transfer: Transfer,
    data: &mut [u8],
) -> Result<Action, Sense> {
    // A buffer that the device may not write to takes no parameter data either.
    let data = if transfer.data_in {
        data
    } else {
        Default::default()
    };
    let outcome = match cdb {
        Cdb::Verify(request) => return block_io::verify(request, unit),
        Cdb::SynchronizeCache(extent) => return block_io::synchronize_cache(extent, unit),
        Cdb::StartStopUnit(request) => return block_io::start_stop_unit(request, unit),
        Cdb::TestUnitReady => Outcome::good(0),
        Cdb::Inquiry(request) => {
            let mut reply = Reply::new(data, request.allocation_length.into());
            inquiry::inquiry(request, unit, &mut reply)?;
            reply.finish()
        }
        Cdb::ReadCapacity10 => {
            let mut reply = Reply::new(data, u32::MAX);
            capacity::read_capacity_10(unit, &mut reply);
            reply.finish()
        }
        Cdb::ReadCapacity16 { allocation_length } => {
            let mut reply = Reply::new(data, allocation_length);
            capacity::read_capacity_16(unit, &mut reply);
            reply.finish()
        }
        Cdb::ReportLuns(request) => {
            let mut reply = Reply::new(data, request.allocation_length);
            luns::report_luns(request, unit.controller, &mut reply)?;
            reply.finish()
        }
        Cdb::ModeSense(request) => {
            let mut reply = Reply::new(data, request.allocation_length.into());
            mode::mode_sense(request, unit, &mut reply)?;
            reply.finish()
        }
    };
    Ok(Action::Done(outcome))
}
