//! What particular devices do wrong, as a table: by PCI identifier, model and firmware.
//!
//! A row says where it is known from. What Linux and FreeBSD know of, and this driver never does, is not here: autonomous power state
//! transitions, the NVMe qualified name of the subsystem. Nor is a controller here that takes the last entry of a page for the address
//! of the next list although the list ends with it: no list of this driver ends there, whatever the controller. Nor is one that reads
//! more ranges of Dataset Management than there are: there is memory for all, whatever the controller.

use core::ops::BitOr;

/// What has to be done differently, as bits: bit 31 is nothing's, the setting `Quirks` uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks(u32);

impl Quirks {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// No Host Memory Buffer is lent.
    pub const NO_HMB: Self = Self(1);
    /// NGUID, EUI-64 and UUID are not unique.
    pub const IDENTIFIERS_NOT_UNIQUE: Self = Self(1 << 1);
    /// After CC.EN is cleared no register is read for [`READY_DELAY_US`].
    pub const READY_DELAY: Self = Self(1 << 2);
    /// There is no list of active namespaces (CNS 02h).
    pub const NO_NAMESPACE_LIST: Self = Self(1 << 3);
    /// There are no namespace identification descriptors (CNS 03h).
    pub const NO_DESCRIPTORS: Self = Self(1 << 4);
    /// All queues have to share one interrupt message.
    pub const ONE_MESSAGE: Self = Self(1 << 5);

    /// Write Zeroes is not sent: it is wrong, or takes too long.
    pub const NO_WRITE_ZEROES: Self = Self(1 << 6);

    const ALL: u32 = 0x7F;

    /// Of bits; those that mean nothing are ignored.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::ALL)
    }

    /// As bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` is among them.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Quirks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How long a controller with [`Quirks::READY_DELAY`] is left alone: 2.3 s, as Linux does.
pub const READY_DELAY_US: u64 = 2_300_000;

/// What a row is about. Empty text is anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// PCI vendor and device; [`ANY_DEVICE`] is every one of the vendor.
    pub pci: (u16, u16),
    /// How the model number begins.
    pub model: &'static str,
    /// How the firmware revision begins.
    pub firmware: &'static str,
    /// What it does.
    pub quirks: Quirks,
    /// Which device it is, and who knows of it.
    pub source: &'static str,
}

impl Row {
    fn is_of_function(&self, (vendor, device): (u16, u16)) -> bool {
        let (of_vendor, of_device) = self.pci;
        of_vendor == vendor && [ANY_DEVICE, device].contains(&of_device)
    }
}

/// The device of a row that is about a model, whatever its PCI identifier.
pub const ANY_DEVICE: u16 = 0xFFFF;

const fn row(pci: (u16, u16), quirks: Quirks, source: &'static str) -> Row {
    Row {
        pci,
        model: "",
        firmware: "",
        quirks,
        source,
    }
}

const fn both(one: Quirks, other: Quirks) -> Quirks {
    Quirks(one.0 | other.0)
}

