//! Pages of this process's address space: the one place that maps, unmaps and protects.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

/// Bytes in a page, of the processor and of the virtual machine alike.
pub const PAGE_BYTES: u64 = 4096;

/// What code may do with a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Nothing: every touch faults.
    None,
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
    /// Read, write and execute.
    ReadWriteExecute,
}

impl Access {
    const fn flags(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
            Self::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        }
    }
}

/// Address space that belongs to its owner: inaccessible until a part of it is protected otherwise or mapped.
///
/// No reference into it is ever made: all access is by raw pointers, from here or from the code under test.
#[derive(Debug)]
pub(crate) struct Pages {
    base: NonNull<u8>,
    bytes: u64,
}

// SAFETY: the address space is owned like a heap block and is only touched through raw pointers.
unsafe impl Send for Pages {}
// SAFETY: every operation is one system call or one raw copy; nothing in `Pages` itself changes.
unsafe impl Sync for Pages {}

impl Pages {
    /// Reserves `bytes`, rounded up to whole pages, all inaccessible.
    pub(crate) fn reserve(bytes: u64) -> io::Result<Self> {
        let bytes = bytes
            .checked_next_multiple_of(PAGE_BYTES)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes as usize,
                libc::PROT_NONE,
                flags,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        base.as_ptr().expose_provenance();
        Ok(Self { base, bytes })
    }

    /// Maps the whole of `file`, shared, readable and writable.
    pub(crate) fn of_file(file: &File, bytes: u64) -> io::Result<Self> {
        let pages = Self::reserve(bytes)?;
        pages.map(0, bytes, file, 0)?;
        Ok(pages)
    }

    /// Address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.base.as_ptr().addr() as u64
    }

    /// Sets what code may do with the pages of `bytes` from `offset`.
    pub(crate) fn protect(&self, offset: u64, bytes: u64, access: Access) -> io::Result<()> {
        let start = self.at(offset, bytes)?;
        // SAFETY: the range is inside this mapping, into which no references exist.
        succeeded(unsafe { libc::mprotect(start.as_ptr().cast(), bytes as usize, access.flags()) })
    }

    /// Puts `bytes` of `file` from `file_offset` at `offset`, shared, readable and writable.
    pub(crate) fn map(
        &self,
        offset: u64,
        bytes: u64,
        file: &File,
        file_offset: u64,
    ) -> io::Result<()> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        self.replace(
            offset,
            bytes,
            Access::ReadWrite,
            flags,
            file.as_raw_fd(),
            file_offset,
        )
    }

    /// Makes the pages of `bytes` from `offset` inaccessible again and forgets what they held.
    pub(crate) fn unmap(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        self.replace(offset, bytes, Access::None, flags, -1, 0)
    }

    /// Copies `data` to `offset`. The pages are writable: the owner sees to that.
    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let to = self.at(offset, data.len() as u64)?;
        // SAFETY: the target is inside this mapping, which no Rust slice overlaps.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), to.as_ptr(), data.len()) };
        Ok(())
    }

    /// Copies from `offset` into `into`. The pages are readable: the owner sees to that.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let from = self.at(offset, into.len() as u64)?;
        // SAFETY: the source is inside this mapping, which no Rust slice overlaps.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Reads 4 bytes of device registers at `offset`, a multiple of 4, in one access. The pages are readable.
    pub(crate) fn load_u32(&self, offset: u64) -> io::Result<u32> {
        let from = self.at(aligned(offset, 4)?, 4)?;
        // SAFETY: the source is aligned, inside this mapping, and no Rust reference overlaps it.
        Ok(unsafe { from.cast::<u32>().read_volatile() })
    }

    /// Writes 4 bytes of device registers at `offset`, a multiple of 4, in one access. The pages are writable.
    pub(crate) fn store_u32(&self, offset: u64, value: u32) -> io::Result<()> {
        let to = self.at(aligned(offset, 4)?, 4)?;
        // SAFETY: the target is aligned, inside this mapping, and no Rust reference overlaps it.
        unsafe { to.cast::<u32>().write_volatile(value) };
        Ok(())
    }

    /// Asks the system for huge pages behind the `bytes` from `offset`, which are readable; it may refuse.
    pub(crate) fn collapse(&self, offset: u64, bytes: u64) -> io::Result<()> {
        /// `MADV_COLLAPSE` (Linux 6.1, `asm-generic/mman-common.h`), which libc does not name on every target.
        const COLLAPSE: i32 = 25;
        let start = self.at(offset, bytes)?;
        // SAFETY: the range is inside this mapping, and the advice changes nothing that code can see.
        succeeded(unsafe { libc::madvise(start.as_ptr().cast(), bytes as usize, COLLAPSE) })
    }

    /// Sets `bytes` from `offset` to `value`. The pages are writable: the owner sees to that.
    pub(crate) fn fill(&self, offset: u64, bytes: u64, value: u8) -> io::Result<()> {
        let to = self.at(offset, bytes)?;
        // SAFETY: the target is inside this mapping, which no Rust reference overlaps.
        unsafe { to.as_ptr().write_bytes(value, bytes as usize) };
        Ok(())
    }

    fn replace(
        &self,
        offset: u64,
        bytes: u64,
        access: Access,
        flags: i32,
        fd: i32,
        file_offset: u64,
    ) -> io::Result<()> {
        let start = self.at(offset, bytes)?.as_ptr().cast();
        let file_offset = i64::try_from(file_offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: MAP_FIXED replaces pages of this mapping only, into which no references exist.
        let at = unsafe {
            libc::mmap(
                start,
                bytes as usize,
                access.flags(),
                flags,
                fd,
                file_offset,
            )
        };
        if at == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Address of `offset`, if `bytes` from there lie inside.
    fn at(&self, offset: u64, bytes: u64) -> io::Result<NonNull<u8>> {
        let end = offset.checked_add(bytes).filter(|&end| end <= self.bytes);
        end.ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the offset is not past the end of the mapping.
        Ok(unsafe { self.base.add(offset as usize) })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing refers to it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes as usize) };
    }
}

