//! Spin locks of the port driver.

use std::fmt;

use super::cpu::Cpu;
use super::irql::{self, Irql};
use super::processor::{Activity, Callback, Held};
use crate::rules::port as rules;

/// A spin lock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum LockId {
    /// The lock of a DPC, by its address.
    Dpc(u64),
    /// The lock of a threaded DPC, by its address.
    ThreadedDpc(u64),
    /// A lock that the miniport provides, by its address.
    DpcLevel(u64),
    /// The StartIo lock of an adapter.
    StartIo(usize),
    /// The interrupt lock of an adapter.
    Interrupt(usize),
    /// The lock of one interrupt message of an adapter.
    Message(usize, u32),
}

impl LockId {
    /// Whose it is, unless its address alone says that.
    pub(super) const fn adapter(self) -> Option<usize> {
        match self {
            Self::StartIo(adapter) | Self::Interrupt(adapter) | Self::Message(adapter, _) => {
                Some(adapter)
            }
            Self::Dpc(_) | Self::ThreadedDpc(_) | Self::DpcLevel(_) => None,
        }
    }

    /// The IRQL at which it is held.
    pub(crate) const fn irql(self) -> Irql {
        match self {
            Self::Interrupt(_) | Self::Message(..) => irql::DEVICE,
            _ => irql::DISPATCH,
        }
    }

    const fn guards_interrupts(self) -> bool {
        matches!(self, Self::Interrupt(_) | Self::Message(..))
    }
}

impl fmt::Display for LockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dpc(address) => write!(f, "the DPC lock of {address:#x}"),
            Self::ThreadedDpc(address) => write!(f, "the threaded DPC lock of {address:#x}"),
            Self::DpcLevel(address) => write!(f, "the spin lock at {address:#x}"),
            Self::StartIo(_) => f.write_str("the StartIo lock"),
            Self::Interrupt(_) => f.write_str("the interrupt lock"),
            Self::Message(_, message) => write!(f, "the lock of message {message}"),
        }
    }
}

impl Cpu {
    /// Acquires a lock for the miniport, after judging whether it may.
    pub(crate) fn acquire_for_miniport(&self, lock: LockId, handle: u64) -> Irql {
        let (irql, held, callback) = {
            let state = self.state();
            let processor = &state.processors[self.index()];
            let held: Vec<LockId> = processor.held.iter().map(|held| held.lock).collect();
            (processor.irql, held, processor.callback())
        };
        self.check(&rules::LOCK_RECURSION, !held.contains(&lock), || {
            format!("{lock} is held by this processor")
        });
        let ordered = irql <= lock.irql() && !held.iter().any(|&held| held.guards_interrupts());
        let not_start_io_twice = !matches!(lock, LockId::StartIo(_))
            || !held.iter().any(|held| matches!(held, LockId::Interrupt(_)));
        self.check(&rules::LOCK_ORDER, ordered && not_start_io_twice, || {
            format!(
                "{lock} is acquired at {}, holding {} locks",
                irql::name(irql),
                held.len()
            )
        });
        let allowed = match callback {
            Some(
                Callback::FindAdapter
                | Callback::Initialize
                | Callback::PassiveInitialize
                | Callback::Interrupt
                | Callback::MessageInterrupt
                | Callback::DriverEntry
                | Callback::DriverUnload,
            ) => false,
            Some(Callback::StartIo) => {
                lock.guards_interrupts()
                    || matches!(
                        lock,
                        LockId::Dpc(_) | LockId::ThreadedDpc(_) | LockId::DpcLevel(_)
                    )
                    || !held.contains(&LockId::StartIo(self.adapter()))
            }
            Some(Callback::Timer | Callback::ResetBus) => lock.guards_interrupts(),
            _ => true,
        };
        self.check(
            &rules::LOCK_SITE,
            allowed || matches!(lock, LockId::DpcLevel(_)),
            || format!("{lock} may not be acquired here"),
        );
        self.acquire(lock, handle)
    }

    /// Acquires a lock and raises the IRQL to its level; returns the IRQL before.
    pub(crate) fn acquire(&self, lock: LockId, handle: u64) -> Irql {
        let old = self.raise(lock.irql());
        loop {
            {
                let mut state = self.state();
                match state.locks.get(&lock) {
                    None => {
                        state.locks.insert(lock, self.index());
                        let processor = &mut state.processors[self.index()];
                        processor.activity = Activity::Ready;
                        processor.held.push(Held {
                            lock,
                            old_irql: old,
                            handle,
                        });
                        return old;
                    }
                    Some(&owner) if owner == self.index() => {
                        drop(state);
                        self.end(
                            &rules::LOCK_RECURSION,
                            format!("{lock} is acquired by the processor that holds it"),
                        );
                    }
                    Some(_) => {
                        state.processors[self.index()].activity = Activity::Spinning(lock);
                        if let Some(what) = state.deadlock(self.index()) {
                            drop(state);
                            self.end(&rules::CALLBACK_PROGRESS, what);
                        }
                    }
                }
            }
            self.give_way();
            self.serve();
        }
    }

    /// Releases what the miniport acquired with `handle`, after judging whether it may.
    pub(crate) fn release_for_miniport(&self, handle: u64, lock: Option<LockId>) {
        let last = {
            let state = self.state();
            let held = &state.processors[self.index()].held;
            let position = held.iter().rposition(|held| {
                held.handle != 0 && lock.map_or(held.handle == handle, |lock| held.lock == lock)
            });
            position.map(|position| (held[position].lock, position + 1 == held.len()))
        };
        self.check(
            &rules::LOCK_RELEASE,
            last.is_some_and(|(_, last)| last),
            || match last {
                None => "no lock that this processor acquired belongs to the handle".to_owned(),
                Some((lock, _)) => format!("{lock} is released before one that was acquired later"),
            },
        );
        if let Some((lock, _)) = last {
            self.release(lock);
        }
    }

    /// Releases a lock and goes back to the IRQL before it.
    pub(crate) fn release(&self, lock: LockId) {
        {
            let mut state = self.state();
            state.locks.remove(&lock);
            let processor = &mut state.processors[self.index()];
            if let Some(position) = processor.held.iter().rposition(|held| held.lock == lock) {
                let held = processor.held.remove(position);
                // A lock that is released out of order must not lower the IRQL below that of one still held.
                let still = processor
                    .held
                    .iter()
                    .map(|held| held.lock.irql())
                    .max()
                    .unwrap_or(irql::PASSIVE);
                processor.irql = held.old_irql.max(still);
            }
        }
        self.serve();
    }
}
