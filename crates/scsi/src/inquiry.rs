//! INQUIRY (SPC-4, 6.6): the standard data; pages of vital product data are in [`vpd`].

use bitfield_struct::bitfield;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, SCSI_2_LUN, ignored, laid_out};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;
use crate::vpd;

pub(crate) const COMMANDS: [Row; 1] = [Row {
    usage: &[0x12, 0x01, 0xFF, 0xFF, 0xFF, CONTROL],
    ignored_flags: SCSI_2_LUN,
    ignored: &ignored::SIX,
    has_service_action: false,
    parse: |bytes| {
        let cdb = laid_out::<InquiryBytes>(bytes)?;
        Ok(Cdb::Inquiry(Inquiry {
            vital_product_data: cdb.flags.evpd(),
            page_code: cdb.page_code,
            allocation_length: cdb.allocation_length.get(),
        }))
    },
}];

/// INQUIRY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inquiry {
    /// EVPD: a page of vital product data is asked for.
    vital_product_data: bool,
    page_code: u8,
    pub(crate) allocation_length: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct InquiryBytes {
    _operation_code: u8,
    flags: InquiryFlags,
    page_code: u8,
    allocation_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct InquiryFlags {
    #[bits(access = RO)]
    evpd: bool,
    #[bits(7)]
    __: u8,
}

/// T10 VENDOR IDENTIFICATION of every NVMe device (Translation Reference).
pub(crate) const VENDOR: &[u8; 8] = b"NVMe    ";
/// The bytes of MN that PRODUCT IDENTIFICATION has room for.
pub(crate) const PRODUCT_BYTES: usize = 16;
/// The bytes of FR that PRODUCT REVISION LEVEL has room for.
const REVISION_BYTES: usize = 4;

/// Standard INQUIRY data up to the vendor identification (SPC-4, 6.6.2).
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    /// PERIPHERAL QUALIFIER and PERIPHERAL DEVICE TYPE.
    peripheral: u8,
    /// RMB 0: not removable.
    removable: u8,
    version: u8,
    /// NORMACA 0, HISUP 0.
    response_data_format: u8,
    additional_length: u8,
    flags: [u8; 3],
    vendor: [u8; 8],
}

/// Standard INQUIRY data after the product revision level.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Tail {
    vendor_specific: [u8; 20],
    reserved: [u8; 2],
    version_descriptors: [U16; 8],
}

/// A direct access block device that is connected.
const DISK: u8 = 0;
/// PERIPHERAL QUALIFIER 3, no logical unit can be here; PERIPHERAL DEVICE TYPE 1Fh, none.
const NOTHING: u8 = 0x7F;

const STANDARD_BYTES: usize =
    size_of::<Head>() + PRODUCT_BYTES + REVISION_BYTES + size_of::<Tail>();
const _: () = assert!(STANDARD_BYTES == 74);

pub(crate) fn inquiry(
    request: Inquiry,
    unit: &LogicalUnit<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Sense> {
    if request.vital_product_data {
        return vpd::page(request.page_code, unit, reply);
    }
    if request.page_code != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let controller = unit.controller;
    standard(DISK, controller.model, *controller.firmware, reply);
    Ok(())
}

/// The answer where there is no logical unit.
pub(crate) fn absent(request: Inquiry, reply: &mut Reply<'_>) -> Result<(), Sense> {
    if request.vital_product_data {
        return Err(Sense::LOGICAL_UNIT_NOT_SUPPORTED);
    }
    if request.page_code != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    standard(NOTHING, &[b' '; 40], [b' '; 8], reply);
    Ok(())
}

fn standard(peripheral: u8, model: &[u8; 40], firmware: [u8; 8], reply: &mut Reply<'_>) {
    const SPC_4: u8 = 6;
    const CMDQUE: u8 = 1 << 1;
    // Version descriptors that claim the standard and no revision of it (SPC-4, annex E).
    const SAM_5: u16 = 0x00A0;
    const SPC_4_DESCRIPTOR: u16 = 0x0460;
    const SBC_3: u16 = 0x04C0;
    let mut version_descriptors = [U16::ZERO; 8];
    for (place, standard) in version_descriptors
        .iter_mut()
        .zip([SAM_5, SPC_4_DESCRIPTOR, SBC_3])
    {
        place.set(standard);
    }

    reply.push(&Head {
        peripheral,
        removable: 0,
        version: SPC_4,
        response_data_format: 2,
        // What follows byte 4.
        additional_length: (STANDARD_BYTES - 5) as u8,
        flags: [0, 0, CMDQUE],
        vendor: *VENDOR,
    });
    reply.push_ascii(product(model));
    reply.push_ascii(&revision(firmware));
    reply.push(&Tail {
        version_descriptors,
        ..FromZeros::new_zeroed()
    });
}

/// The part of the model number that is the product identification.
pub(crate) fn product(model: &[u8; 40]) -> &[u8; PRODUCT_BYTES] {
    model.first_chunk().unwrap_or(&[b' '; PRODUCT_BYTES])
}

/// The last four characters of the firmware revision, its padding left out: there a revision differs from the next.
fn revision(firmware: [u8; 8]) -> [u8; REVISION_BYTES] {
    let mut text = firmware.as_slice();
    while let [rest @ .., b' ' | 0] = text {
        text = rest;
    }
    let mut revision = [b' '; REVISION_BYTES];
    let start = text.len().saturating_sub(REVISION_BYTES);
    for (to, from) in revision.iter_mut().zip(text.iter().skip(start)) {
        *to = *from;
    }
    revision
}
