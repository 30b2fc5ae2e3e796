//! Memory that the miniport gets: pool, DMA memory, the uncached extension; and physical addresses.

use std::collections::BTreeMap;

use super::call::Call;
use super::gather;
use super::hmb::overlap;
use super::leaks::tag_text;
use crate::abi::{callback, status};
use crate::controller::DmaUse;
use crate::machine::DmaGrant;
use crate::memory::{Block, FreeError, PhysicalMemory, Request};
use crate::rules::{Judge, port as rules};
use crate::schedule::irql::{DISPATCH, HIGH};
use crate::schedule::{Callback, Cpu};
use crate::thunk::Arguments;

/// `MM_ANY_NODE_OK`.
const ANY_NODE: u32 = 0x8000_0000;

/// What was given and not taken back, by virtual address.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) pool: BTreeMap<u64, Pool>,
    pub(super) dma: BTreeMap<u64, DmaMemory>,
    /// How often DMA memory was asked for.
    dma_calls: u32,
    uncached: Option<Block>,
}

impl Ledger {
    /// Counts what was not taken back as lost.
    pub(super) fn forget(&mut self) {
        self.pool.clear();
        self.dma.clear();
        self.dma_calls = 0;
    }
}

/// Pool.
pub(super) struct Pool {
    pub(super) bytes: u32,
    pub(super) tag: u32,
    /// Where the miniport had the pointer put, and in which extension of a request or of the device that lies.
    pointer_at: u64,
}

/// DMA memory.
pub(super) struct DmaMemory {
    pub(super) block: Block,
    requested: u64,
    cache_type: u32,
}

/// Frees memory of the port driver's own, and judges what the miniport wrote next to it.
pub(super) fn release(cpu: &Cpu, va: u64) {
    let freed = cpu.core().memory.free(va);
    let intact = !matches!(freed, Err(FreeError::Overrun(_)));
    cpu.check(&rules::MEMORY_OVERRUN, intact, || {
        freed
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    });
}

/// Judges what the miniport wrote next to memory that stays.
pub(super) fn judge_overrun(cpu: &Cpu, va: u64) {
    let overrun = cpu.core().memory.take_overrun(va);
    cpu.check(&rules::MEMORY_OVERRUN, overrun.is_none(), || {
        overrun
            .map(|overrun| overrun.to_string())
            .unwrap_or_default()
    });
}

/// Judges what is left at the end of a run, however it ended.
pub(crate) fn judge_overruns(memory: &PhysicalMemory, judge: &Judge) {
    for overrun in memory.take_overruns() {
        let place = || "what is there at the end of the run".to_owned();
        judge.check(&rules::MEMORY_OVERRUN, false, place, || overrun.to_string());
    }
}

/// Whether an allocation is memory that the adapter keeps, by its name; requests have memory of their own.
pub(crate) fn is_of_adapter(label: &str) -> bool {
    ["device extension", "uncached extension"].contains(&label)
        || label.starts_with("pool")
        || label.starts_with("DMA memory")
}

/// The callback that is being made, for the names of allocations.
fn allocator(cpu: &Cpu) -> String {
    let callback = cpu.callback();
    callback.map_or_else(String::new, |callback| format!(" of {callback}"))
}

/// `StorPortAllocatePool`.
pub(super) fn allocate_pool(call: &Call, arguments: &mut Arguments) -> u32 {
    let (bytes, tag, pointer_at) = (
        arguments.next_u32(),
        arguments.next_u32(),
        arguments.next_u64(),
    );
    let cpu = call.cpu();
    judge_no_start_io(call);
    if !cpu.check(&rules::POOL_SIZE, bytes > 0 && pointer_at != 0, || {
        format!("{bytes} bytes to {pointer_at:#x}")
    }) {
        return status::INVALID_PARAMETER;
    }
    if !call.needs_place::<u64>(pointer_at, "place for the pointer") {
        return status::INVALID_PARAMETER;
    }
    let overwritten: u64 = callback::read(pointer_at);
    let live = {
        let state = cpu.state();
        state
            .port
            .memory
            .pool
            .get(&overwritten)
            .is_some_and(|pool| pool.pointer_at == pointer_at)
    };
    cpu.check(&rules::POOL_OVERWRITE, !live, || {
        format!("{pointer_at:#x} held the pointer to {overwritten:#x}")
    });
    let label = format!("pool{}, tag {}", allocator(cpu), tag_text(tag));
    let request = Request::new(u64::from(bytes), label);
    let offset = cpu.state().random.u64(..16) * 16;
    let Some(mapping) = cpu.core().memory.alloc_scattered(request, offset) else {
        return status::INSUFFICIENT_RESOURCES;
    };
    cpu.state().port.memory.pool.insert(
        mapping.va,
        Pool {
            bytes,
            tag,
            pointer_at,
        },
    );
    callback::write(pointer_at, mapping.va);
    status::SUCCESS
}

