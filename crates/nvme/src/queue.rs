//! Submission and completion rings (3.3.1, 3.3.3) and their doorbells.
//!
//! Writing entries and ringing the doorbell are two calls, so that a batch costs one register write.

use core::mem::offset_of;

use nvme_spec::command::{COMMAND_BYTES, Command};
use nvme_spec::completion::{COMPLETION_BYTES, Completion};
use nvme_spec::registers::{completion_head_doorbell, submission_tail_doorbell};
use zerocopy::{FromZeros, IntoBytes};

use super::{DmaMemory, Registers, order};

/// Dwords of a completion.
const COMPLETION_DWORDS: usize = COMPLETION_BYTES / size_of::<u32>();

/// The submission queue has no free entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A completion named a submission queue head that the controller cannot have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImpossibleHead;

/// Where the next entry after `index` is, in a ring of `entries`.
const fn following(index: u16, entries: u16) -> u16 {
    let next = index.wrapping_add(1);
    if next >= entries { 0 } else { next }
}

/// How many entries lie between `from` and `to` in a ring of `entries`, both below `entries`.
const fn distance(from: u16, to: u16, entries: u16) -> u16 {
    if to >= from {
        to.wrapping_sub(from)
    } else {
        entries.wrapping_sub(from).wrapping_add(to)
    }
}

/// Whether `memory` can hold a ring of `entries`: 2 to 65535 of `entry_bytes` each, at the start of a page.
fn fits(memory: &impl DmaMemory, entries: u16, entry_bytes: usize) -> bool {
    let aligned = memory.address() & u64::from(super::PAGE_BYTES - 1) == 0;
    let bytes = usize::from(entries).checked_mul(entry_bytes);
    aligned && entries >= 2 && bytes.is_some_and(|bytes| bytes <= memory.len())
}

/// The host's side of a submission queue. It holds up to `entries - 1` commands that the controller has not fetched.
#[derive(Debug)]
pub struct SubmissionQueue<D> {
    memory: D,
    entries: u16,
    /// Where the next command goes.
    tail: u16,
    /// The tail that the controller was told last.
    rung: u16,
    /// The head that the controller told last: entries before it are free again.
    head: u16,
    /// How many commands can be written now.
    free: u16,
    /// How many commands the controller was told of and has not fetched, as far as it told.
    announced: u16,
    queue_id: u16,
    doorbell: u32,
}

impl<D: DmaMemory> SubmissionQueue<D> {
    /// An empty queue of `entries` commands in `memory`, which starts a page; `dstrd` is CAP.DSTRD.
    /// `None` when the memory cannot hold it or `entries` is below 2.
    #[must_use]
    pub fn new(memory: D, queue_id: u16, entries: u16, dstrd: u8) -> Option<Self> {
        let doorbell = submission_tail_doorbell(queue_id, dstrd);
        fits(&memory, entries, COMMAND_BYTES).then_some(Self {
            memory,
            entries,
            tail: 0,
            rung: 0,
            head: 0,
            free: entries.wrapping_sub(1),
            announced: 0,
            queue_id,
            doorbell,
        })
    }

    /// Empties the queue, as it is after its creation. Only while the controller does not have it: before it is created,
    /// after it was deleted, or after a reset.
    pub fn reset(&mut self, dstrd: u8) {
        self.tail = 0;
        self.rung = 0;
        self.head = 0;
        self.free = self.entries.wrapping_sub(1);
        self.announced = 0;
        self.doorbell = submission_tail_doorbell(self.queue_id, dstrd);
    }

    /// Device address of the ring.
    pub fn address(&self) -> u64 {
        self.memory.address()
    }

    /// Number of entries; one of them always stays free.
    pub const fn entries(&self) -> u16 {
        self.entries
    }

    /// How many commands can be written now.
    pub const fn free(&self) -> u16 {
        self.free
    }

    /// The identifier of the queue.
    pub const fn queue_id(&self) -> u16 {
        self.queue_id
    }

    /// Puts a command into the ring, with this command identifier. The controller learns of it by [`commit`](Self::commit).
    pub fn write(&mut self, command: &Command, id: u16) -> Result<(), Full> {
        if self.free == 0 {
            return Err(Full);
        }
        let offset = usize::from(self.tail).wrapping_mul(COMMAND_BYTES);
        let dword0 = command.cdw0.with_cid(id).into_bits();
        self.memory
            .write_command(offset, zerocopy::transmute_ref!(command), dword0);
        self.tail = following(self.tail, self.entries);
        self.free = self.free.wrapping_sub(1);
        Ok(())
    }

    /// Rings the doorbell once for all commands written since the last call; does nothing when there are none.
    pub fn commit(&mut self, registers: &impl Registers) {
        if self.rung != self.tail {
            order::before_doorbell();
            registers.write32(self.doorbell, u32::from(self.tail));
            self.rung = self.tail;
            let used = self.entries.wrapping_sub(1).wrapping_sub(self.free);
            self.announced = used;
        }
    }

