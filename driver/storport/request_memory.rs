//! What a request carries in its SRB extension: its NVMe command, the memory that this points to, and its place in a list of requests.

use core::ptr;
use core::ptr::NonNull;

use nvme::PAGE_BYTES;
use nvme::prp::{self, ListMemory, PrpError, Segment};
use nvme_spec::command::{Command, NvmOpcode};
use scsi::{Deallocate, RANGES_BYTES, Sense};
use wdk_sys::STOR_SCATTER_GATHER_ELEMENT;

use super::srb::Parts;
use super::{Port, Srb, SrbStatus};

/// A request's own memory: the start of its SRB extension.
#[repr(C)]
pub(super) struct RequestMemory {
    /// Where the parts of the request are.
    pub(super) parts: Parts,
    /// The next request of an [`SrbList`].
    next: *mut Self,
    /// The NVMe command of the request.
    command: Command,
    /// Bytes that count as transferred when the request succeeded.
    bytes: u32,
    /// Blocks that further commands have to verify or to zero; of an UNMAP not 0, there may be a further command.
    more_blocks: u32,
    /// The status that a request of an [`SrbList`] is to be completed with.
    status: u8,
    /// What the command points to.
    pointed: Pointed,
}

/// Memory for what a command points to.
#[repr(C)]
union Pointed {
    /// The PRP list of a command that transfers data.
    prps: [u64; PRP_ENTRIES],
    /// What an UNMAP deallocates.
    ranges: Ranges,
}

/// The ranges of a Dataset Management command, and what the next one is made of.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ranges {
    list: [u8; RANGES_BYTES],
    /// Where the list begins, and where its second page does, as the controller sees it; that one is 0 where the list is in one page.
    pages: [u64; 2],
    deallocate: Deallocate,
}

/// The longest transfer of one request in bytes: its PRP list fits the extension wherever the data starts.
pub(crate) const MAX_TRANSFER_BYTES: u32 = 2 << 20;
const PRP_ENTRIES: usize = prp::max_list_entries(MAX_TRANSFER_BYTES) as usize;

/// The part of an address that lies inside a page.
const PAGE_OFFSET: usize = PAGE_BYTES as usize - 1;

/// Bytes of memory of its own that each request needs.
pub(super) const EXTENSION_BYTES: u32 = size_of::<RequestMemory>() as u32;

/// A piece of a data buffer.
fn segment(piece: &STOR_SCATTER_GATHER_ELEMENT) -> Segment {
    Segment {
        // SAFETY: both halves of the union are plain integers of the same size.
        address: unsafe { piece.PhysicalAddress.QuadPart }.cast_unsigned(),
        bytes: piece.Length,
    }
}