/// `StorPortFreePool`.
pub(super) fn free_pool(call: &Call, arguments: &mut Arguments) -> u32 {
    let va = arguments.next_u64();
    let cpu = call.cpu();
    let known = cpu.state().port.memory.pool.remove(&va);
    cpu.check(&rules::POOL_FREE, known.is_some(), || {
        format!("{va:#x} is no live pool")
    });
    let Some(pool) = known else {
        return status::INVALID_PARAMETER;
    };
    gather::judge_freed(cpu, va, u64::from(pool.bytes));
    release(cpu, va);
    status::SUCCESS
}

fn judge_no_start_io(call: &Call) {
    let outside = !call.is_in(&[Callback::StartIo]);
    call.cpu().check(&rules::POOL_SITE, outside, || {
        format!("{} is called in HwStartIo", call.name())
    });
}

/// What `StorPortAllocateContiguousMemorySpecifyCacheNode` and `StorPortAllocateDmaMemory` have in common.
pub(super) fn allocate_dma(call: &Call, arguments: &mut Arguments, tells_physical: bool) -> u32 {
    let bytes = arguments.next_u64();
    let (lowest, highest, boundary) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let (cache_type, node) = (arguments.next_u32(), arguments.next_u32());
    let pointer_at = arguments.next_u64();
    let physical_at = if tells_physical {
        arguments.next_u64()
    } else {
        0
    };
    let cpu = call.cpu();
    judge_no_start_io(call);
    let boundary_met = boundary == 0 || (boundary.is_power_of_two() && boundary >= bytes);
    let known_node = node == ANY_NODE || node < cpu.core().options.nodes;
    let sane = bytes > 0 && lowest < highest && boundary_met && cache_type < 6 && known_node;
    cpu.check(&rules::DMA_ARGUMENTS, sane, || {
        format!("{bytes:#x} bytes from {lowest:#x} to {highest:#x}, boundary {boundary:#x}, cache type {cache_type}, node {node}")
    });
    if !sane || !call.needs_place::<u64>(pointer_at, "place for the pointer") {
        return status::INVALID_PARAMETER;
    }
    // If the request fails, the pointer is NULL.
    callback::write(pointer_at, 0_u64);
    if let Some(refused) = refusal(cpu, bytes) {
        return refused;
    }
    let align = if boundary == 0 {
        4096
    } else {
        bytes.next_power_of_two().max(4096)
    };
    let request = Request::new(bytes, format!("DMA memory{}", allocator(cpu)))
        .aligned(align)
        .from(lowest)
        .up_to(highest);
    let Some(block) = cpu.core().memory.alloc_contiguous(request) else {
        return status::INSUFFICIENT_RESOURCES;
    };
    {
        let mut state = cpu.state();
        state.port.dma.allow(block.pa, bytes, DmaUse::Adapter);
        state.port.memory.dma.insert(
            block.va,
            DmaMemory {
                block,
                requested: bytes,
                cache_type,
            },
        );
    }
    callback::write(pointer_at, block.va);
    call.answer(physical_at, block.pa);
    status::SUCCESS
}

/// What an allocation of DMA memory is answered that the options refuse.
fn refusal(cpu: &Cpu, bytes: u64) -> Option<u32> {
    let mut state = cpu.state();
    let ledger = &mut state.port.memory;
    ledger.dma_calls += 1;
    let given: u64 = ledger.dma.values().map(|memory| memory.requested).sum();
    let refused = match cpu.core().options.dma_grant {
        DmaGrant::Ok => false,
        DmaGrant::Refuse => true,
        DmaGrant::Nth(number) => ledger.dma_calls == number,
        DmaGrant::Limit(kib) => given.saturating_add(bytes) > u64::from(kib) << 10,
        DmaGrant::NotImplemented => return Some(status::NOT_IMPLEMENTED),
    };
    refused.then_some(status::INSUFFICIENT_RESOURCES)
}

