//! What every call of the miniport has in common.

use crate::rules::port as rules;
use crate::schedule::irql::{self, Irql};
use crate::schedule::{Callback, Cpu};

/// Virtual time that a call takes.
const CALL_NS: u64 = 150;

/// A call of the miniport that is being carried out; control may change when it is over.
pub(super) struct Call {
    cpu: Cpu,
    name: &'static str,
}

impl Call {
    /// The miniport calls `name`, which may be called up to the IRQL `highest`, for the adapter with `extension`.
    pub(super) fn enter(name: &'static str, extension: u64, highest: Irql) -> Self {
        let call = Self::enter_without_adapter(name, highest);
        let ours = call.cpu.state().port.adapter.extension;
        call.cpu.check(
            &rules::CALL_EXTENSION,
            extension == ours && ours != 0,
            || format!("{name} names {extension:#x}; the device extension is {ours:#x}"),
        );
        call
    }

    /// The same for a call that names no adapter.
    pub(super) fn enter_without_adapter(name: &'static str, highest: Irql) -> Self {
        let cpu = Cpu::current();
        {
            let mut state = cpu.state();
            if state.port.queues.outstanding() > 0 {
                state.cost.port_calls += 1;
            }
        }
        let call = Self { cpu, name };
        call.judge_irql(highest);
        call
    }

    /// Judges the IRQL, and names it in a violation.
    pub(super) fn judge_irql(&self, highest: Irql) -> bool {
        let irql = self.cpu.irql();
        self.cpu.check(&rules::CALL_IRQL, irql <= highest, || {
            format!(
                "{} is called at {}; it may be called up to {}",
                self.name,
                irql::name(irql),
                irql::name(highest)
            )
        })
    }

    /// The processor that makes the call.
    pub(super) fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// The name of what is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Judges a pointer that the call needs.
    pub(super) fn needs(&self, pointer: u64, what: &str) -> bool {
        self.cpu.check(&rules::CALL_POINTER, pointer != 0, || {
            format!("{} gets no {what}", self.name)
        })
    }

    /// Whether one of `callbacks` is the innermost one.
    pub(super) fn is_in(&self, callbacks: &[Callback]) -> bool {
        self.cpu
            .callback()
            .is_some_and(|callback| callbacks.contains(&callback))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cpu.point(CALL_NS);
    }
}
