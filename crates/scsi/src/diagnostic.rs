//! SEND DIAGNOSTIC (SPC-4, 6.42). The default self-test finds a disk that answers in order; the self-tests of the device and pages
//! of parameters are not offered.

use bitfield_struct::bitfield;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out};
use crate::sense::Sense;
use crate::status::Outcome;

pub(crate) const COMMANDS: [Row; 1] = [Row {
    // SELF-TEST CODE, PF, SELFTEST, DEVOFFL and UNITOFFL.
    usage: &[0x1D, 0xF7, 0, 0xFF, 0xFF, CONTROL],
    ignored_flags: 0,
    ignored: &ignored::SIX,
    has_service_action: false,
    parse: |bytes| {
        let cdb = laid_out::<SendDiagnosticBytes>(bytes)?;
        Ok(Cdb::SendDiagnostic(SendDiagnostic {
            self_test_code: cdb.flags.self_test_code(),
            parameter_list_length: cdb.parameter_list_length.get(),
        }))
    },
}];

/// SEND DIAGNOSTIC. SELFTEST, which asks for the default self-test, and the leave to disturb others for it change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendDiagnostic {
    /// Which self-test of the device; 0 for none, or for the default one.
    self_test_code: u8,
    parameter_list_length: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SendDiagnosticBytes {
    _operation_code: u8,
    flags: SendDiagnosticFlags,
    _reserved: u8,
    parameter_list_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct SendDiagnosticFlags {
    #[bits(5)]
    __: u8,
    #[bits(3, access = RO)]
    self_test_code: u8,
}

pub(crate) fn send_diagnostic(request: SendDiagnostic) -> Result<Outcome, Sense> {
    if request.self_test_code != 0 || request.parameter_list_length != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    Ok(Outcome::good(0))
}
