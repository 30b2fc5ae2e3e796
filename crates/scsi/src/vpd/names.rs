//! The pages that tell a logical unit from others: unit serial number and device identification (SPC-4, 7.8).

use crate::inquiry::{VENDOR, product};
use crate::reply::Reply;
use crate::unit::{LogicalUnit, Naming};

/// Unit serial number (Translation Reference): the NGUID, the EUI-64 or the UUID in groups of four digits; for a namespace that
/// has none, the controller's serial number, or its place on the bus, and the NSID.
pub(super) fn unit_serial_number(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    if let Some(identifier) = best_identifier(unit) {
        let (groups, _) = identifier.as_chunks::<2>();
        for (index, group) in groups.iter().enumerate() {
            if index != 0 {
                reply.push_bytes(b"_");
            }
            reply.push_hex(group);
        }
    } else {
        match unit.naming {
            Naming::Place(place) => push_place(place, reply),
            _ => reply.push_ascii(unit.controller.serial),
        }
        reply.push_bytes(b"_");
        reply.push_hex(&unit.namespace_id.to_be_bytes());
    }
    reply.push_bytes(b".");
}

/// The globally unique identifiers that the namespace has and that are believed, the better one first: NGUID, EUI-64.
fn identifiers<'a>(unit: &LogicalUnit<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let all: [&'a [u8]; 2] = [unit.nguid, unit.eui64];
    let believed = unit.naming == Naming::Reported;
    all.into_iter()
        .filter(move |identifier| believed && is_set(identifier))
}

/// The UUID, where there is one and it is believed.
fn uuid<'a>(unit: &LogicalUnit<'a>) -> Option<&'a [u8; 16]> {
    let believed = matches!(unit.naming, Naming::Reported | Naming::Uuid);
    Some(unit.uuid).filter(|uuid| believed && is_set(&uuid[..]))
}

/// What the namespace is named by, unless that is a serial number or a place.
fn best_identifier<'a>(unit: &LogicalUnit<'a>) -> Option<&'a [u8]> {
    match unit.naming {
        Naming::Uuid => uuid(unit).map(<[u8; 16]>::as_slice),
        _ => identifiers(unit).next(),
    }
}

fn is_set(identifier: &[u8]) -> bool {
    identifier.iter().any(|byte| *byte != 0)
}

/// Where the controller is, as text.
fn push_place(place: u64, reply: &mut Reply<'_>) {
    reply.push_bytes(b"PCI");
    reply.push_hex(&place.to_be_bytes());
}

/// CODE SET of a designator (SPC-4, 7.8.6).
#[derive(Clone, Copy)]
#[repr(u8)]
enum CodeSet {
    Binary = 1,
    Ascii = 2,
    Utf8 = 3,
}

/// DESIGNATOR TYPE (SPC-4, 7.8.6; the UUID: SPC-5, 7.7.6).
#[derive(Clone, Copy)]
#[repr(u8)]
enum DesignatorType {
    T10VendorId = 1,
    Eui64 = 2,
    ScsiNameString = 8,
    Uuid = 0xA,
}

/// Device identification (Translation Reference): EUI-64 based designators, one by T10 vendor ID, SCSI name strings; a UUID
/// comes last.
///
/// A NAA designator is not made up: its first digit would take the place of a part of the identifier, and the others name
/// the namespace without loss.
pub(super) fn device_identification(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    for identifier in identifiers(unit) {
        designator(reply, CodeSet::Binary, DesignatorType::Eui64, |reply| {
            reply.push_bytes(identifier);
        });
    }
    designator(
        reply,
        CodeSet::Ascii,
        DesignatorType::T10VendorId,
        |reply| {
            t10_vendor_id(unit, reply);
        },
    );
    for identifier in identifiers(unit) {
        designator(
            reply,
            CodeSet::Utf8,
            DesignatorType::ScsiNameString,
            |reply| {
                reply.push_bytes(b"eui.");
                reply.push_hex(identifier);
            },
        );
    }
    let by_serial = matches!(unit.naming, Naming::Reported | Naming::Serial);
    if by_serial && identifiers(unit).next().is_none() {
        designator(
            reply,
            CodeSet::Utf8,
            DesignatorType::ScsiNameString,
            |reply| {
                nvme_name_string(unit, reply);
            },
        );
    }
    if let Some(uuid) = uuid(unit) {
        designator(reply, CodeSet::Binary, DesignatorType::Uuid, |reply| {
            reply.push_bytes(&UUID_HEAD);
            reply.push_bytes(uuid);
        });
    }
}

/// UUID TYPE 1, an RFC 4122 UUID, and a reserved byte (SPC-5, 7.7.6.12).
const UUID_HEAD: [u8; 2] = [0x10, 0];

/// Writes a designation descriptor that is associated with the logical unit (SPC-4, 7.8.6).
fn designator(
    reply: &mut Reply<'_>,
    code_set: CodeSet,
    designator_type: DesignatorType,
    body: impl FnOnce(&mut Reply<'_>),
) {
    let length_at = reply.length().saturating_add(3);
    reply.push_bytes(&[code_set as u8, designator_type as u8, 0, 0]);
    let start = reply.length();
    body(reply);
    let length = reply.length().saturating_sub(start);
    reply.patch(length_at, &[length as u8]);
}

/// Vendor, product, and what makes it unique: an identifier, or PCI vendor ID, serial number and NSID. The Translation
/// Reference takes a part of the serial number only, with which two drives of a series can be the same; this takes all of it.
fn t10_vendor_id(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    let controller = unit.controller;
    reply.push_bytes(VENDOR);
    reply.push_ascii(product(controller.model));
    if let Some(identifier) = best_identifier(unit) {
        reply.push_hex(identifier);
    } else {
        if let Naming::Place(place) = unit.naming {
            push_place(place, reply);
        } else {
            reply.push_hex(&controller.pci_vendor_id.to_be_bytes());
            reply.push_ascii(controller.serial);
        }
        reply.push_hex(&unit.namespace_id.to_be_bytes());
    }
}

/// The SCSI name string of a namespace without a globally unique identifier: PCI vendor ID, MN, NSID (four digits of it)
/// and SN.
fn nvme_name_string(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    let controller = unit.controller;
    reply.push_hex(&controller.pci_vendor_id.to_be_bytes());
    reply.push_ascii(controller.model);
    reply.push_hex(&(unit.namespace_id as u16).to_be_bytes());
    reply.push_ascii(controller.serial);
}