impl Srb {
    /// Builds the data pointer of `command` for the first `bytes` of the data buffer and keeps the command with the
    /// request. `HwStorBuildIo`.
    pub(crate) fn prepare(
        &mut self,
        port: Port,
        command: &Command,
        bytes: u32,
        more_blocks: u32,
    ) -> Result<(), PrpError> {
        let mut command = *command;
        let memory = self.memory.as_ptr();
        if bytes != 0 {
            // SAFETY: the extension has room for a RequestMemory, as asked for at initialisation.
            let list = unsafe { &raw mut (*memory).pointed.prps };
            let start = list.cast::<u64>();
            let list = ListMemory {
                // SAFETY: the list is this request's own and reached through this reference alone.
                entries: unsafe { &mut *list },
                // Physical pages begin where virtual pages begin.
                page_offset: start.addr() & PAGE_OFFSET,
                address: |entry| {
                    let entry = start.wrapping_add(entry);
                    port.physical_address(entry.cast())
                        .map(|(address, _)| address)
                },
            };
            let pieces = self.pieces(port).ok_or(PrpError::TooShort)?;
            let pointer = prp::build(pieces, segment, bytes, list)?;
            command.prp1 = pointer.prp1;
            command.prp2 = pointer.prp2;
        }
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory).command };
        // SAFETY: the place is aligned memory of this request.
        unsafe { place.write(command) };
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory).bytes };
        // SAFETY: as above.
        unsafe { place.write(bytes) };
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory).more_blocks };
        // SAFETY: as above.
        unsafe { place.write(more_blocks) };
        Ok(())
    }

    /// Makes the prepared command the one that verifies the next blocks; false when it verified the last.
    pub(crate) fn prepare_next(&mut self) -> bool {
        let memory = self.memory.as_ptr();
        // SAFETY: written in HwStorBuildIo, as in `prepared`.
        let more_blocks = unsafe { &mut (*memory).more_blocks };
        if *more_blocks == 0 {
            return false;
        }
        // SAFETY: as above; the two are fields of their own.
        let command = unsafe { &mut (*memory).command };
        if command.cdw0.opcode() == NvmOpcode::DATASET_MANAGEMENT.0 {
            return self.prepare_next_ranges();
        }
        match scsi::next_in_series(command, *more_blocks) {
            Some(left) => {
                *more_blocks = left;
                true
            }
            None => false,
        }
    }

    /// Makes the first command of an UNMAP; false when there is nothing to deallocate any more. `HwStorBuildIo`.
    pub(crate) fn prepare_deallocation(
        &mut self,
        port: Port,
        deallocate: Deallocate,
    ) -> Result<bool, Option<Sense>> {
        let bytes = deallocate.bytes;
        let memory = self.memory.as_ptr();
        // SAFETY: the extension has room for a RequestMemory, as asked for at initialisation.
        let list = unsafe { &raw mut (*memory).pointed.ranges.list };
        let start = list.cast::<u8>();
        let in_first = (PAGE_BYTES as usize).saturating_sub(start.addr() & PAGE_OFFSET);
        let address = |at: *mut u8| {
            let found = port.physical_address(at.cast());
            found.map(|(address, _)| address).ok_or(None)
        };
        let second = if in_first < RANGES_BYTES {
            address(start.wrapping_add(in_first))?
        } else {
            0
        };
        let pages = [address(start)?, second];
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory).pointed.ranges.pages };
        // SAFETY: the place is aligned memory of this request.
        unsafe { place.write(pages) };
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory).pointed.ranges.deallocate };
        // SAFETY: as above.
        unsafe { place.write(deallocate) };
        let Some(command) = self.next_ranges()? else {
            return Ok(false);
        };
        let prepared = self.prepare(port, &command, 0, 1);
        self.set_command_bytes(bytes);
        prepared.map(|()| true).map_err(|_| None)
    }

    /// Makes the prepared command the one that deallocates the next ranges; false when it deallocated the last, or when the
    /// parameter list is not any more what it was: such a request does not succeed.
    #[cold]
    fn prepare_next_ranges(&mut self) -> bool {
        let next = self.next_ranges();
        let memory = self.memory.as_ptr();
        match next {
            Ok(Some(command)) => {
                // SAFETY: the command was written in HwStorBuildIo, and the controller has forgotten it.
                unsafe { (*memory).command = command };
                true
            }
            Ok(None) => false,
            Err(_) => {
                // SAFETY: `receive` has written the parts.
                unsafe { &mut (*memory).parts }.cannot_succeed();
                false
            }
        }
    }

    /// Writes the next ranges of an UNMAP, for the command that it gives. Any IRQL up to `DISPATCH_LEVEL`: the port driver is not
    /// called.
    fn next_ranges(&mut self) -> Result<Option<Command>, Sense> {
        let memory = self.memory.as_ptr();
        // SAFETY: the memory is the request's own.
        let ranges = unsafe { &raw mut (*memory).pointed.ranges };
        // SAFETY: `prepare_deallocation` has written all of it but the list, which may be any bytes. The controller does not use
        // it: it has answered the last command, or never saw one.
        let ranges = unsafe { &mut *ranges };
        let next = ranges
            .deallocate
            .next_command(self.buffer(), &mut ranges.list)?;
        // Some controllers read as many ranges as a command can have, however few it has: to them the list always goes on in its
        // second page.
        let [prp1, prp2] = ranges.pages;
        Ok(next.map(|command| Command {
            prp1,
            prp2,
            ..command
        }))
    }

    /// The command that [`prepare`](Self::prepare) kept.
    pub(crate) fn command(&self) -> &Command {
        // SAFETY: the command was written before the request came to where this is called, in HwStorBuildIo.
        unsafe { &(*self.memory.as_ptr()).command }
    }

    /// How many bytes count as transferred when that command succeeded.
    pub(crate) fn command_bytes(&self) -> u32 {
        // SAFETY: as for the command.
        unsafe { (*self.memory.as_ptr()).bytes }
    }

    /// Has so many bytes count as transferred, other than the command transfers.
    pub(crate) fn set_command_bytes(&mut self, bytes: u32) {
        // SAFETY: as for the command; the request is ours.
        unsafe { (*self.memory.as_ptr()).bytes = bytes };
    }
}

/// Requests in a row, linked through their extensions: no allocation, first in, first out.
pub(crate) struct SrbList {
    first: *mut RequestMemory,
    last: *mut RequestMemory,
}

// SAFETY: as for `Srb`: the list owns its requests.
unsafe impl Send for SrbList {}

impl SrbList {
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        }
    }

    /// Appends a request, with the status that it will be completed with.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the list owns the request from now on"
    )]
    pub(crate) fn push(&mut self, srb: Srb, status: SrbStatus) {
        let memory = srb.memory.as_ptr();
        // SAFETY: the memory is the request's own, and large enough.
        unsafe { (*memory).next = ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*memory).status = status.0 };
        if self.last.is_null() {
            self.first = memory;
        } else {
            // SAFETY: a request of the list was not completed.
            unsafe { (*self.last).next = memory };
        }
        self.last = memory;
    }

    /// Takes the oldest request out.
    pub(crate) fn pop(&mut self) -> Option<(Srb, SrbStatus)> {
        let memory = NonNull::new(self.first)?;
        // SAFETY: the list owns the request, which was not completed; `push` has written the link.
        self.first = unsafe { (*memory.as_ptr()).next };
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        // SAFETY: `push` has written the status.
        let status = unsafe { (*memory.as_ptr()).status };
        Some((Srb { memory }, SrbStatus(status)))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Moves every request to the end of `other`, to be completed with this status.
    pub(crate) fn end_to(&mut self, other: &mut Self, status: SrbStatus) {
        while let Some((srb, _)) = self.pop() {
            other.push(srb, status);
        }
    }

    /// Moves every request to the end of `other`.
    pub(crate) fn move_to(&mut self, other: &mut Self) {
        while let Some((srb, status)) = self.pop() {
            other.push(srb, status);
        }
    }

    /// Completes every request of the list.
    pub(crate) fn complete(mut self, port: Port) {
        while let Some((srb, status)) = self.pop() {
            srb.complete(port, status);
        }
    }
}