    /// Takes the head that a completion tells (`sq_head`): the entries before it are free again.
    ///
    /// The head only moves forward, and never past a command that was not announced.
    pub fn advance_head(&mut self, sq_head: u16) -> Result<(), ImpossibleHead> {
        let fetched = distance(self.head, sq_head, self.entries);
        if sq_head >= self.entries || fetched > self.announced {
            return Err(ImpossibleHead);
        }
        self.announced = self.announced.wrapping_sub(fetched);
        self.free = self.free.wrapping_add(fetched);
        self.head = sq_head;
        Ok(())
    }
}

/// The host's side of a completion queue: an iterator over what the controller has posted and nobody has taken.
#[derive(Debug)]
pub struct CompletionQueue<D> {
    memory: D,
    entries: u16,
    /// Where the next completion is expected.
    head: u16,
    /// The head that the controller was told last.
    rung: u16,
    /// The phase tag of an entry of this pass: inverted at each wrap.
    phase: bool,
    queue_id: u16,
    doorbell: u32,
}

impl<D: DmaMemory> CompletionQueue<D> {
    /// An empty queue of `entries` completions in `memory`, which starts a page; `dstrd` is CAP.DSTRD. The memory is cleared.
    /// `None` when the memory cannot hold it or `entries` is below 2.
    #[must_use]
    pub fn new(memory: D, queue_id: u16, entries: u16, dstrd: u8) -> Option<Self> {
        if !fits(&memory, entries, COMPLETION_BYTES) {
            return None;
        }
        let mut queue = Self {
            memory,
            entries,
            head: 0,
            rung: 0,
            phase: true,
            queue_id,
            doorbell: 0,
        };
        queue.reset(dstrd);
        Some(queue)
    }

    /// Empties the queue, as it is before its creation: phase tags cleared, the first pass posts phase 1.
    /// Only while the controller does not have it.
    pub fn reset(&mut self, dstrd: u8) {
        let empty = Completion::new_zeroed();
        for index in 0..self.entries {
            self.memory.write(Self::offset(index), empty.as_bytes());
        }
        self.head = 0;
        self.rung = 0;
        self.phase = true;
        self.doorbell = completion_head_doorbell(self.queue_id, dstrd);
    }

    /// Device address of the ring.
    pub fn address(&self) -> u64 {
        self.memory.address()
    }

    /// Number of entries.
    pub const fn entries(&self) -> u16 {
        self.entries
    }

    /// Gives the entries taken since the last call back to the controller, with one doorbell write; none, no write.
    pub fn commit(&mut self, registers: &impl Registers) {
        if self.rung != self.head {
            // The entries have to be read before the controller may overwrite them.
            order::before_doorbell();
            registers.write32(self.doorbell, u32::from(self.head));
            self.rung = self.head;
        }
    }

    const fn offset(index: u16) -> usize {
        (index as usize).wrapping_mul(COMPLETION_BYTES)
    }

    /// Where the next completion will show.
    pub fn next_phase_tag(&self) -> PhaseTag<'_, D> {
        PhaseTag {
            memory: &self.memory,
            offset: Self::offset(self.head).wrapping_add(offset_of!(Completion, cid)),
            posted: self.phase,
        }
    }

    /// Whether the controller has posted a completion that nobody has taken, by the phase tag of the entry at the head.
    pub fn is_pending(&self) -> bool {
        let tag = self.next_phase_tag();
        let [dword] = self.memory.read_dwords(tag.offset);
        phase(dword) == tag.posted
    }

    /// Whether all that fits was taken since the last [`commit`](Self::commit): the controller may not post more before it.
    pub const fn is_full(&self) -> bool {
        following(self.head, self.entries) == self.rung
    }
}

/// The phase tag that turns when the next completion is posted, for those who look without the queue.
#[derive(Clone, Copy, Debug)]
pub struct PhaseTag<'a, D> {
    /// The ring.
    pub memory: &'a D,
    /// Byte offset in the ring of the dword that holds the tag.
    pub offset: usize,
    /// The tag of a completion that has been posted.
    pub posted: bool,
}

/// The phase tag (4.2.1, bit 16) in the last dword of a completion.
#[must_use]
pub const fn phase(dword: u32) -> bool {
    dword >> 16 & 1 == 1
}

impl<D: DmaMemory> Iterator for CompletionQueue<D> {
    type Item = Completion;

    /// Takes the next completion. `None` when there is none yet, or when all but one entry were taken since the last
    /// [`commit`](CompletionQueue::commit): the controller may not post more before it, so whatever is there is not looked at.
    fn next(&mut self) -> Option<Completion> {
        let next = following(self.head, self.entries);
        if next == self.rung || !self.is_pending() {
            return None;
        }
        order::after_phase_tag();
        let dwords: [u32; COMPLETION_DWORDS] = self.memory.read_dwords(Self::offset(self.head));
        self.head = next;
        if next == 0 {
            self.phase = !self.phase;
        }
        Some(zerocopy::transmute!(dwords.map(u32::to_le)))
    }
}
