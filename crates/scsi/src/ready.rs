//! TEST UNIT READY (SPC-4, 6.47) and START STOP UNIT (SBC-3, 5): a namespace is always started and ready.

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, CONTROL_IGNORED, Cdb, Row, SCSI_2_LUN, ignored, laid_out};
use crate::sense::Sense;
use crate::status::Outcome;
use crate::synchronize_cache::flush;
use crate::translate::Action;
use crate::unit::LogicalUnit;

/// POWER CONDITION MODIFIER: means nothing without a power condition.
const MODIFIER: u8 = 0x0F;

pub(crate) const COMMANDS: [Row; 2] = [
    Row {
        usage: &[0x00, 0, 0, 0, 0, CONTROL],
        ignored_flags: SCSI_2_LUN,
        ignored: &ignored::SIX,
        has_service_action: false,
        parse: |bytes| laid_out::<[u8; 6]>(bytes).map(|_| Cdb::TestUnitReady),
    },
    Row {
        usage: &[0x1B, 0x01, 0, 0, 0xF7, CONTROL],
        ignored_flags: SCSI_2_LUN,
        ignored: &[0, 0, 0, MODIFIER, 0, CONTROL_IGNORED],
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<StartStopUnitBytes>(bytes)?;
            Ok(Cdb::StartStopUnit(cdb.typed()))
        },
    },
];

/// START STOP UNIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartStopUnit {
    /// POWER CONDITION: 0 means that START and LOEJ count.
    power_condition: u8,
    no_flush: bool,
    /// LOEJ: load or eject the medium.
    load_eject: bool,
    start: bool,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct StartStopUnitBytes {
    _operation_code: u8,
    _immed: u8,
    _reserved: u8,
    _power_condition_modifier: u8,
    flags: StartStopFlags,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct StartStopFlags {
    #[bits(access = RO)]
    start: bool,
    #[bits(access = RO)]
    loej: bool,
    #[bits(access = RO)]
    no_flush: bool,
    __: bool,
    #[bits(4, access = RO)]
    power_condition: u8,
}

impl StartStopUnitBytes {
    fn typed(&self) -> StartStopUnit {
        StartStopUnit {
            power_condition: self.flags.power_condition(),
            no_flush: self.flags.no_flush(),
            load_eject: self.flags.loej(),
            start: self.flags.start(),
        }
    }
}

/// What was written is made to last before the unit is stopped, unless the request says that it need not.
pub(crate) fn start_stop_unit(
    request: StartStopUnit,
    unit: &LogicalUnit<'_>,
) -> Result<Action, Sense> {
    if request.power_condition != 0 || request.load_eject {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    if request.start || request.no_flush {
        return Ok(Action::Done(Outcome::good(0)));
    }
    Ok(flush(unit))
}
