use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    Access, FreeError, HIGH_PA, Overrun, PAGE_BYTES, PhysicalMemory, Request, Unallocated,
};
use crate::pages::probe::{readable, writable};

const MIB: u64 = 1 << 20;

fn memory() -> PhysicalMemory {
    PhysicalMemory::new(64 * MIB, 7).unwrap()
}

#[test]
fn code_and_device_see_the_same_bytes() {
    let memory = memory();
    let block = memory
        .alloc_contiguous(Request::new(10_000, "queue").aligned(PAGE_BYTES))
        .unwrap();
    memory.write(block.pa + 5000, b"from the device").unwrap();
    // SAFETY: the block is mapped and 10 000 bytes long.
    let seen = unsafe { block.as_ptr().add(5000) };
    // SAFETY: the bytes lie inside the block and nobody writes them now.
    let seen = unsafe { std::slice::from_raw_parts(seen, 15) };
    assert_eq!(seen, b"from the device");
    let mut back = [0; 15];
    memory.read_virtual(block.va + 5000, &mut back).unwrap();
    assert_eq!(&back, b"from the device");
}

#[test]
fn fresh_memory_is_no_zeroes_unless_asked_for() {
    let memory = memory();
    let mut bytes = [0; 300];
    let block = memory.alloc_contiguous(Request::new(300, "pool")).unwrap();
    memory.read(block.pa, &mut bytes).unwrap();
    assert!(bytes.iter().all(|&byte| byte != 0));
    memory.free(block.va).unwrap();
    for _ in 0..2 {
        let block = memory
            .alloc_contiguous(Request::new(300, "pool").zeroed())
            .unwrap();
        memory.write(block.pa, &[1; 300]).unwrap();
        memory.free(block.va).unwrap();
        let zeroed = memory
            .alloc_scattered(Request::new(9000, "buffer").zeroed(), 100)
            .unwrap();
        let mut bytes = [1; 9000];
        memory.read_virtual(zeroed.va, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 9000]);
    }
}

#[test]
fn memory_in_use_does_not_grow_with_the_number_of_allocations() {
    use std::os::unix::fs::MetadataExt;
    let memory = PhysicalMemory::new(512 * MIB, 7).unwrap();
    let used = || memory.file().metadata().unwrap().blocks() * 512;
    // A request: its block, its sense buffer, its extension and its list, some of which stay for a while.
    let mut kept = std::collections::VecDeque::new();
    let mut requests = |count: usize| {
        for _ in 0..count {
            for bytes in [200, 64, 5000, 64] {
                let place = memory.alloc_scattered(Request::new(bytes, "request"), 96);
                kept.push_back(place.unwrap().va);
            }
            while kept.len() > 100 {
                memory.free(kept.pop_front().unwrap()).unwrap();
            }
        }
        used()
    };
    let after_some = requests(4000);
    assert!(after_some <= 16 * MIB, "{after_some}");
    assert!(requests(4000) <= 16 * MIB);
}

#[test]
fn pages_next_to_an_allocation_are_inaccessible() {
    let memory = memory();
    let first = memory.alloc_contiguous(Request::new(100, "a")).unwrap();
    let second = memory
        .alloc_contiguous(Request::new(2 * PAGE_BYTES, "b"))
        .unwrap();
    let third = memory
        .alloc_scattered(Request::new(3 * PAGE_BYTES, "c"), 0)
        .unwrap();
    for (va, bytes) in [
        (first.va, 100),
        (second.va, second.bytes),
        (third.va, third.bytes),
    ] {
        assert!(writable(va) && writable(va + bytes - 1));
        assert!(!readable(va + bytes + PAGE_BYTES - 1), "after {va:#x}");
        assert!(!readable(va - PAGE_BYTES), "before {va:#x}");
    }
    assert_eq!(first.va % 16, 0);
    assert!(
        PAGE_BYTES - (first.va + 100) % PAGE_BYTES < 16,
        "a small allocation ends where its page ends"
    );
}

#[test]
fn protection_holds_for_code_but_not_for_devices() {
    let memory = memory();
    let srb = memory.alloc_contiguous(Request::new(600, "srb")).unwrap();
    memory.protect(srb.va, Access::None).unwrap();
    assert!(!readable(srb.va) && !writable(srb.va + 599));
    memory.write(srb.pa, &[1]).unwrap();
    memory.protect(srb.va, Access::Read).unwrap();
    assert!(readable(srb.va) && !writable(srb.va));
    memory.protect(srb.va, Access::ReadWrite).unwrap();
    assert!(writable(srb.va));
    assert_eq!(
        memory.protect(srb.va + 8, Access::None),
        Err(Unallocated(srb.va + 8))
    );
}

