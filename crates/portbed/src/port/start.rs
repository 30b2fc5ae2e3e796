//! `HwInitialize` and passive initialisation.

use super::Phase;
use super::call::Call;
use crate::controller::Moment;
use crate::journal::Who;
use crate::machine::Interrupts;
use crate::rules::port as rules;
use crate::schedule::irql::{DEVICE, HIGH, PASSIVE};
use crate::schedule::{Callback, Cpu, LockId};

/// Initialises the adapter that was found.
pub(crate) fn initialize_adapter(cpu: &Cpu) -> Result<(), String> {
    let interrupts = cpu.state().port.adapter.interrupts;
    let early = interrupts == Interrupts::Early;
    let late = interrupts == Interrupts::Late;
    if !early && !late {
        super::bus::program_messages(cpu);
    }
    let (routine, extension) = {
        let mut state = cpu.state();
        state.interrupts.connect(true);
        (
            state.port.adapter.initialization.initialize,
            state.port.adapter.extension,
        )
    };
    if early {
        // What is pending comes when the masks are lifted, and is served at once.
        super::bus::program_messages(cpu);
        cpu.serve_early();
    }
    cpu.acquire(LockId::Interrupt(cpu.adapter()), 0);
    let result = cpu.call(Callback::Initialize, routine, [extension, 0, 0, 0, 0, 0]) as u8 != 0;
    cpu.release(LockId::Interrupt(cpu.adapter()));
    judge_result(cpu, result, "HwInitialize returned FALSE");
    if !result {
        return Err("HwInitialize returned FALSE".to_owned());
    }
    if late {
        super::bus::program_messages(cpu);
    }
    super::moment(cpu, Moment::Initialize);
    let passive = cpu.state().port.adapter.passive_routine;
    if passive != 0 {
        let result = cpu.call(
            Callback::PassiveInitialize,
            passive,
            [extension, 0, 0, 0, 0, 0],
        ) as u8
            != 0;
        judge_result(cpu, result, "passive initialisation returned FALSE");
        if !result {
            return Err("the passive initialisation routine returned FALSE".to_owned());
        }
    }
    {
        let mut state = cpu.state();
        state.port.adapter.phase = Phase::Started;
        let now_ns = state.now_ns;
        cpu.core()
            .journal
            .note(now_ns, Who::Port, "adapter initialised");
    }
    super::moment(cpu, Moment::Start);
    Ok(())
}

/// A routine that could not start the adapter has said why.
fn judge_result(cpu: &Cpu, result: bool, what: &str) {
    let told = cpu.state().port.adapter.told_error;
    cpu.check(&rules::INITIALIZE_RESULT, result || told, || {
        what.to_owned()
    });
}

/// `StorPortEnablePassiveInitialization`.
pub(super) fn enable_passive(extension: u64, routine: u64, answer: u64) {
    let call = Call::enter("StorPortEnablePassiveInitialization", extension, HIGH);
    let site = call.is_in(&[Callback::Initialize]);
    call.cpu()
        .check(&rules::PASSIVE_SITE, site && routine != 0, || {
            format!(
                "called in {:?} with routine {routine:#x}",
                call.cpu().callback()
            )
        });
    let accepted = site && routine != 0;
    if accepted {
        call.cpu().state().port.adapter.passive_routine = routine;
    }
    call.answer(answer, i32::from(accepted));
}

const _: () = assert!(PASSIVE < DEVICE);
