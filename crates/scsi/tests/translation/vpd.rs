//! Pages of vital product data.

use crate::disk::{CONTROLLER, INVALID_FIELD, answer, answer_into, illegal_request, unit};
use core::num::NonZeroU64;

use scsi::{BlockSize, Controller, Deallocation, IoHints, LogicalUnit, Naming, PreferredSizes};

fn page(code: u8, unit: &LogicalUnit<'_>) -> Vec<u8> {
    let data = answer(&[0x12, 1, code, 0x10, 0, 0], unit);
    assert_eq!(data[..2], [0, code]);
    let length = u16::from_be_bytes([data[2], data[3]]);
    assert_eq!(usize::from(length), data.len() - 4, "page length");
    data
}

fn without_identifiers<'a>(controller: &'a Controller<'a>) -> LogicalUnit<'a> {
    LogicalUnit {
        nguid: &[0; 16],
        eui64: &[0; 8],
        ..unit(controller)
    }
}

#[test]
fn the_listed_pages_are_the_pages_that_there_are() {
    let listed = page(0x00, &unit(&CONTROLLER))[4..].to_vec();
    assert_eq!(listed, [0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2]);
    assert!(!listed.contains(&0x89) && !listed.contains(&0x8F));
    for code in 0..=0xFF {
        let (outcome, data) = answer_into(&[0x12, 1, code, 1, 0, 0], &unit(&CONTROLLER), 256);
        if listed.contains(&code) {
            assert_eq!(outcome.sense, None, "{code:02X}h");
        } else {
            assert_eq!(outcome, illegal_request(INVALID_FIELD), "{code:02X}h");
            assert!(data.iter().all(|byte| *byte == 0xEE));
        }
    }
}

#[test]
fn serial_number_is_the_best_identifier_in_groups() {
    let both = unit(&CONTROLLER);
    assert_eq!(
        &page(0x80, &both)[4..],
        b"0011_2233_4455_6677_8899_AABB_CCDD_EEFF."
    );
    let eui64_only = LogicalUnit {
        nguid: &[0; 16],
        ..both
    };
    assert_eq!(&page(0x80, &eui64_only)[4..], b"0025_385B_71B0_3A41.");
    assert_eq!(
        &page(0x80, &without_identifiers(&CONTROLLER))[4..],
        b"S0123456789         _00000003."
    );
}

/// A designation descriptor: code set, association and type, designator.
fn designators(page: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut rest = &page[4..];
    let mut found = Vec::new();
    while let [code_set, kind, 0, length, tail @ ..] = rest {
        let (designator, tail) = tail.split_at(usize::from(*length));
        found.push((*code_set, *kind, designator.to_vec()));
        rest = tail;
    }
    assert!(rest.is_empty(), "descriptors fill the page");
    found
}

#[test]
fn a_namespace_is_identified_by_all_that_it_has() {
    let both = unit(&CONTROLLER);
    assert_eq!(
        designators(&page(0x83, &both)),
        [
            (1, 2, both.nguid.to_vec()),
            (1, 2, both.eui64.to_vec()),
            (
                2,
                1,
                b"NVMe    Ferro DRAM-less 00112233445566778899AABBCCDDEEFF".to_vec()
            ),
            (3, 8, b"eui.00112233445566778899AABBCCDDEEFF".to_vec()),
            (3, 8, b"eui.0025385B71B03A41".to_vec()),
        ]
    );
}

#[test]
fn a_namespace_without_identifiers_is_identified_by_its_controller_and_number() {
    let unit = without_identifiers(&CONTROLLER);
    let expected_name = b"1B36Ferro DRAM-less SSD 1TB                 0003S0123456789         ";
    assert_eq!(expected_name.len(), 68);
    assert_eq!(
        designators(&page(0x83, &unit)),
        [
            (
                2,
                1,
                b"NVMe    Ferro DRAM-less 1B36S0123456789         00000003".to_vec()
            ),
            (3, 8, expected_name.to_vec()),
        ]
    );
}

