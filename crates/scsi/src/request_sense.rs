//! REQUEST SENSE (SPC-4, 6.39). Sense data comes with the command that it is about, so there is nothing left to tell but a unit
//! attention condition, or that there is no such unit.

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, SCSI_2_LUN, ignored, laid_out};
use crate::reply::Reply;
use crate::sense::{Sense, SenseKey};

pub(crate) const COMMANDS: [Row; 1] = [Row {
    usage: &[0x03, 0x01, 0, 0, 0xFF, CONTROL],
    ignored_flags: SCSI_2_LUN,
    ignored: &ignored::SIX,
    has_service_action: false,
    parse: |bytes| {
        let cdb = laid_out::<RequestSenseBytes>(bytes)?;
        Ok(Cdb::RequestSense(RequestSense {
            descriptor_format: cdb.flags.desc(),
            allocation_length: cdb.allocation_length,
        }))
    },
}];

/// REQUEST SENSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestSense {
    /// DESC: sense data in descriptor format.
    descriptor_format: bool,
    pub(crate) allocation_length: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RequestSenseBytes {
    _operation_code: u8,
    flags: RequestSenseFlags,
    _reserved: [u8; 2],
    allocation_length: u8,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct RequestSenseFlags {
    #[bits(access = RO)]
    desc: bool,
    #[bits(7)]
    __: u8,
}

/// There is nothing to tell.
pub(crate) const NOTHING: Sense = Sense::new(SenseKey::NoSense, 0x00, 0x00);

/// Sense data as parameter data.
pub(crate) fn request_sense(request: RequestSense, sense: Sense, reply: &mut Reply<'_>) {
    if request.descriptor_format {
        let (bytes, length) = sense.descriptor(None);
        reply.push_bytes(bytes.get(..length).unwrap_or_default());
    } else {
        reply.push_bytes(&sense.fixed(None));
    }
}
