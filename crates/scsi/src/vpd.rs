//! Vital product data (SPC-4, 7.8; SBC-3, 6.6): which pages there are.

mod limits;
mod names;

use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// Writes the body of a page.
type Body = fn(&LogicalUnit<'_>, &mut Reply<'_>);

/// The pages that there are, in ascending order. ATA information (89h) and third-party copy (8Fh) have no like in NVMe.
static PAGES: [(u8, Body); 7] = [
    (0x00, supported_pages),
    (0x80, names::unit_serial_number),
    (0x83, names::device_identification),
    (0x86, extended_inquiry),
    (0xB0, limits::block_limits),
    (0xB1, limits::block_device_characteristics),
    (0xB2, limits::logical_block_provisioning),
];

/// Writes a page: the header, with the length that the body turns out to have, and the body.
pub(crate) fn page(code: u8, unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) -> Result<(), Sense> {
    const PAGE_LENGTH_AT: usize = 2;
    let body = PAGES.iter().find(|(page, _)| *page == code);
    let (_, body) = body.ok_or(Sense::INVALID_FIELD_IN_CDB)?;
    // Peripheral qualifier and device type as in the standard data, the page code, a length that is not yet known.
    reply.push_bytes(&[0, code, 0, 0]);
    let start = reply.length();
    body(unit, reply);
    let length = reply.length().saturating_sub(start);
    reply.patch(PAGE_LENGTH_AT, &(length as u16).to_be_bytes());
    Ok(())
}

fn supported_pages(_: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    for (code, _) in &PAGES {
        reply.push_bytes(&[*code]);
    }
}

/// Extended INQUIRY data after its header (SPC-4, 7.8.7).
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct ExtendedInquiry {
    /// No protection information is checked.
    checks: u8,
    /// SIMPSUP is bit 0: tasks with the SIMPLE attribute.
    tasks: u8,
    /// `V_SUP` is bit 0: there is a volatile cache.
    caches: u8,
    rest: [u8; 57],
}

const _: () = assert!(size_of::<ExtendedInquiry>() == 0x3C);

fn extended_inquiry(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    const SIMPSUP: u8 = 1;
    reply.push(&ExtendedInquiry {
        tasks: SIMPSUP,
        caches: unit.controller.volatile_write_cache.into(),
        ..FromZeros::new_zeroed()
    });
}