#[test]
fn block_limits_tell_the_longest_transfer_in_blocks() {
    let limits = page(0xB0, &unit(&CONTROLLER));
    assert_eq!(limits.len(), 64);
    assert_eq!(limits[6..8], [0x01, 0x00], "granularity: NOIOB");
    assert_eq!(limits[8..12], [0, 0, 0x01, 0x00], "128 KiB of 512 bytes");
    assert_eq!(limits[12..16], [0, 0, 0x01, 0x00], "as much at once");
    assert_eq!(limits[4..6], [0, 0], "no COMPARE AND WRITE");
    assert!(limits[16..].iter().all(|byte| *byte == 0), "no UNMAP");
    let large_blocks = LogicalUnit {
        block_size: BlockSize::Bytes4096,
        ..unit(&CONTROLLER)
    };
    assert_eq!(page(0xB0, &large_blocks)[8..12], [0, 0, 0, 0x20]);
}

#[test]
fn no_transfer_is_longer_than_nvme_can_count() {
    let controller = Controller {
        maximum_transfer_bytes: u32::MAX,
        ..CONTROLLER
    };
    assert_eq!(page(0xB0, &unit(&controller))[8..12], [0, 1, 0, 0]);
}

fn preferring(preferred: PreferredSizes) -> LogicalUnit<'static> {
    LogicalUnit {
        hints: IoHints {
            boundary_blocks: 64,
            preferred: Some(preferred),
        },
        ..unit(&CONTROLLER)
    }
}

/// OPTIMAL TRANSFER LENGTH GRANULARITY and OPTIMAL TRANSFER LENGTH.
fn optimal(unit: &LogicalUnit<'_>) -> (u16, u32) {
    let page = page(0xB0, unit);
    (
        u16::from_be_bytes([page[6], page[7]]),
        u32::from_be_bytes([page[12], page[13], page[14], page[15]]),
    )
}

#[test]
fn hints_are_what_the_namespace_prefers() {
    let sizes = |granularity_z, optimal_z| PreferredSizes {
        write_granularity_z: granularity_z,
        optimal_write_z: optimal_z,
        ..PreferredSizes::default()
    };
    for (hints, expected) in [
        (sizes(7, 127), (8, 128)),
        (sizes(0, 0), (1, 1)),
        // The longest transfer is 256 blocks; 65,536 do not fit the field.
        (sizes(7, 1023), (8, 256)),
        (sizes(0xFFFF, 0xFFFF), (0, 256)),
    ] {
        assert_eq!(optimal(&preferring(hints)), expected, "{hints:?}");
    }
    let silent = LogicalUnit {
        hints: IoHints::default(),
        ..unit(&CONTROLLER)
    };
    assert_eq!(optimal(&silent), (0, 0));
}

#[test]
fn deallocation_is_shown_where_it_is_carried_out() {
    let preferred = PreferredSizes {
        deallocate_granularity_z: 63,
        deallocate_alignment_z: 7,
        ..PreferredSizes::default()
    };
    let with = |limits| LogicalUnit {
        deallocation: Some(limits),
        ..preferring(preferred)
    };
    let limits = Deallocation::default();
    let data = page(0xB0, &with(limits));
    assert_eq!(data[4], 0);
    // Blocks, descriptors, granularity, alignment 0 that is valid, nothing of WRITE SAME.
    assert_eq!(data[20..28], [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 1, 0]);
    assert_eq!(data[28..36], [0, 0, 0, 64, 0x80, 0, 0, 0]);
    assert_eq!(data[36..64], [0; 28]);
    let few = with(Deallocation {
        ranges: 16,
        blocks: 0x1_2345,
        ..limits
    });
    assert_eq!(page(0xB0, &few)[20..28], [0, 1, 0x23, 0x45, 0, 0, 0, 16]);
    let many = with(Deallocation {
        blocks: 1 << 40,
        ..limits
    });
    assert_eq!(page(0xB0, &many)[20..24], [0xFF; 4]);
    for (reads_zeroes, flags, lbprz) in [(false, 0x80, 0x80), (true, 0x84, 0xC0)] {
        let unit = with(Deallocation {
            reads_zeroes,
            ..limits
        });
        assert_eq!(page(0xB2, &unit)[4..], [0, flags, 1, 0], "not thin");
        let capacity = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
        assert_eq!(answer(&capacity, &unit)[14..16], [lbprz, 0]);
    }
}

