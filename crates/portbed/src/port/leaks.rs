//! What is left when the adapter is gone.

use super::hmb::overlap;
use super::{complete, memory, unload};
use crate::journal::Who;
use crate::machine::Stop;
use crate::rules::{Rule, port as rules};
use crate::schedule::{Cpu, State};

/// The adapter is gone: judges what the miniport left behind, takes back what the port driver itself gave, and names each
/// leak in one line.
pub(crate) fn remove_adapter(cpu: &Cpu) -> Vec<String> {
    let mut leaks = Vec::new();
    let mut judge = |rule: &'static Rule, left: Vec<String>| {
        cpu.check(rule, left.is_empty(), || left.join("; "));
        leaks.extend(left);
    };
    let left_behind = left_behind(cpu, &cpu.state());
    for (rule, left) in left_behind {
        judge(rule, left);
    }
    judge(&rules::LEAK_HMB, host_memory(cpu));
    cpu.check(&rules::QUIET_AFTER_STOP, true, String::new);
    judge_queues(cpu);
    take_back(cpu);
    unload::forget_adapter(cpu);
    let now_ns = cpu.state().now_ns;
    let what = if leaks.is_empty() {
        "nothing is left behind".to_owned()
    } else {
        format!("left: {}", leaks.join("; "))
    };
    cpu.core().journal.note(now_ns, Who::Port, what);
    leaks
}

/// Everything but host memory, by the rule that it breaks.
fn left_behind(cpu: &Cpu, state: &State) -> [(&'static Rule, Vec<String>); 9] {
    let port = &state.port;
    let pool = port.memory.pool.iter().map(|(va, pool)| {
        format!(
            "{} bytes of pool at {va:#x}, tag {}",
            pool.bytes,
            tag_text(pool.tag)
        )
    });
    let options = &cpu.core().options;
    let (stop, queues) = (options.stop, state.controller.queue_memory());
    // Without a moment below DIRQL after the device has stopped, the memory that it does not use is left to the port driver.
    let may_leave = stop == Stop::DirqlNoDpc && !options.pnp;
    let is_left = |dma: &&memory::DmaMemory| {
        let place = [(dma.block.pa, dma.block.bytes)];
        may_leave && (state.controller.is_disabled() || !overlap(&queues, &place))
    };
    let dma = port.memory.dma.values();
    let dma = dma
        .filter(|dma| !is_left(dma))
        .map(|dma| format!("{} bytes of DMA memory", dma.block.bytes));
    let mdls = port.mdls.values();
    let mdls = mdls.map(|mdl| format!("an MDL for {} bytes at {:#x}", mdl.bytes, mdl.buffer));
    let lists = port.lists.keys();
    let lists = lists.map(|buffer| format!("a scatter/gather list at {buffer:#x}"));
    let timers = port
        .timers
        .allocated
        .keys()
        .map(|handle| format!("timer {handle:#x}"));
    // At DIRQL there may be no time for what the timer has to see to.
    let cut_short = stop != Stop::Passive;
    let call = port.timers.left_pending && !cut_short;
    let call = call.then(|| "a call of the adapter's timer".to_owned());
    let workers = port
        .workers
        .keys()
        .map(|handle| format!("worker {handle:#x}"));
    let buffers = port.registry.buffers.values();
    let buffers = buffers.map(|bytes| format!("a registry buffer of {bytes} bytes"));
    let lock = state.any_lock_held().map(|lock| lock.to_string());
    [
        (&rules::LEAK_POOL, pool.collect()),
        (&rules::LEAK_DMA, dma.collect()),
        (&rules::LEAK_MDLS, mdls.collect()),
        (&rules::LEAK_LISTS, lists.collect()),
        (&rules::LEAK_TIMERS, timers.collect()),
        (&rules::LEAK_TIMER_CALL, call.into_iter().collect()),
        (&rules::LEAK_WORKERS, workers.collect()),
        (&rules::LEAK_REGISTRY, buffers.collect()),
        (&rules::LEAK_LOCKS, lock.into_iter().collect()),
    ]
}

/// The queues' memory is about to be taken back: the device has none there any more, as far as it can be stopped.
fn judge_queues(cpu: &Cpu) {
    let (queues, safe) = {
        let state = cpu.state();
        let controller = &state.controller;
        let queues = controller.queue_memory();
        // At DIRQL there may be no time to see that it has stopped, only to tell it to.
        let cut_short = cpu.core().options.stop == Stop::DirqlNoDpc && controller.is_disabled();
        let safe = queues.is_empty() || cut_short || !controller.listens();
        (queues, safe)
    };
    cpu.check(&rules::QUEUE_MEMORY, safe, || {
        format!("the controller still has queues at {queues:x?}")
    });
}

/// Takes back the memory of requests that came back, and the uncached extension.
fn take_back(cpu: &Cpu) {
    let returned = std::mem::take(&mut cpu.state().port.queues.returned);
    for returned in returned {
        complete::forget(cpu, returned);
    }
    let spares = cpu.state().port.queues.spares.take_all();
    for spare in spares {
        memory::release(cpu, spare);
    }
    memory::release_uncached(cpu);
}

/// Host memory that was not freed: declared, safe but left to the port driver, or leaked.
fn host_memory(cpu: &Cpu) -> Vec<String> {
    let mut state = cpu.state();
    let lent = state.controller.hmb().lent;
    let may_leave = cpu.core().options.stop == Stop::DirqlNoDpc && !cpu.core().options.pnp;
    let told = state.controller.is_disabled();
    let ledger = &mut state.port.hmb;
    let held = ledger.held_bytes();
    let declared = ledger.declared_bytes.min(held);
    ledger.retained_bytes += declared;
    let rest = held - declared;
    if rest == 0 {
        return Vec::new();
    }
    // Only memory that the controller does not use, and whose DPC never ran, may be left without a word.
    if may_leave && !overlap(&lent, &ledger.granted) {
        ledger.left_to_port_bytes += rest;
        return Vec::new();
    }
    // At DIRQL no event can be logged. Where the device was told to stop and the time for that was too short, not to free it is
    // right.
    if may_leave && told {
        ledger.retained_bytes += rest;
        return Vec::new();
    }
    ledger.outstanding_bytes += rest;
    vec![format!("{rest} bytes of host memory")]
}

pub(super) fn tag_text(tag: u32) -> String {
    tag.to_le_bytes()
        .iter()
        .map(|&byte| {
            if byte.is_ascii_graphic() {
                char::from(byte)
            } else {
                '.'
            }
        })
        .collect()
}
