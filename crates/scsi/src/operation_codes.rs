//! REPORT SUPPORTED OPERATION CODES (SPC-4, 6.35): the rows that the parser reads, told to the initiator.

use bitfield_struct::bitfield;
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out, rows};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

pub(crate) const COMMANDS: [Row; 1] = [Row {
    // RCTD and REPORTING OPTIONS count in byte 2.
    usage: &[
        0xA3, 0x0C, 0x87, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, CONTROL,
    ],
    ignored_flags: 0,
    ignored: &ignored::TWELVE,
    has_service_action: true,
    parse: |bytes| {
        let cdb = laid_out::<ReportOperationCodesBytes>(bytes)?;
        Ok(Cdb::ReportOperationCodes(ReportOperationCodes {
            timeouts: cdb.options.rctd(),
            options: cdb.options.reporting_options(),
            operation_code: cdb.requested_operation_code,
            service_action: cdb.requested_service_action.get(),
            allocation_length: cdb.allocation_length.get(),
        }))
    },
}];

/// REPORT SUPPORTED OPERATION CODES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportOperationCodes {
    /// RCTD: return descriptors of command timeouts.
    timeouts: bool,
    /// REPORTING OPTIONS.
    options: u8,
    operation_code: u8,
    service_action: u16,
    pub(crate) allocation_length: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ReportOperationCodesBytes {
    _operation_code: u8,
    _service_action: u8,
    options: ReportingOptions,
    requested_operation_code: u8,
    requested_service_action: U16,
    allocation_length: U32,
    _reserved: u8,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ReportingOptions {
    #[bits(3, access = RO)]
    reporting_options: u8,
    #[bits(4)]
    __: u8,
    #[bits(access = RO)]
    rctd: bool,
}

pub(crate) fn report_operation_codes(
    request: ReportOperationCodes,
    unit: &LogicalUnit<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Sense> {
    let mut named = rows(unit).filter(|row| row.operation_code() == request.operation_code);
    let has_service_actions = named.clone().any(|row| row.has_service_action);
    let exact = |row: &&Row| row.service_action().map(u16::from) == Some(request.service_action);
    match request.options {
        0 => all(request.timeouts, unit, reply),
        1 if has_service_actions => return Err(Sense::INVALID_FIELD_IN_CDB),
        1 => one(named.next(), request.timeouts, reply),
        2 if !has_service_actions => return Err(Sense::INVALID_FIELD_IN_CDB),
        2 => one(named.find(exact), request.timeouts, reply),
        // As either of the two, whether there are service actions or not.
        3 if has_service_actions => one(named.find(exact), request.timeouts, reply),
        3 => {
            let row = named.next().filter(|_| request.service_action == 0);
            one(row, request.timeouts, reply);
        }
        _ => return Err(Sense::INVALID_FIELD_IN_CDB),
    }
    Ok(())
}

/// The list of all commands.
fn all(timeouts: bool, unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    const SERVACTV: u8 = 1;
    const CTDP: u8 = 1 << 1;
    const LENGTH_BYTES: usize = 4;
    reply.push(&U32::ZERO);
    for row in rows(unit) {
        let mut flags = if timeouts { CTDP } else { 0 };
        if row.has_service_action {
            flags |= SERVACTV;
        }
        let service_action = row.service_action().unwrap_or(0);
        reply.push_bytes(&[row.operation_code(), 0, 0, service_action, 0, flags]);
        reply.push(&U16::new(row.usage.len() as u16));
        if timeouts {
            timeouts_descriptor(reply);
        }
    }
    let length = reply.length().saturating_sub(LENGTH_BYTES);
    reply.patch(0, &(length as u32).to_be_bytes());
}

/// Whether one command is supported, and which bits of it count.
fn one(row: Option<&Row>, timeouts: bool, reply: &mut Reply<'_>) {
    const NOT_SUPPORTED: u8 = 1;
    const AS_THE_STANDARD_SAYS: u8 = 3;
    const CTDP: u8 = 1 << 7;
    let Some(row) = row else {
        reply.push_bytes(&[0, NOT_SUPPORTED, 0, 0]);
        return;
    };
    let support = if timeouts {
        AS_THE_STANDARD_SAYS | CTDP
    } else {
        AS_THE_STANDARD_SAYS
    };
    reply.push_bytes(&[0, support]);
    reply.push(&U16::new(row.usage.len() as u16));
    reply.push_bytes(row.usage);
    if timeouts {
        timeouts_descriptor(reply);
    }
}

/// A command timeouts descriptor (SPC-4, 6.35.4) that says nothing of timeouts: the driver watches over each command.
fn timeouts_descriptor(reply: &mut Reply<'_>) {
    reply.push_bytes(&[0, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}
