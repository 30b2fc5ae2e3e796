//! The table of quirks, row by row.

use nvme::quirks::{Quirks, Row, TABLE, fits, of_device, of_function};

#[test]
fn every_row_is_found_and_says_where_it_is_known_from() {
    for row in TABLE {
        if row.model.is_empty() && row.firmware.is_empty() {
            assert!(of_function(row.pci).has(row.quirks), "{row:?}");
        }
        assert!(of_device(row.pci, row.model.as_bytes(), row.firmware.as_bytes()).has(row.quirks));
        assert!(
            row.source.contains("Linux") || row.source.contains("FreeBSD"),
            "{row:?}"
        );
        assert_ne!(row.quirks, Quirks::NONE, "{row:?}");
    }
    assert_eq!(of_function((0xFEED, 0x0802)), Quirks::NONE);
    assert_eq!(
        of_device((0x144D, 0xA80A), b"Samsung SSD 980 PRO", b"5B2QGXA7"),
        Quirks::NONE
    );
}

#[test]
fn no_device_is_there_twice() {
    for (at, row) in TABLE.iter().enumerate() {
        let twice = TABLE[at + 1..].iter().any(|other| {
            (other.pci, other.model, other.firmware) == (row.pci, row.model, row.firmware)
        });
        assert!(!twice, "{row:?}");
    }
}

/// What Linux 6 and FreeBSD 14 say, looked up by hand.
#[test]
fn devices_have_the_quirks_that_are_known() {
    for (pci, quirks) in [
        (
            (0x8086, 0x5845),
            Quirks::NO_NAMESPACE_LIST | Quirks::IDENTIFIERS_NOT_UNIQUE | Quirks::NO_WRITE_ZEROES,
        ),
        ((0x1B36, 0x0010), Quirks::IDENTIFIERS_NOT_UNIQUE),
        (
            (0x126F, 0x2263),
            Quirks::NO_DESCRIPTORS | Quirks::IDENTIFIERS_NOT_UNIQUE,
        ),
        ((0x126F, 0x2262), Quirks::IDENTIFIERS_NOT_UNIQUE),
        (
            (0x1D97, 0x2263),
            Quirks::IDENTIFIERS_NOT_UNIQUE | Quirks::NO_WRITE_ZEROES,
        ),
        ((0x8086, 0xF1A5), Quirks::NO_WRITE_ZEROES),
        ((0x144D, 0xA809), Quirks::NO_WRITE_ZEROES),
        ((0x2646, 0x502F), Quirks::NO_WRITE_ZEROES),
        ((0x1D97, 0x1D97), Quirks::IDENTIFIERS_NOT_UNIQUE),
        ((0x1D97, 0x2269), Quirks::IDENTIFIERS_NOT_UNIQUE),
        ((0x10EC, 0x5763), Quirks::IDENTIFIERS_NOT_UNIQUE),
        ((0x10EC, 0x5765), Quirks::IDENTIFIERS_NOT_UNIQUE),
        ((0x1E4B, 0x1602), Quirks::IDENTIFIERS_NOT_UNIQUE),
        (
            (0x1BB1, 0x0100),
            Quirks::READY_DELAY | Quirks::NO_DESCRIPTORS,
        ),
        ((0x1C58, 0x0003), Quirks::READY_DELAY),
        ((0x1C58, 0x0023), Quirks::READY_DELAY),
        ((0x1C5F, 0x0540), Quirks::READY_DELAY),
        ((0x144D, 0xA821), Quirks::READY_DELAY),
        ((0x144D, 0xA822), Quirks::READY_DELAY),
        ((0x1B4B, 0x1092), Quirks::NO_DESCRIPTORS),
        ((0x1E4B, 0x1002), Quirks::IDENTIFIERS_NOT_UNIQUE),
        ((0x1E4B, 0x1202), Quirks::IDENTIFIERS_NOT_UNIQUE),
        ((0x106B, 0x2001), Quirks::ONE_MESSAGE),
        ((0x106B, 0x2005), Quirks::ONE_MESSAGE),
    ] {
        assert_eq!(of_function(pci), quirks, "{pci:04x?}");
    }
    // A drive whose quirk depends on its model number, and another drive with the same PCI identifier.
    let x5 = (0x144D, 0xA808);
    assert_eq!(of_function(x5), Quirks::NONE);
    assert_eq!(
        of_device(x5, b"Samsung Portable SSD X5                 ", b"1.0"),
        Quirks::READY_DELAY
    );
    assert_eq!(
        of_device(x5, b"Samsung SSD 970 EVO Plus 1TB            ", b"2B2QEXM7"),
        Quirks::NONE
    );
    assert_eq!(TABLE.len(), 35);
}

#[test]
fn model_and_firmware_are_compared_from_their_start() {
    let row = Row {
        pci: (1, 2),
        model: "Ferro",
        firmware: "1.",
        quirks: Quirks::NO_HMB,
        source: "",
    };
    assert!(fits(&row, (1, 2), b"Ferro SSD", b"1.0"));
    assert!(!fits(&row, (1, 2), b"Iron SSD", b"1.0"));
    assert!(!fits(&row, (1, 2), b"Ferro SSD", b"2.0"));
    assert!(!fits(&row, (1, 3), b"Ferro SSD", b"1.0"));
}

#[test]
fn bits_that_mean_nothing_are_ignored() {
    assert_eq!(Quirks::from_bits(u32::MAX).bits(), 0x7F);
    assert_eq!(Quirks::from_bits(1), Quirks::NO_HMB);
}
