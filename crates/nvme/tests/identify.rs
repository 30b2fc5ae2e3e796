//! What Identify says, checked: units, limits, and formats that cannot be presented.

mod device;

use device::Memory;
use nvme::DmaMemory;
use nvme::identify::{ControllerInfo, EntrySizes, IoHints, NamespaceInfo, Usability};
use nvme_spec::identify::{IdentifyController, IdentifyNamespace, LbaFormat};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const MIB: u32 = 1 << 20;

fn read_controller(
    change: impl FnOnce(&mut IdentifyController),
) -> Result<ControllerInfo, EntrySizes> {
    let memory = Memory::pages(1);
    let mut data = device::controller();
    change(&mut data);
    memory.write(0, data.as_bytes());
    ControllerInfo::read(&memory, MIB)
}

fn read_namespace(change: impl FnOnce(&mut IdentifyNamespace)) -> Option<NamespaceInfo> {
    let memory = Memory::pages(1);
    let mut data = device::namespace();
    change(&mut data);
    memory.write(0, data.as_bytes());
    NamespaceInfo::read(&memory, 5)
}

#[test]
fn sizes_are_in_bytes() {
    let info = read_controller(|data| {
        data.hmpre = 16384;
        data.hmmin = 4096;
        data.hmminds = 16;
        data.hmmaxd = 9;
    })
    .unwrap();
    assert_eq!(info.hmb.preferred_bytes, 64 << 20);
    assert_eq!(info.hmb.minimum_bytes, 16 << 20);
    assert_eq!(info.hmb.minimum_descriptor_bytes, 65536);
    assert_eq!(info.hmb.max_descriptors, 9);
    assert_eq!(info.serial.trimmed(), b"SERIAL");
    assert_eq!(info.rtd3e_us, 2_000_000);
}

#[test]
fn a_transfer_is_limited_by_device_and_driver() {
    let limit = |mdts| {
        read_controller(|data| data.mdts = mdts)
            .unwrap()
            .max_transfer_bytes
    };
    assert_eq!(limit(1), 8192);
    assert_eq!(limit(5), 131_072);
    assert_eq!(limit(8), MIB);
    // No limit of its own, or one beyond any that can be written down.
    for mdts in [0, 9, 19, 20, 31, 32, 255] {
        assert_eq!(limit(mdts), MIB, "MDTS {mdts}");
    }
}

#[test]
fn entry_sizes_have_to_fit() {
    let sizes = |required, maximum| {
        read_controller(|data| {
            data.sqes.set_required(required);
            data.sqes.set_maximum(maximum);
        })
        .is_ok()
    };
    assert!(sizes(6, 6) && sizes(6, 8) && sizes(0, 6));
    assert!(!sizes(7, 8) && !sizes(4, 5));
    let completions = |required, maximum| {
        read_controller(|data| {
            data.cqes.set_required(required);
            data.cqes.set_maximum(maximum);
        })
        .is_ok()
    };
    assert!(completions(4, 4) && !completions(5, 5) && !completions(3, 3));
}

#[test]
fn a_plain_namespace_is_usable() {
    let namespace = read_namespace(|_| {}).unwrap();
    assert_eq!(namespace.usability, Usability::Usable);
    assert_eq!(
        (namespace.nsid, namespace.blocks, namespace.block_bytes),
        (5, 1 << 21, 512)
    );
    assert_eq!(namespace.used_bytes(), 512 << 20);
    assert_eq!(namespace.eui64, [7; 8]);
    let namespace = read_namespace(|data| data.lbaf[0] = LbaFormat::new().with_lbads(12)).unwrap();
    assert_eq!(
        (namespace.usability, namespace.block_bytes),
        (Usability::Usable, 4096)
    );
}

#[test]
fn an_inactive_namespace_is_none() {
    assert_eq!(read_namespace(|data| data.nsze = 0), None);
}