#[test]
fn what_is_freed_is_gone_for_code_and_devices() {
    let memory = memory();
    let block = memory
        .alloc_contiguous(Request::new(PAGE_BYTES, "block"))
        .unwrap();
    let mapping = memory
        .alloc_scattered(Request::new(2 * PAGE_BYTES, "mapping"), 0)
        .unwrap();
    let (pa, _) = memory.translate(mapping.va).unwrap();
    memory.free(block.va).unwrap();
    memory.free(mapping.va).unwrap();
    assert!(!readable(block.va) && !readable(mapping.va));
    assert_eq!(memory.read(block.pa, &mut [0]), Err(Unallocated(block.pa)));
    assert_eq!(memory.write(pa, &[0]), Err(Unallocated(pa)));
    assert_eq!(memory.translate(mapping.va), None);
    assert_eq!(memory.free(block.va), Err(FreeError::Unknown(block.va)));
    assert!(memory.live().is_empty());
}

#[test]
fn devices_reach_exactly_what_was_asked_for() {
    let memory = memory();
    let block = memory
        .alloc_contiguous(Request::new(1000, "block").aligned(PAGE_BYTES))
        .unwrap();
    assert_eq!(
        memory.write(block.pa, &[0; 1001]),
        Err(Unallocated(block.pa + 1000))
    );
    assert_eq!(
        memory.read(block.pa - 1, &mut [0]),
        Err(Unallocated(block.pa - 1))
    );
    let last = memory
        .alloc_contiguous(Request::new(1000, "block"))
        .unwrap();
    assert_eq!(
        memory.read(last.pa, &mut [0; 1024]),
        Err(Unallocated(last.pa + 1000))
    );
    assert_eq!(memory.read(u64::MAX, &mut [0]), Err(Unallocated(u64::MAX)));
}

#[test]
fn overruns_inside_the_last_page_are_found_when_freed() {
    let memory = memory();
    let block = memory
        .alloc_contiguous(Request::new(1000, "block").aligned(PAGE_BYTES))
        .unwrap();
    // SAFETY: the rest of the page is mapped, and holds nothing of anyone's.
    let after = unsafe { block.as_ptr().add(1000) };
    // SAFETY: as above.
    unsafe { after.write(1) };
    assert_eq!(
        memory.free(block.va),
        Err(FreeError::Overrun(Overrun {
            label: "block".into(),
            address: block.va,
            bytes: 1000,
            offset: 1000,
        }))
    );
    assert_eq!(memory.free(block.va), Err(FreeError::Unknown(block.va)));
}

#[test]
fn controller_only_memory_has_no_virtual_address() {
    let memory = memory();
    let pa = memory
        .alloc_controller_only(Request::new(4 * MIB, "host memory buffer").aligned(MIB))
        .unwrap();
    assert_eq!(pa % MIB, 0);
    memory.write(pa + 3 * MIB, b"table").unwrap();
    assert_eq!(memory.virtual_address(pa), None);
    assert_eq!(memory.translate(pa), None);
    assert_eq!(memory.live()[0].va, None);
    assert_eq!(memory.free(pa), Err(FreeError::Unknown(pa)));
    assert_eq!(memory.live()[0].label, "host memory buffer");
    memory.free_controller_only(pa).unwrap();
    assert_eq!(memory.free_controller_only(pa), Err(FreeError::Unknown(pa)));
    let block = memory.alloc_contiguous(Request::new(16, "block")).unwrap();
    assert_eq!(
        memory.free_controller_only(block.va),
        Err(FreeError::Unknown(block.va))
    );
}

#[test]
fn some_memory_lies_above_4_gib_and_limits_are_kept() {
    let memory = memory();
    let anywhere: BTreeSet<_> = (0..32)
        .map(|_| {
            memory
                .alloc_contiguous(Request::new(PAGE_BYTES, "anywhere"))
                .unwrap()
                .pa
                >= HIGH_PA
        })
        .collect();
    assert_eq!(anywhere.len(), 2, "both below and above");
    for _ in 0..32 {
        let request = Request::new(PAGE_BYTES, "low").up_to(u64::from(u32::MAX));
        assert!(memory.alloc_contiguous(request.clone()).unwrap().pa < HIGH_PA);
        let mapping = memory.alloc_scattered(request, 0).unwrap();
        assert!(memory.translate(mapping.va).unwrap().0 < HIGH_PA);
    }
    assert_eq!(
        memory.alloc_contiguous(Request::new(PAGE_BYTES, "too low").up_to(0xFFFF)),
        None
    );
}