/// What the two free calls have in common.
pub(super) fn free_dma(call: &Call, arguments: &mut Arguments, names_physical: bool) -> u32 {
    let (va, bytes, cache_type) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u32(),
    );
    let physical = names_physical.then(|| arguments.next_u64());
    let cpu = call.cpu();
    let known = cpu.state().port.memory.dma.remove(&va);
    let same = known.as_ref().is_some_and(|memory| {
        memory.requested == bytes
            && memory.cache_type == cache_type
            && physical.is_none_or(|physical| physical == memory.block.pa)
    });
    cpu.check(&rules::DMA_FREE, same, || {
        format!("{bytes:#x} bytes at {va:#x} with cache type {cache_type}")
    });
    let Some(memory) = known else {
        return status::INVALID_PARAMETER;
    };
    let freed = (memory.block.pa, memory.block.bytes);
    let queues = cpu.state().controller.queue_memory();
    cpu.check(&rules::QUEUE_MEMORY, !overlap(&queues, &[freed]), || {
        format!("a queue of the controller lies in {freed:x?}")
    });
    gather::judge_freed(cpu, va, memory.block.bytes);
    cpu.state().port.dma.forbid(memory.block.pa);
    release(cpu, va);
    status::SUCCESS
}

/// `StorPortGetUncachedExtension`.
pub(super) extern "win64" fn get_uncached_extension(
    extension: u64,
    configuration: u64,
    bytes: u32,
) -> u64 {
    let call = Call::enter("StorPortGetUncachedExtension", extension, DISPATCH);
    let cpu = call.cpu();
    let (expected, highest, again) = {
        let state = cpu.state();
        let again = state.port.memory.uncached;
        (
            state.port.adapter.configuration_address,
            state.port.adapter.highest_address(),
            again,
        )
    };
    let site = call.is_in(&[Callback::FindAdapter]);
    cpu.check(&rules::UNCACHED_SITE, site && again.is_none(), || {
        format!(
            "in {:?}, {} before",
            cpu.callback(),
            if again.is_some() {
                "called"
            } else {
                "not called"
            }
        )
    });
    cpu.check(&rules::UNCACHED_CONFIGURATION, configuration == expected && bytes > 0, || {
        format!("{bytes} bytes with the configuration at {configuration:#x} instead of {expected:#x}")
    });
    if !site || again.is_some() || bytes == 0 {
        return 0;
    }
    if configuration == expected {
        super::find::judge_filled(cpu, &callback::read(configuration));
    }
    // Dma64BitAddresses is written by then, or not: the lower half of memory is right either way.
    let request = Request::new(u64::from(bytes), "uncached extension")
        .aligned(4096)
        .up_to(highest.min(0xFFFF_FFFF));
    let Some(block) = cpu.core().memory.alloc_contiguous(request.zeroed()) else {
        return 0;
    };
    let mut state = cpu.state();
    state
        .port
        .dma
        .allow(block.pa, u64::from(bytes), DmaUse::Adapter);
    state.port.memory.uncached = Some(block);
    block.va
}

/// `StorPortGetPhysicalAddress`.
pub(super) extern "win64" fn get_physical_address(
    extension: u64,
    srb: u64,
    va: u64,
    length_at: u64,
) -> u64 {
    let call = Call::enter("StorPortGetPhysicalAddress", extension, HIGH);
    let cpu = call.cpu();
    let found = cpu.core().memory.translate(va);
    let allowed = {
        let state = cpu.state();
        let ledger = &state.port.memory;
        let in_block = |block: &Block| (block.va..block.va + block.bytes).contains(&va);
        let ours = ledger.uncached.as_ref().is_some_and(in_block)
            || ledger
                .dma
                .range(..=va)
                .next_back()
                .is_some_and(|(_, memory)| in_block(&memory.block));
        ours || state.port.queues.owns(va, (srb != 0).then_some(srb))
    };
    cpu.check(&rules::PHYSICAL_ADDRESS, found.is_some() && allowed, || {
        format!("{va:#x} is neither the adapter's memory nor that of an outstanding request")
    });
    let (pa, bytes) = found.unwrap_or((0, 0));
    call.answer(length_at, u32::try_from(bytes).unwrap_or(u32::MAX));
    pa
}

/// `StorPortGetVirtualAddress`.
pub(super) extern "win64" fn get_virtual_address(extension: u64, pa: u64) -> u64 {
    let call = Call::enter("StorPortGetVirtualAddress", extension, HIGH);
    let found = call.cpu().core().memory.virtual_address(pa);
    call.cpu()
        .check(&rules::PHYSICAL_ADDRESS, found.is_some(), || {
            format!("{pa:#x} has no virtual address")
        });
    found.unwrap_or(0)
}

/// Takes the uncached extension back, as the port driver does when the adapter is removed.
pub(super) fn release_uncached(cpu: &Cpu) {
    let block = cpu.state().port.memory.uncached.take();
    if let Some(block) = block {
        cpu.state().port.dma.forbid(block.pa);
        release(cpu, block.va);
    }
}
