//! Requests that come back.

use super::Phase;
use super::call::Call;
use super::queue::{BUSY_PAUSE_NS, BUSY_RETRIES, Returned, pump};
use super::srb::{self, Answer, Outstanding, SENSE_BYTES};
use crate::abi::srb::status;
use crate::machine::{Completed, Data};
use crate::memory::Access;
use crate::rules::port as rules;
use crate::schedule::{Cpu, Dispatch, Due, State};
use crate::thunk::Arguments;

/// How many request blocks that came back stay inaccessible before their memory is used again.
const KEPT_RETURNED: usize = 24;
/// Under the threaded clock, one in so many request blocks that came back becomes inaccessible.
const WATCHED_ONE_IN: u32 = 8;
/// SCSI status.
const GOOD: u8 = 0;
/// SCSI status.
const CHECK_CONDITION: u8 = 2;

/// `RequestComplete`.
pub(super) fn request_complete(call: &Call, arguments: &mut Arguments) {
    let block = arguments.next_u64();
    let cpu = call.cpu();
    let (outstanding, twice) = {
        let mut state = cpu.state();
        let outstanding = state.port.queues.finish(block);
        (outstanding, state.port.queues.was_returned(block))
    };
    cpu.check(&rules::SRB_ONCE, outstanding.is_some() || !twice, || {
        format!("the request at {block:#x} was completed before")
    });
    cpu.check(&rules::SRB_KNOWN, outstanding.is_some() || twice, || {
        format!("{block:#x} is no request")
    });
    if let Some(outstanding) = outstanding {
        finish(cpu, outstanding, None);
    }
}

/// Ends a request that the miniport never completes.
pub(super) fn give_up(cpu: &Cpu, block: u64) {
    let outstanding = cpu.state().port.queues.finish(block);
    if let Some(outstanding) = outstanding {
        finish(cpu, outstanding, Some(status::TIMEOUT));
    }
}

fn finish(cpu: &Cpu, mut outstanding: Outstanding, given_up: Option<u8>) {
    let srb_status = given_up.unwrap_or_else(|| srb::read(&outstanding).srb_status & status::MASK);
    *cpu.state().ended.entry(srb_status).or_default() += 1;
    if given_up.is_none() && waits_for_another_try(cpu, &outstanding) {
        return wait(cpu, outstanding);
    }
    let completed = if let Some(srb_status) = given_up {
        Completed {
            srb_status,
            ..Completed::default()
        }
    } else {
        let answer = srb::read(&outstanding);
        judge(cpu, &outstanding, &answer);
        collect(cpu, &outstanding, &answer)
    };
    retire(cpu, &mut outstanding);
    let core = cpu.core();
    let mut state = cpu.state();
    state.port.queues.finished(outstanding.spec.unit);
    call_off(&mut state, &mut outstanding);
    state.note_completion(cpu.index());
    if outstanding.spec.token != u64::MAX {
        state
            .port
            .queues
            .results
            .push_back((outstanding.spec.token, completed));
    }
    pump(core, &mut state);
}

/// Whether a request that came back was busy and is to be sent again.
fn waits_for_another_try(cpu: &Cpu, outstanding: &Outstanding) -> bool {
    let busy = srb::read(outstanding).srb_status & status::MASK == status::BUSY;
    let phase = cpu.state().port.adapter.phase;
    busy && matches!(phase, Phase::Started | Phase::Stopping)
        && outstanding.spec.retries < BUSY_RETRIES
}

/// Keeps a busy request: the same block is sent again after a pause. Until then it belongs to the port driver.
fn wait(cpu: &Cpu, mut outstanding: Outstanding) {
    let answer = srb::read(&outstanding);
    judge(cpu, &outstanding, &answer);
    let asked = outstanding.data_bytes();
    cpu.check(
        &rules::SRB_BUSY,
        answer.transferred as usize == asked,
        || format!("DataTransferLength is {} of {asked}", answer.transferred),
    );
    let core = cpu.core();
    if watches(cpu) {
        for start in outstanding.own_memory() {
            let _ = core.memory.protect(start, Access::None);
        }
    }
    let mut state = cpu.state();
    for start in outstanding.physical.drain(..) {
        state.port.dma.forbid(start);
    }
    state.port.queues.finished(outstanding.spec.unit);
    call_off(&mut state, &mut outstanding);
    outstanding.spec.retries += 1;
    (outstanding.started, outstanding.recovery) = (false, 0);
    state.port.queues.put_back(outstanding);
    state.schedule(BUSY_PAUSE_NS, Due::Resume);
    pump(core, &mut state);
}

