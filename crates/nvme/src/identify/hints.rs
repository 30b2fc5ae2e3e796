//! Which transfers a namespace prefers.

use core::mem::offset_of;

use nvme_spec::identify::{IdentifyNamespace, NamespaceFeatures};
use zerocopy::{FromZeros, Immutable, KnownLayout};

use super::read;
use crate::DmaMemory;

/// Which transfers are fast (NVM 4.1.5.1): numbers of logical blocks. All zero says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromZeros, Immutable, KnownLayout)]
#[repr(C)]
pub struct IoHints {
    /// NOIOB: not to cross a multiple of so many; 0 when it is not reported.
    pub boundary_blocks: u16,
    /// 1 where NPWG, NPWA, NPDG, NPDA and NOWS are reported (NSFEAT bit 4).
    preferred: u16,
    /// Those five, zero-based.
    sizes_z: [u16; 5],
}

impl IoHints {
    /// Nothing is reported.
    pub(super) const NONE: Self = Self {
        boundary_blocks: 0,
        preferred: 0,
        sizes_z: [0; 5],
    };

    pub(super) fn read(data: &impl DmaMemory) -> Self {
        let nsfeat: NamespaceFeatures = field!(data, IdentifyNamespace, nsfeat);
        let hints = Self {
            boundary_blocks: field!(data, IdentifyNamespace, noiob),
            ..Self::NONE
        };
        if !nsfeat.optperf() {
            return hints;
        }
        Self {
            preferred: 1,
            sizes_z: [
                field!(data, IdentifyNamespace, npwg_z),
                field!(data, IdentifyNamespace, npwa_z),
                field!(data, IdentifyNamespace, npdg_z),
                field!(data, IdentifyNamespace, npda_z),
                field!(data, IdentifyNamespace, nows_z),
            ],
            ..hints
        }
    }

    /// NPWG, NPWA, NPDG, NPDA and NOWS, zero-based, where they are reported.
    #[must_use]
    pub const fn preferred_z(&self) -> Option<[u16; 5]> {
        match self.preferred {
            0 => None,
            _ => Some(self.sizes_z),
        }
    }

    /// As words, to be kept in atomic ones.
    #[must_use]
    pub const fn to_words(&self) -> [u64; 2] {
        const fn packed([a, b, c, d]: [u16; 4]) -> u64 {
            (a as u64) << 48 | (b as u64) << 32 | (c as u64) << 16 | d as u64
        }
        let [sizes @ .., optimal] = self.sizes_z;
        [
            packed(sizes),
            packed([optimal, self.preferred, self.boundary_blocks, 0]),
        ]
    }

    /// Of [`to_words`](Self::to_words).
    #[must_use]
    pub const fn from_words([sizes, rest]: [u64; 2]) -> Self {
        Self {
            boundary_blocks: (rest >> 16) as u16,
            preferred: (rest >> 32) as u16,
            sizes_z: [
                (sizes >> 48) as u16,
                (sizes >> 32) as u16,
                (sizes >> 16) as u16,
                sizes as u16,
                (rest >> 48) as u16,
            ],
        }
    }
}