/// A file of `bytes` zeroes that exists only in memory.
pub(crate) fn memory_file(bytes: u64) -> io::Result<File> {
    // SAFETY: the name is a constant that ends with a zero byte.
    let descriptor = unsafe { libc::memfd_create(c"physical memory".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    file.set_len(bytes)?;
    Ok(file)
}

/// Gives the memory of `bytes` of `file` from `offset` back to the system; they read as zeroes.
pub(crate) fn discard(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let (offset, bytes) = (i64::try_from(offset), i64::try_from(bytes));
    let (offset, bytes) = (
        offset.map_err(io::Error::other)?,
        bytes.map_err(io::Error::other)?,
    );
    // SAFETY: the call changes the contents of the file only, of which no references exist.
    succeeded(unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, bytes) })
}

fn aligned(offset: u64, bytes: u64) -> io::Result<u64> {
    if offset.is_multiple_of(bytes) {
        Ok(offset)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What code could do with memory, found out without a fault: the kernel copies a byte or refuses.
#[cfg(test)]
pub(crate) mod probe {
    use std::io::{Read, Write, pipe};
    use std::os::fd::AsRawFd;
    use std::ptr;

    /// Whether the byte at `address` can be read.
    pub(crate) fn readable(address: u64) -> bool {
        let (mut reader, writer) = pipe().unwrap();
        let from = ptr::with_exposed_provenance(address as usize);
        // SAFETY: the kernel checks the address and reports EFAULT where it is not readable.
        let written = unsafe { libc::write(writer.as_raw_fd(), from, 1) };
        written == 1 && reader.read_exact(&mut [0]).is_ok()
    }

    /// Whether the byte at `address` can be written; if so it becomes 1.
    pub(crate) fn writable(address: u64) -> bool {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(&[1]).unwrap();
        let to = ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: the kernel checks the address and reports EFAULT where it is not writable; the tests only pass
        // addresses of pages that hold no Rust object.
        let read = unsafe { libc::read(reader.as_raw_fd(), to, 1) };
        read == 1
    }
}
