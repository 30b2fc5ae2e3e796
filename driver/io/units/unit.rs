//! One logical unit: its number stands for one namespace in one format.

use core::num::NonZeroU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};

use nvme::identify::{self, DatasetLimits, Identifiers, NamespaceInfo, Usability};
use nvme_spec::identify::DeallocateFeatures;
use scsi::{BlockSize, Deallocation, IoHints, Naming, PreferredSizes};

/// A logical unit number that was given, and its namespace.
pub(super) struct Unit {
    pub(super) namespace_id: AtomicU32,
    /// LBADS.
    pub(super) block_shift: AtomicU8,
    /// NGUID, EUI-64, UUID.
    pub(super) identifiers: [AtomicU64; IDENTIFIER_WORDS],
    /// Its identifiers are those of another unit: serial number and NSID take their place.
    pub(super) named_by_serial: AtomicBool,
    /// The size, 0 where there is no such namespace (any more).
    pub(super) blocks: AtomicU64,
    /// Which transfers are fast.
    pub(super) hints: [AtomicU64; HINT_WORDS],
    pub(super) write_protected: AtomicBool,
    /// DLFEAT.
    pub(super) deallocate_features: AtomicU8,
    /// Unit attention conditions that were not reported yet.
    pub(super) attention: AtomicU8,
}

/// The words of [`Identifiers`].
const IDENTIFIER_WORDS: usize = size_of::<Identifiers>() / 8;

/// DLFEAT: deallocated blocks read as zeros.
const READS_ZEROES: u8 = 1;

/// The words of the hints.
const HINT_WORDS: usize = 2;

/// What a unit attention condition is about, as a bit.
pub(super) mod attention {
    pub(in super::super) const CAPACITY: u8 = 1;
    pub(in super::super) const LUNS: u8 = 1 << 1;
    pub(in super::super) const MODE: u8 = 1 << 2;
}

impl Unit {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "what the table is made of, never used in place"
    )]
    pub(super) const NONE: Self = Self {
        namespace_id: AtomicU32::new(0),
        block_shift: AtomicU8::new(0),
        identifiers: [const { AtomicU64::new(0) }; IDENTIFIER_WORDS],
        named_by_serial: AtomicBool::new(false),
        blocks: AtomicU64::new(0),
        hints: [const { AtomicU64::new(0) }; HINT_WORDS],
        write_protected: AtomicBool::new(false),
        deallocate_features: AtomicU8::new(0),
        attention: AtomicU8::new(0),
    };

    /// The size now; `None` where the namespace is not there.
    pub(super) fn blocks(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.blocks.load(Acquire))
    }

    pub(super) fn block_size(&self) -> Option<BlockSize> {
        BlockSize::from_lba_data_size(self.block_shift.load(Relaxed))
    }

    pub(super) fn identifiers(&self) -> Identifiers {
        let mut words = [0; IDENTIFIER_WORDS];
        for (word, kept) in words.iter_mut().zip(&self.identifiers) {
            *word = kept.load(Relaxed);
        }
        Identifiers::from_words(words)
    }

    pub(super) fn hints(&self) -> IoHints {
        let mut words = [0; HINT_WORDS];
        for (word, kept) in words.iter_mut().zip(&self.hints) {
            *word = kept.load(Relaxed);
        }
        let hints = identify::IoHints::from_words(words);
        let preferred = hints.preferred_z();
        IoHints {
            boundary_blocks: hints.boundary_blocks,
            preferred: preferred.map(|[write, write_alignment, deallocate, alignment, optimal]| {
                PreferredSizes {
                    write_granularity_z: write,
                    write_alignment_z: write_alignment,
                    deallocate_granularity_z: deallocate,
                    deallocate_alignment_z: alignment,
                    optimal_write_z: optimal,
                }
            }),
        }
    }

    /// What Dataset Management does to it.
    pub(super) fn deallocation(&self, limits: DatasetLimits) -> Deallocation {
        let features = DeallocateFeatures::from_bits(self.deallocate_features.load(Relaxed));
        Deallocation {
            ranges: limits.ranges,
            range_blocks: limits.range_blocks,
            blocks: limits.blocks,
            reads_zeroes: features.read_behavior() == READS_ZEROES,
            write_zeroes: features.write_zeroes_deallocate(),
        }
    }

    /// Says what the unit is, before it is shown for the first time.
    pub(super) fn define(&self, namespace: &NamespaceInfo, named_by_serial: bool) {
        self.namespace_id.store(namespace.nsid, Relaxed);
        let shift = namespace.block_bytes.trailing_zeros();
        self.block_shift.store(shift as u8, Relaxed);
        let words = namespace.identifiers().to_words();
        for (kept, word) in self.identifiers.iter().zip(words) {
            kept.store(word, Relaxed);
        }
        self.named_by_serial.store(named_by_serial, Relaxed);
    }

    /// Shows the unit as its namespace is now. True when it was there and has another size.
    pub(super) fn show(&self, namespace: &NamespaceInfo) -> bool {
        for (kept, word) in self.hints.iter().zip(namespace.hints.to_words()) {
            kept.store(word, Relaxed);
        }
        let features = namespace.dlfeat.into_bits();
        self.deallocate_features.store(features, Relaxed);
        let protected = namespace.write_protected;
        let unprotected = self.write_protected.swap(protected, Relaxed) != protected;
        let before = self.blocks.load(Relaxed);
        self.blocks.store(namespace.blocks, Release);
        let resized = before != 0 && before != namespace.blocks;
        if resized {
            self.attend(attention::CAPACITY);
        }
        if before != 0 && unprotected {
            self.attend(attention::MODE);
        }
        resized
    }

    /// The namespace is gone.
    pub(super) fn hide(&self) {
        self.blocks.store(0, Release);
        self.attention.store(0, Release);
    }

    /// The next command is to hear of what has changed, which was written before.
    pub(super) fn attend(&self, what: u8) {
        self.attention.fetch_or(what, Release);
    }

    /// Whether the unit stands for this namespace in its present format. Where neither has identifiers that are believed, only a
    /// namespace that was there all the time, with the same size, is the same.
    pub(super) fn stands_for(&self, namespace: &NamespaceInfo, naming: Naming) -> bool {
        if self.namespace_id.load(Relaxed) != namespace.nsid
            || self.block_size() != block_size(namespace)
        {
            return false;
        }
        let known = self.identifiers().believed(naming);
        let found = namespace.identifiers().believed(naming);
        let same = known.same(&found);
        same.unwrap_or_else(|| self.blocks.load(Relaxed) == namespace.blocks)
    }
}

/// The identifiers that are believed where units are named so.
trait Believed {
    fn believed(self, naming: Naming) -> Self;
}

impl Believed for Identifiers {
    fn believed(self, naming: Naming) -> Self {
        match naming {
            Naming::Reported => self,
            Naming::Uuid => self.uuid_only(),
            Naming::Serial | Naming::Place(_) => Self::default(),
        }
    }
}

/// The size of a block; `None` for a namespace that Windows cannot use.
pub(super) fn block_size(namespace: &NamespaceInfo) -> Option<BlockSize> {
    let usable = namespace.usability == Usability::Usable && namespace.is_known();
    let shift = namespace.block_bytes.trailing_zeros();
    BlockSize::from_lba_data_size(shift as u8).filter(|_| usable)
}
