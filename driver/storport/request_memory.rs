//! What a request carries in its SRB extension: its NVMe command, its PRP list, and its place in a list of requests.

use core::ptr::NonNull;
use core::{mem, ptr};

use nvme::PAGE_BYTES;
use nvme::prp::{self, Fragment, PrpError};
use nvme_spec::command::Command;
use wdk_sys::SCSI_REQUEST_BLOCK;

use super::{Port, Srb, SrbStatus};

/// A request's own memory: the start of its SRB extension.
#[repr(C)]
struct RequestMemory {
    /// The next request of an [`SrbList`].
    next: *mut SCSI_REQUEST_BLOCK,
    /// The status that a request of an [`SrbList`] is to be completed with.
    status: u8,
    /// The NVMe command of the request.
    command: Command,
    /// Bytes that the command transfers.
    bytes: u32,
    /// Blocks that a further command has to verify.
    more_blocks: u32,
    /// The PRP list of the command.
    prps: [u64; PRP_ENTRIES],
}

/// The longest transfer of one request in bytes: its PRP list fits the extension wherever the data starts.
pub(crate) const MAX_TRANSFER_BYTES: u32 = 2 << 20;
const PRP_ENTRIES: usize = prp::max_list_entries(MAX_TRANSFER_BYTES) as usize;

/// The part of an address that lies inside a page.
const PAGE_OFFSET: usize = PAGE_BYTES as usize - 1;

/// Base-2 logarithm of the size of a PRP entry.
const ENTRY_SHIFT: u32 = size_of::<u64>().trailing_zeros();

/// Bytes of memory of its own that each request needs.
pub(super) const EXTENSION_BYTES: u32 = size_of::<RequestMemory>() as u32;

/// The PRP list memory of a request, cut at page ends.
struct Fragments<'a> {
    port: Port,
    rest: &'a mut [u64],
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        let start = self.rest.as_mut_ptr();
        // Physical pages begin where virtual pages begin.
        let offset = start.addr() & PAGE_OFFSET;
        let to_page_end = (PAGE_BYTES as usize).saturating_sub(offset) >> ENTRY_SHIFT;
        let entries = to_page_end.min(self.rest.len());
        let (entries, rest) = mem::take(&mut self.rest).split_at_mut_checked(entries)?;
        self.rest = rest;
        if entries.is_empty() {
            return None;
        }
        let (address, _) = self.port.physical_address(start.cast())?;
        Some(Fragment { address, entries })
    }
}

impl Srb {
    fn memory(&self) -> Option<NonNull<RequestMemory>> {
        self.extension().map(NonNull::cast)
    }

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
        if bytes != 0 {
            let memory = self.memory().ok_or(PrpError::ListFull)?;
            // SAFETY: the extension has room for a RequestMemory, as asked for at initialisation.
            let list = unsafe { &raw mut (*memory.as_ptr()).prps };
            // SAFETY: the list is this request's own and reached through this reference alone.
            let rest = unsafe { &mut *list };
            let pieces = self.pieces(port).ok_or(PrpError::TooShort)?;
            let pointer = prp::build(pieces, bytes, Fragments { port, rest })?;
            command.prp1 = pointer.prp1;
            command.prp2 = pointer.prp2;
        }
        let memory = self.memory().ok_or(PrpError::ListFull)?;
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory.as_ptr()).command };
        // SAFETY: the place is aligned memory of this request.
        unsafe { place.write(command) };
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory.as_ptr()).bytes };
        // SAFETY: as above.
        unsafe { place.write(bytes) };
        // SAFETY: as above.
        let place = unsafe { &raw mut (*memory.as_ptr()).more_blocks };
        // SAFETY: as above.
        unsafe { place.write(more_blocks) };
        Ok(())
    }

    /// Makes the prepared command the one that verifies the next blocks; false when it verified the last.
    pub(crate) fn prepare_next(&mut self) -> bool {
        let Some(memory) = self.memory() else {
            return false;
        };
        // SAFETY: written in HwStorBuildIo, as in `prepared`.
        let more_blocks = unsafe { &mut (*memory.as_ptr()).more_blocks };
        // SAFETY: as above; the two are fields of their own.
        let command = unsafe { &mut (*memory.as_ptr()).command };
        match scsi::next_verify(command, *more_blocks) {
            Some(left) => {
                *more_blocks = left;
                true
            }
            None => false,
        }
    }

    /// The command that [`prepare`](Self::prepare) kept, with the bytes that it transfers.
    pub(crate) fn prepared(&self) -> Option<(&Command, u32)> {
        let memory = self.memory()?.as_ptr();
        // SAFETY: the command was written before the request came to where this is called, in HwStorBuildIo.
        let command = unsafe { &(*memory).command };
        // SAFETY: as for the command.
        let bytes = unsafe { (*memory).bytes };
        Some((command, bytes))
    }
}

/// Requests in a row, linked through their extensions: no allocation, first in, first out.
pub(crate) struct SrbList {
    first: *mut SCSI_REQUEST_BLOCK,
    last: *mut SCSI_REQUEST_BLOCK,
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
        let block = srb.block.as_ptr();
        // The entry points refuse requests without an extension.
        let Some(memory) = srb.memory() else { return };
        // SAFETY: the memory is the request's own, and large enough.
        unsafe { (*memory.as_ptr()).next = ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*memory.as_ptr()).status = status.0 };
        match NonNull::new(self.last) {
            None => self.first = block,
            Some(last) => {
                // SAFETY: a request of the list was not completed.
                if let Some(last) = unsafe { Srb::new(last) }.memory() {
                    // SAFETY: as above.
                    unsafe { (*last.as_ptr()).next = block };
                }
            }
        }
        self.last = block;
    }

    /// Takes the oldest request out.
    pub(crate) fn pop(&mut self) -> Option<(Srb, SrbStatus)> {
        let first = NonNull::new(self.first)?;
        // SAFETY: the list owns the request, which was not completed.
        let srb = unsafe { Srb::new(first) };
        let memory = srb.memory()?;
        // SAFETY: `push` has written the link.
        self.first = unsafe { (*memory.as_ptr()).next };
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        // SAFETY: `push` has written the status.
        let status = unsafe { (*memory.as_ptr()).status };
        Some((srb, SrbStatus(status)))
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