#[test]
fn the_format_in_use_is_the_indexed_one() {
    let namespace = read_namespace(|data| {
        data.nlbaf_z = 3;
        data.flbas.set_index_low(3);
        // Reserved where there are no more than 16 formats.
        data.flbas.set_index_high(1);
        data.lbaf[3] = LbaFormat::new().with_lbads(11);
    })
    .unwrap();
    assert_eq!(namespace.block_bytes, 2048);
    let namespace = read_namespace(|data| {
        data.nlbaf_z = 40;
        data.flbas.set_index_low(3);
        data.flbas.set_index_high(2);
        data.lbaf[35] = LbaFormat::new().with_lbads(10);
    })
    .unwrap();
    assert_eq!(namespace.block_bytes, 1024);
}

#[test]
fn formats_that_cannot_be_presented_are_told_apart() {
    let usability = |change: fn(&mut IdentifyNamespace)| {
        let namespace = read_namespace(change).unwrap();
        assert_eq!(namespace.block_bytes, 0);
        assert_eq!(namespace.used_bytes(), 0);
        namespace.usability
    };
    assert_eq!(
        usability(|data| data.lbaf[0].set_ms(8)),
        Usability::Metadata
    );
    assert_eq!(
        usability(|data| data.dps.set_pi_type(1)),
        Usability::Protection
    );
    for lbads in [0, 8, 13, 64, 255] {
        let namespace = read_namespace(|data| data.lbaf[0].set_lbads(lbads)).unwrap();
        assert_eq!(namespace.usability, Usability::BlockSize);
    }
    assert_eq!(
        usability(|data| data.flbas.set_index_low(1)),
        Usability::Impossible
    );
    assert_eq!(
        usability(|data| data.nsze = u64::MAX / 512 + 1),
        Usability::Impossible
    );
}

#[test]
fn more_in_use_than_there_is_counts_as_all() {
    let namespace = read_namespace(|data| data.nuse = u64::MAX).unwrap();
    assert_eq!(namespace.used_blocks, namespace.blocks);
}

#[test]
fn descriptors_are_read_up_to_the_first_impossible_one() {
    let memory = Memory::pages(1);
    memory.write(0, &[0; 4096]);
    let mut list = vec![4, 1, 0, 0, 0];
    list.extend([2, 16, 0, 0]);
    list.extend([0x22; 16]);
    list.extend([3, 16, 0, 0]);
    list.extend([0x33; 16]);
    list.extend([1, 9, 0, 0]);
    list.extend([0x11; 9]);
    memory.write(0, &list);
    let mut namespace = NamespaceInfo::default();
    namespace.read_descriptors(&memory);
    assert_eq!(namespace.nguid, [0x22; 16]);
    assert_eq!(namespace.uuid, [0x33; 16]);
    assert_eq!(namespace.eui64, [0; 8]);
}

proptest! {
    #[test]
    fn any_data_is_survived(seed in prop::collection::vec(any::<u8>(), 4096), nsid in any::<u32>()) {
        let memory = Memory::pages(1);
        memory.write(0, &seed);
        if let Ok(info) = ControllerInfo::read(&memory, MIB) {
            prop_assert!((4096..=MIB).contains(&info.max_transfer_bytes));
        }
        let mut namespace = NamespaceInfo::read(&memory, nsid).unwrap_or_default();
        if namespace.usability == Usability::Usable && namespace.nsid != 0 {
            prop_assert!([512, 1024, 2048, 4096].contains(&namespace.block_bytes));
            prop_assert!(namespace.blocks.checked_mul(u64::from(namespace.block_bytes)).is_some());
        }
        namespace.read_descriptors(&memory);
    }
}

#[test]
fn preferred_sizes_are_believed_where_the_namespace_says_that_it_has_them() {
    for optperf in [false, true] {
        let info = read_namespace(|data| {
            data.noiob = 0x1234;
            (data.npwg_z, data.npwa_z) = (1, 2);
            (data.npdg_z, data.npda_z, data.nows_z) = (0xFFFF, 4, 5);
            data.nsfeat = data.nsfeat.with_optperf(optperf);
        });
        let hints = info.unwrap().hints;
        assert_eq!(hints.boundary_blocks, 0x1234);
        assert_eq!(hints.preferred_z(), optperf.then_some([1, 2, 0xFFFF, 4, 5]));
        assert_eq!(IoHints::from_words(hints.to_words()), hints);
    }
}
