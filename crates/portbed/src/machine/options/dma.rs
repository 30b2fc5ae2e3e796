//! How much DMA memory the port driver gives.

/// What becomes of `StorPortAllocateContiguousMemorySpecifyCacheNode` and `StorPortAllocateDmaMemory`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DmaGrant {
    /// The memory is given.
    #[default]
    Ok,
    /// Nothing: insufficient resources.
    Refuse,
    /// The so many-th allocation of an adapter is refused, counted from 1.
    Nth(u32),
    /// No more than so many KiB at once are given to an adapter.
    Limit(u32),
    /// The calls are not implemented.
    NotImplemented,
}

pub(super) fn dma_grant(value: &str) -> Option<DmaGrant> {
    Some(match value {
        "ok" => DmaGrant::Ok,
        "refuse" => DmaGrant::Refuse,
        "notimplemented" => DmaGrant::NotImplemented,
        _ => match value.split_once(':')? {
            ("nth", count) => DmaGrant::Nth(super::keys::positive(count)?),
            ("limit", kib) => DmaGrant::Limit(super::keys::positive(kib)?),
            _ => return None,
        },
    })
}