/// The table. Every row that fits counts.
pub const TABLE: &[Row] = &[
    row(
        (0x8086, 0x5845),
        both(
            both(Quirks::NO_NAMESPACE_LIST, Quirks::IDENTIFIERS_NOT_UNIQUE),
            Quirks::NO_WRITE_ZEROES,
        ),
        "QEMU's controller with an Intel identifier: Linux",
    ),
    row(
        (0x1B36, 0x0010),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "QEMU's controller: Linux",
    ),
    row(
        (0x126F, 0x2263),
        both(Quirks::NO_DESCRIPTORS, Quirks::IDENTIFIERS_NOT_UNIQUE),
        "Silicon Motion SM2263: Linux",
    ),
    row(
        (0x1BB1, 0x0100),
        both(Quirks::READY_DELAY, Quirks::NO_DESCRIPTORS),
        "Seagate Nytro flash storage: Linux",
    ),
    row(
        (0x1C58, 0x0003),
        Quirks::READY_DELAY,
        "HGST SN100: Linux, FreeBSD",
    ),
    row(
        (0x1C58, 0x0023),
        Quirks::READY_DELAY,
        "WDC SN200: Linux, FreeBSD",
    ),
    row(
        (0x1C5F, 0x0540),
        Quirks::READY_DELAY,
        "Memblaze PBlaze4: Linux, FreeBSD",
    ),
    row(
        (0x144D, 0xA821),
        Quirks::READY_DELAY,
        "Samsung PM1725: Linux, FreeBSD",
    ),
    row(
        (0x144D, 0xA822),
        Quirks::READY_DELAY,
        "Samsung PM1725a: Linux, FreeBSD",
    ),
    row(
        (0x1B4B, 0x1092),
        Quirks::NO_DESCRIPTORS,
        "Lexar, 256 GB: Linux",
    ),
    row(
        (0x1E4B, 0x1002),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "MAXIO MAP1002: Linux",
    ),
    row(
        (0x1E4B, 0x1202),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "MAXIO MAP1202: Linux",
    ),
    row((0x106B, 0x2001), Quirks::ONE_MESSAGE, "Apple S3E: Linux"),
    row((0x106B, 0x2005), Quirks::ONE_MESSAGE, "Apple T2: Linux"),
    row(
        (0x126F, 0x2262),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "Silicon Motion SM2262: Linux",
    ),
    row(
        (0x1D97, 0x2263),
        both(Quirks::IDENTIFIERS_NOT_UNIQUE, Quirks::NO_WRITE_ZEROES),
        "Lexar NM610: Linux",
    ),
    row(
        (0x1D97, 0x1D97),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "Lexar NM620: Linux",
    ),
    row(
        (0x1D97, 0x2269),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "Lexar NM760: Linux",
    ),
    row(
        (0x10EC, 0x5763),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "TeamGroup T-Force Cardea Zero Z330: Linux",
    ),
    row(
        (0x10EC, 0x5765),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "TeamGroup MP33: Linux",
    ),
    row(
        (0x1E4B, 0x1602),
        Quirks::IDENTIFIERS_NOT_UNIQUE,
        "MAXIO MAP1602: Linux",
    ),
    row(
        (0x8086, 0xF1A5),
        Quirks::NO_WRITE_ZEROES,
        "Intel 600p: Linux",
    ),
    row(
        (0x144D, 0xA809),
        Quirks::NO_WRITE_ZEROES,
        "Samsung MZALQ256HBJD: Linux",
    ),
    row(
        (0x15B7, 0x2001),
        Quirks::NO_WRITE_ZEROES,
        "SanDisk Skyhawk: Linux",
    ),
    row(
        (0x1C5C, 0x1504),
        Quirks::NO_WRITE_ZEROES,
        "SK hynix PC400: Linux",
    ),
    row(
        (0x1C5C, 0x1D59),
        Quirks::NO_WRITE_ZEROES,
        "SK hynix BC901: Linux",
    ),
    row(
        (0x1CC4, 0x6302),
        Quirks::NO_WRITE_ZEROES,
        "UMIS RPJTJ256MGE1QDY: Linux",
    ),
    row(
        (0x1CC4, 0x6303),
        Quirks::NO_WRITE_ZEROES,
        "UMIS RPJTJ512MGE1QDY: Linux",
    ),
    row(
        (0x2646, 0x5016),
        Quirks::NO_WRITE_ZEROES,
        "Kingston OM3PGP4xxxxP: Linux",
    ),
    row(
        (0x2646, 0x5018),
        Quirks::NO_WRITE_ZEROES,
        "Kingston OM8SFP4xxxxP: Linux",
    ),
    row(
        (0x2646, 0x501A),
        Quirks::NO_WRITE_ZEROES,
        "Kingston OM8PGP4xxxxP: Linux",
    ),
    row(
        (0x2646, 0x501B),
        Quirks::NO_WRITE_ZEROES,
        "Kingston OM8PGP4xxxxQ: Linux",
    ),
    row(
        (0x2646, 0x501E),
        Quirks::NO_WRITE_ZEROES,
        "Kingston OM3PGP4xxxxQ: Linux",
    ),
    row(
        (0x2646, 0x502F),
        Quirks::NO_WRITE_ZEROES,
        "Kingston OM3SGP4xxxxK: Linux",
    ),
    Row {
        // It has the PCI identifier of an internal drive that needs none of this.
        model: "Samsung Portable SSD X5",
        ..row(
            (0x144D, ANY_DEVICE),
            Quirks::READY_DELAY,
            "Samsung X5: Linux",
        )
    },
];

/// What is known of a device before it was identified: the rows for any model and firmware.
#[must_use]
pub fn of_function(pci: (u16, u16)) -> Quirks {
    collect(TABLE, |row| {
        row.is_of_function(pci) && row.model.is_empty() && row.firmware.is_empty()
    })
}

/// What is known of a device that was identified.
#[must_use]
pub fn of_device(pci: (u16, u16), model: &[u8], firmware: &[u8]) -> Quirks {
    collect(TABLE, |row| fits(row, pci, model, firmware))
}

/// Whether a row is about this device.
#[must_use]
pub fn fits(row: &Row, pci: (u16, u16), model: &[u8], firmware: &[u8]) -> bool {
    row.is_of_function(pci)
        && model.starts_with(row.model.as_bytes())
        && firmware.starts_with(row.firmware.as_bytes())
}

fn collect(table: &[Row], fits: impl Fn(&Row) -> bool) -> Quirks {
    let rows = table.iter().filter(|row| fits(row));
    rows.fold(Quirks::NONE, |quirks, row| quirks | row.quirks)
}
