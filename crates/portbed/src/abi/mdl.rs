//! Memory descriptor lists, as `wdm.h` lays them out: its macros read them, and so does compiled code.

use zerocopy::FromBytes;

/// `MDL`. The numbers of its pages follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct Mdl {
    pub(crate) next: u64,
    pub(crate) size: u16,
    pub(crate) flags: u16,
    pub(crate) gap_0: u32,
    pub(crate) process: u64,
    pub(crate) mapped_system_va: u64,
    pub(crate) start_va: u64,
    pub(crate) byte_count: u32,
    pub(crate) byte_offset: u32,
}

const _: () = assert!(size_of::<Mdl>() == 48);

/// `MDL_*`: how the memory can be reached.
pub(crate) mod flags {
    pub(crate) const MAPPED_TO_SYSTEM_VA: u16 = 1;
    pub(crate) const PAGES_LOCKED: u16 = 2;
    pub(crate) const SOURCE_IS_NONPAGED_POOL: u16 = 4;
}