/// The time of a request is over no more. The memory of the block may become that of another request, whose time is its own.
fn call_off(state: &mut State, outstanding: &mut Outstanding) {
    if let Some(deadline) = outstanding.deadline.take()
        && !state.call_off(deadline)
    {
        state.cancel_dispatch(Dispatch::TimedOut(outstanding.block));
    }
}

/// Whether memory that came back is made inaccessible: each protection interrupts every processor that runs, so under the
/// threaded clock it is a sample.
fn watches(cpu: &Cpu) -> bool {
    let mut state = cpu.state();
    !state.real_time || state.random.u32(..WATCHED_ONE_IN) == 0
}

fn judge(cpu: &Cpu, outstanding: &Outstanding, answer: &Answer) {
    let status = answer.srb_status & status::MASK;
    cpu.check(
        &rules::SRB_STATUS,
        status::DEFINED.contains(&status),
        || format!("completed with SRB status {:#04x}", answer.srb_status),
    );
    let asked = outstanding.data_bytes();
    let success = status == status::SUCCESS;
    let transferred = answer.transferred as usize;
    let all = transferred == asked || !(success && outstanding.spec.what.moves_blocks());
    cpu.check(&rules::SRB_LENGTH, transferred <= asked && all, || {
        format!(
            "SRB status {:#04x} with {transferred} bytes transferred of {asked}",
            answer.srb_status
        )
    });
    let scsi_agrees = !success || answer.scsi_status == GOOD;
    cpu.check(&rules::SRB_SCSI_STATUS, scsi_agrees, || {
        format!(
            "SRB status {:#04x} with SCSI status {:#04x}",
            answer.srb_status, answer.scsi_status
        )
    });
    if answer.srb_status & status::AUTOSENSE_VALID != 0 {
        let code: u8 = crate::abi::callback::read::<u8>(outstanding.sense) & 0x7F;
        let sound = answer.scsi_status == CHECK_CONDITION
            && (8..=SENSE_BYTES).contains(&answer.sense_bytes)
            && (0x70..=0x73).contains(&code);
        cpu.check(&rules::SRB_SENSE, sound, || {
            format!(
                "SCSI status {:#04x}, {} bytes, code {code:#04x}",
                answer.scsi_status, answer.sense_bytes
            )
        });
    }
    for start in outstanding.allocations() {
        super::memory::judge_overrun(cpu, start);
    }
    let changed = srb::changed(outstanding);
    cpu.check(&rules::SRB_KEPT, changed.is_empty(), || {
        format!("changed at offsets {changed:x?}")
    });
}

fn collect(cpu: &Cpu, outstanding: &Outstanding, answer: &Answer) -> Completed {
    let memory = &cpu.core().memory;
    let transferred = (answer.transferred as usize).min(outstanding.data_bytes());
    let mut data = Vec::new();
    if let (Some(start), Data::In(_)) = (outstanding.data, &outstanding.spec.data) {
        data = vec![0; transferred];
        if memory.read_virtual(start.at, &mut data).is_err() {
            data.clear();
        }
    }
    let sense = (answer.srb_status & status::AUTOSENSE_VALID != 0).then(|| {
        crate::abi::callback::read_bytes(
            outstanding.sense,
            usize::from(answer.sense_bytes.min(SENSE_BYTES)),
        )
    });
    Completed {
        srb_status: answer.srb_status & status::MASK,
        scsi_status: answer.scsi_status,
        sense,
        data,
        transferred: transferred as u32,
    }
}

/// Takes the memory of a request away: from the adapter, from the miniport, and after a while altogether.
fn retire(cpu: &Cpu, outstanding: &mut Outstanding) {
    let memory = &cpu.core().memory;
    let allocations: Vec<u64> = outstanding.allocations().collect();
    if watches(cpu) {
        for &start in &allocations {
            let _ = memory.protect(start, Access::None);
        }
    }
    let old = {
        let mut state = cpu.state();
        for start in outstanding.physical.drain(..) {
            state.port.dma.forbid(start);
        }
        let queues = &mut state.port.queues;
        let (block, data) = (outstanding.block, outstanding.data);
        queues.returned.push_back(Returned {
            block,
            allocations,
            data,
        });
        let old = (queues.returned.len() > KEPT_RETURNED).then(|| queues.returned.pop_front());
        old.flatten()
    };
    if let Some(old) = old {
        forget(cpu, old);
    }
}

/// Gives the memory of a request back.
pub(super) fn forget(cpu: &Cpu, returned: Returned) {
    for start in returned.allocations {
        super::memory::release(cpu, start);
    }
    if let Some(data) = returned.data {
        cpu.state().port.queues.spares.keep(data);
    }
}
