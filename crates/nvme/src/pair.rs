//! A queue pair: commands on their way to the controller and back, each with a value of the caller.

use nvme_spec::command::Command;
use nvme_spec::completion::Completion;

use super::lifecycle::{Impossible, QueueMemory};
use super::queue::{CompletionQueue, Full, SubmissionQueue};
use super::slots::{SlotError, Slots};
use super::{DmaMemory, Registers};

/// So many completions in a row that belong to no outstanding command are borne: one can come late, after a command that was given
/// up. A controller that posts more is broken.
const MOST_STRAYS: u8 = 7;

/// The two rings of a pair.
pub type Rings<D> = (SubmissionQueue<D>, CompletionQueue<D>);

/// A submission queue, its completion queue, and up to `N` commands that are outstanding on them.
#[derive(Debug)]
pub struct QueuePair<D, T, const N: usize> {
    rings: Option<Rings<D>>,
    commands: Slots<T, N>,
    /// Completions in a row that belonged to no outstanding command.
    strays: u8,
}

impl<D, T, const N: usize> QueuePair<D, T, N> {
    /// A pair that has no rings yet. Constant, so that it can be placed without passing over a stack.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rings: None,
            commands: Slots::new(),
            strays: 0,
        }
    }
}

impl<D, T, const N: usize> Default for QueuePair<D, T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: DmaMemory, T, const N: usize> QueuePair<D, T, N> {
    /// Gives it its rings, two with the same identifier.
    pub fn place(&mut self, rings: Rings<D>) {
        self.rings = Some(rings);
    }

    /// Empties the rings, as they are after their creation: only while the controller does not have them. Commands stay
    /// outstanding until they are [taken](Self::take_all).
    pub fn reset(&mut self, dstrd: u8) {
        self.strays = 0;
        if let Some((submission, completion)) = &mut self.rings {
            submission.reset(dstrd);
            completion.reset(dstrd);
        }
    }

    /// Where the rings are, for the commands that create them; interrupts come by `vector`.
    pub fn memory(&self, vector: u16) -> Option<QueueMemory> {
        let (submission, completion) = self.rings.as_ref()?;
        Some(QueueMemory {
            submission_address: submission.address(),
            completion_address: completion.address(),
            submission_entries: submission.entries(),
            completion_entries: completion.entries(),
            vector,
        })
    }

    /// The completion queue.
    pub fn completions(&self) -> Option<&CompletionQueue<D>> {
        self.rings.as_ref().map(|(_, completion)| completion)
    }

    /// How many commands can be outstanding at a time.
    pub fn depth(&self) -> u16 {
        let rings = self.rings.as_ref();
        rings.map_or(0, |(submission, _)| submission.entries().saturating_sub(1))
    }

    /// How many commands can be sent now.
    pub fn room(&self) -> u16 {
        let rings = self.rings.as_ref();
        rings.map_or(0, |(submission, _)| submission.free())
    }

    /// Has `write` put the command of `value` into the ring, under an identifier that stands for `value`; gives the value back when
    /// there is no room. The controller learns of it by [`ring`](Self::ring).
    pub fn send(
        &mut self,
        value: T,
        write: impl FnOnce(&T, Entry<'_, D>) -> Result<(), Full>,
    ) -> Result<u16, T> {
        let Some(((submission, _), vacant)) = self.rings.as_mut().zip(self.commands.vacant())
        else {
            return Err(value);
        };
        let id = vacant.id();
        if write(&value, Entry { submission, id }).is_err() {
            return Err(value);
        }
        vacant.fill(value);
        Ok(id)
    }

    /// Rings the doorbell for the commands that were sent since the last time.
    pub fn ring(&mut self, registers: &impl Registers) {
        if let Some((submission, _)) = &mut self.rings {
            submission.commit(registers);
        }
    }

    /// How many commands are outstanding.
    pub const fn outstanding(&self) -> usize {
        self.commands.outstanding()
    }

    /// Takes every outstanding command back, in time that grows with their number alone. For after a reset, when the controller has
    /// forgotten them all.
    pub fn take_all(&mut self, taken: impl FnMut(T)) {
        self.commands.retire_all(taken);
    }

    /// Hands every completion that there is, and the value of its command, to `ended`; at most as many as the ring has entries, so
    /// that a controller that posts as fast as it is drained does not keep the processor. One doorbell write for all of them.
    /// What it posts after that interrupts again.
    pub fn drain(
        &mut self,
        registers: &impl Registers,
        mut ended: impl FnMut(T, &Completion),
    ) -> Result<Drained, Impossible> {
        let mut drained = Drained {
            ended: 0,
            strays: 0,
            more: false,
        };
        let verdict = loop {
            match self.take() {
                Ok(Some(Taken::Command(value, completion))) => {
                    drained.ended = drained.ended.wrapping_add(1);
                    ended(value, &completion);
                }
                Ok(Some(Taken::Stray)) => drained.strays = drained.strays.wrapping_add(1),
                Ok(None) => break Ok(()),
                Err(impossible) => break Err(impossible),
            }
        };
        drained.more = self.give_back(registers);
        verdict.map(|()| drained)
    }

    /// Takes the next completion, if there is one. [`give_back`](Self::give_back) has to follow when all were taken.
    pub fn take(&mut self) -> Result<Option<Taken<T>>, Impossible> {
        let Some((submission, completion)) = &mut self.rings else {
            return Ok(None);
        };
        let Some(posted) = completion.next() else {
            return Ok(None);
        };
        let value = accept(submission, &mut self.commands, &mut self.strays, &posted)?;
        Ok(Some(value.map_or(Taken::Stray, |value| {
            Taken::Command(value, posted)
        })))
    }

    /// Gives the entries of the completions that were taken back to the controller, with one doorbell write. True where a whole ring
    /// was taken: there may be more.
    pub fn give_back(&mut self, registers: &impl Registers) -> bool {
        let Some((_, completion)) = &mut self.rings else {
            return false;
        };
        let more = completion.is_full();
        completion.commit(registers);
        more
    }
}

/// A completion that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// The value of its command, and what it says.
    Command(T, Completion),
    /// It belonged to no outstanding command.
    Stray,
}

/// Where a command goes in the ring.
#[derive(Debug)]
pub struct Entry<'a, D> {
    submission: &'a mut SubmissionQueue<D>,
    id: u16,
}

impl<D: DmaMemory> Entry<'_, D> {
    /// Writes the command there, with its identifier.
    pub fn write(self, command: &Command) -> Result<(), Full> {
        self.submission.write(command, self.id)
    }
}

/// The value of the command that a completion ends; none, where that is over already.
fn accept<D: DmaMemory, T, const N: usize>(
    submission: &mut SubmissionQueue<D>,
    commands: &mut Slots<T, N>,
    strays: &mut u8,
    completion: &Completion,
) -> Result<Option<T>, Impossible> {
    if completion.sq_id != submission.queue_id() {
        return Err(Impossible::QueueId);
    }
    if submission.advance_head(completion.sq_head).is_err() {
        return Err(Impossible::Head);
    }
    match commands.retire(completion.cid) {
        Ok(value) => {
            *strays = 0;
            Ok(Some(value))
        }
        Err(SlotError::Stale) if *strays < MOST_STRAYS => {
            *strays = strays.saturating_add(1);
            Ok(None)
        }
        Err(_) => Err(Impossible::CommandId),
    }
}

/// What was drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// So many commands have ended.
    pub ended: u16,
    /// So many completions belonged to no outstanding command.
    pub strays: u16,
    /// A whole ring was drained: there may be more.
    pub more: bool,
}