#[test]
fn write_same_is_shown_where_it_is_carried_out() {
    let controller = Controller {
        write_zeroes_bytes: NonZeroU64::new(u64::MAX),
        ..CONTROLLER
    };
    let with = |write_zeroes| LogicalUnit {
        deallocation: Some(Deallocation {
            write_zeroes,
            ..Deallocation::default()
        }),
        ..unit(&controller)
    };
    let data = page(0xB0, &unit(&controller));
    assert_eq!(data[4], 1, "WSNZ");
    assert_eq!(data[36..44], [0, 0, 0, 0, 0, 0x20, 0, 0], "1 GiB");
    assert_eq!(page(0xB2, &with(true))[5], 0xE0, "by WRITE SAME too");
    assert_eq!(page(0xB2, &with(false))[5], 0x80);
    assert_eq!(page(0xB2, &unit(&controller))[4..], [0; 4]);
}

#[test]
fn extended_inquiry_tells_of_tasks_and_of_a_volatile_cache() {
    for (present, cache) in [(false, 0), (true, 1)] {
        let controller = Controller {
            volatile_write_cache: present,
            ..CONTROLLER
        };
        let data = page(0x86, &unit(&controller));
        assert_eq!(data.len(), 64);
        assert_eq!(data[4..7], [0, 1, cache]);
        assert!(data[7..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_medium_does_not_rotate_and_is_fully_provisioned() {
    let characteristics = page(0xB1, &unit(&CONTROLLER));
    assert_eq!(characteristics.len(), 64);
    assert_eq!(characteristics[4..6], [0, 1]);
    assert_eq!(page(0xB2, &unit(&CONTROLLER)), [0, 0xB2, 0, 4, 0, 0, 0, 0]);
}

const UUID: [u8; 16] = [
    0xF8, 0x1D, 0x4F, 0xAE, 0x7D, 0xEC, 0x81, 0xD0, 0xA7, 0x65, 0x00, 0xA0, 0xC9, 0x1E, 0x6B, 0xF6,
];

fn uuid_designator() -> (u8, u8, Vec<u8>) {
    (1, 0xA, [&[0x10, 0][..], &UUID].concat())
}

#[test]
fn a_uuid_is_one_more_designator_and_changes_no_other() {
    for before in [unit(&CONTROLLER), without_identifiers(&CONTROLLER)] {
        let with = LogicalUnit {
            uuid: &UUID,
            ..before
        };
        let mut expected = designators(&page(0x83, &before));
        expected.push(uuid_designator());
        assert_eq!(designators(&page(0x83, &with)), expected);
        assert_eq!(page(0x80, &with), page(0x80, &before));
    }
}

#[test]
fn a_namespace_is_named_by_what_is_believed() {
    let doubted = |naming| LogicalUnit {
        uuid: &UUID,
        naming,
        ..unit(&CONTROLLER)
    };
    let by_uuid = doubted(Naming::Uuid);
    let text = b"F81D_4FAE_7DEC_81D0_A765_00A0_C91E_6BF6.";
    assert_eq!(&page(0x80, &by_uuid)[4..], text);
    let vendor = b"NVMe    Ferro DRAM-less F81D4FAE7DEC81D0A76500A0C91E6BF6";
    assert_eq!(
        designators(&page(0x83, &by_uuid)),
        [(2, 1, vendor.to_vec()), uuid_designator()]
    );
    let by_serial = doubted(Naming::Serial);
    let as_without = without_identifiers(&CONTROLLER);
    for code in [0x80, 0x83] {
        assert_eq!(page(code, &by_serial), page(code, &as_without));
    }
    let by_place = doubted(Naming::Place(0x0000_0001_0000_001C));
    let text = b"PCI000000010000001C_00000003.";
    assert_eq!(&page(0x80, &by_place)[4..], text);
    let vendor = b"NVMe    Ferro DRAM-less PCI000000010000001C00000003";
    assert_eq!(
        designators(&page(0x83, &by_place)),
        [(2, 1, vendor.to_vec())]
    );
}
