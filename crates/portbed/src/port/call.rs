//! What every call of the miniport has in common.

use zerocopy::FromBytes;

use crate::abi::callback;
use crate::journal::Who;
use crate::rules::port as rules;
use crate::schedule::irql::{self, Irql};
use crate::schedule::{Callback, Cpu};
use crate::trap::step;

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
        let mut call = Self::enter_without_adapter(name, highest);
        let (named, ours) = {
            let state = call.cpu.state();
            let mut slots = state.slots.iter();
            let named = slots.position(|slot| slot.port.adapter.extension == extension);
            (named, state.port.adapter.extension)
        };
        let named = named.filter(|_| extension != 0);
        call.cpu.check(&rules::CALL_EXTENSION, named.is_some(), || {
            format!("{name} names {extension:#x}; the device extension is {ours:#x}")
        });
        if let Some(adapter) = named {
            call.cpu = call.cpu.of(adapter);
        }
        call
    }

    /// The same for a call that names no adapter.
    pub(super) fn enter_without_adapter(name: &'static str, highest: Irql) -> Self {
        step::go_outside();
        let cpu = Cpu::current();
        if let Some(cost) = cpu.state().cost_of(cpu.index()) {
            cost.port_calls += 1;
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

    /// Judges a routine that the call needs.
    pub(super) fn needs_routine(&self, routine: u64) -> bool {
        self.judge_pointer(routine, 1, false, "routine")
    }

    /// Judges a pointer to a `T` that the call reads.
    pub(super) fn needs<T>(&self, pointer: u64, what: &str) -> bool {
        self.judge_pointer(pointer, size_of::<T>(), false, what)
    }

    /// Judges a pointer to `bytes` bytes that the call reads.
    pub(super) fn needs_bytes(&self, pointer: u64, bytes: usize, what: &str) -> bool {
        self.judge_pointer(pointer, bytes, false, what)
    }

    /// Judges a pointer to a `T` that the call fills.
    pub(super) fn needs_place<T>(&self, pointer: u64, what: &str) -> bool {
        self.judge_pointer(pointer, size_of::<T>(), true, what)
    }

    /// Judges a pointer to `bytes` bytes that the call fills.
    pub(super) fn needs_room(&self, pointer: u64, bytes: usize, what: &str) -> bool {
        self.judge_pointer(pointer, bytes, true, what)
    }

    fn judge_pointer(&self, pointer: u64, bytes: usize, to_fill: bool, what: &str) -> bool {
        let reachable = pointer != 0 && callback::is_reachable(pointer, bytes, to_fill);
        // Memory that the port driver gave ends where its owner was told, which is seldom the end of a page.
        let room = self.cpu.core().memory.room(pointer);
        let room = room.filter(|&room| room < bytes as u64);
        self.cpu
            .check(&rules::CALL_POINTER, reachable && room.is_none(), || {
                let short = room.map_or(String::new(), |room| {
                    format!(": {bytes} bytes, of which {room} are there")
                });
                format!("{} gets {pointer:#x} as its {what}{short}", self.name)
            })
    }

    /// Answers where the miniport wants an answer at all.
    pub(super) fn answer<T: Copy>(&self, pointer: u64, value: T) {
        if pointer != 0 && self.needs_place::<T>(pointer, "place for an answer") {
            callback::write(pointer, value);
        }
    }

    /// Reads a string that ends in a zero byte, at most `limit` characters; without one it is empty.
    pub(super) fn string(&self, pointer: u64, limit: usize) -> String {
        let bytes: Vec<u8> = self.units(pointer, limit);
        bytes.into_iter().map(char::from).collect()
    }

    /// Reads a wide string that ends in a zero, at most `limit` characters; without one it is empty.
    pub(super) fn wide_string(&self, pointer: u64, limit: usize) -> String {
        let units: Vec<u16> = self.units(pointer, limit);
        String::from_utf16_lossy(&units)
    }

    fn units<T>(&self, pointer: u64, limit: usize) -> Vec<T>
    where
        T: FromBytes + Copy + Default + PartialEq,
    {
        if pointer == 0 {
            return Vec::new();
        }
        let units = callback::read_until_zero(pointer, limit);
        self.cpu.check(&rules::CALL_POINTER, units.is_some(), || {
            format!("{} gets {pointer:#x} as a string", self.name)
        });
        units.unwrap_or_default()
    }

    /// Tells once in the timeline what a miniport cannot have here.
    pub(super) fn tell_once(&self, what: &str) {
        let now_ns = {
            let mut state = self.cpu.state();
            if !state.port.told.insert(what.to_owned()) {
                return;
            }
            state.now_ns
        };
        self.cpu.core().journal.note(now_ns, Who::Port, what);
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
        step::go_inside();
    }
}