#[test]
fn scattered_pages_lie_apart_and_translate_one_by_one() {
    let memory = memory();
    let mapping = memory
        .alloc_scattered(Request::new(64 * PAGE_BYTES, "buffer"), 520)
        .unwrap();
    assert_eq!(mapping.va % PAGE_BYTES, 520);
    let (mut at, mut runs) = (mapping.va, Vec::new());
    while at < mapping.va + mapping.bytes {
        let (pa, bytes) = memory.translate(at).unwrap();
        assert_eq!(pa % PAGE_BYTES, at % PAGE_BYTES);
        assert_eq!(memory.virtual_address(pa + bytes - 1), Some(at + bytes - 1));
        memory.write(pa, &(at - mapping.va).to_le_bytes()).unwrap();
        // SAFETY: the address lies in the mapping, eight bytes before the end of a page or more.
        let seen =
            unsafe { std::ptr::with_exposed_provenance::<u64>(at as usize).read_unaligned() };
        assert_eq!(seen, at - mapping.va);
        runs.push(pa);
        at += bytes;
    }
    assert_eq!(at, mapping.va + mapping.bytes);
    assert!(runs.len() > 32, "{} runs", runs.len());
    assert!(!runs.is_sorted());
}

#[test]
fn the_seed_decides_where_memory_lies() {
    let place = |seed| {
        let memory = PhysicalMemory::new(64 * MIB, seed).unwrap();
        let mapping = memory
            .alloc_scattered(Request::new(8 * PAGE_BYTES, "buffer"), 0)
            .unwrap();
        (0..8)
            .map(|page| memory.translate(mapping.va + page * PAGE_BYTES).unwrap().0)
            .collect::<Vec<_>>()
    };
    assert_eq!(place(1), place(1));
    assert_ne!(place(1), place(2));
}

#[test]
fn all_of_the_memory_comes_back() {
    let memory = PhysicalMemory::new(4 * MIB, 3).unwrap();
    for _ in 0..20 {
        let blocks: Vec<_> =
            std::iter::from_fn(|| memory.alloc_contiguous(Request::new(5 * PAGE_BYTES, "block")))
                .collect();
        let mappings: Vec<_> = std::iter::from_fn(|| {
            memory.alloc_scattered(Request::new(5 * PAGE_BYTES, "mapping"), 0)
        })
        .collect();
        assert!(blocks.len() > 50, "{} blocks", blocks.len());
        assert_eq!(
            mappings.len(),
            38,
            "192 pages are set apart for scattered ones"
        );
        for block in blocks {
            memory.free(block.va).unwrap();
        }
        for mapping in mappings {
            memory.free(mapping.va).unwrap();
        }
    }
}

#[test]
fn impossible_requests_are_refused() {
    let memory = memory();
    for request in [
        Request::new(0, "nothing"),
        Request::new(u64::MAX, "everything"),
        Request::new(100 * MIB, "too much"),
        Request::new(100, "odd").aligned(3),
        Request::new(100, "vast").aligned(1 << 63),
    ] {
        assert_eq!(
            memory.alloc_contiguous(request.clone()),
            None,
            "{request:?}"
        );
        assert_eq!(memory.alloc_controller_only(request), None);
    }
    assert_eq!(
        memory.alloc_scattered(Request::new(u64::MAX, "everything"), 1),
        None
    );
    assert!(memory.live().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn allocations_never_share_a_byte(
        steps in prop::collection::vec((1_u64..20_000, 0_u32..14, 0_u8..4, any::<u16>()), 1..60),
        seed: u64,
    ) {
        let memory = PhysicalMemory::new(8 * MIB, seed).unwrap();
        let mut contents: Vec<(u64, u8, u64)> = Vec::new();
        for (bytes, align, what, offset) in steps {
            let request = Request::new(bytes, "block").aligned(1 << align);
            let va = match what {
                0 if !contents.is_empty() => {
                    let (va, _, _) = contents.swap_remove(usize::from(offset) % contents.len());
                    memory.free(va).unwrap();
                    None
                }
                1 => memory.alloc_scattered(request, u64::from(offset)).map(|mapping| mapping.va),
                _ => memory.alloc_contiguous(request).map(|block| {
                    assert_eq!((block.va % (1 << align), block.pa % (1 << align)), (0, 0));
                    block.va
                }),
            };
            if let Some(va) = va {
                let mark = offset as u8;
                memory.write_virtual(va, &vec![mark; bytes as usize]).unwrap();
                contents.push((va, mark, bytes));
            }
        }
        for (va, mark, bytes) in contents {
            let mut seen = vec![0; bytes as usize];
            memory.read_virtual(va, &mut seen).unwrap();
            prop_assert!(seen.iter().all(|&byte| byte == mark));
            memory.free(va).unwrap();
        }
        prop_assert!(memory.live().is_empty());
    }
}
