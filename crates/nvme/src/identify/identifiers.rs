//! By what a namespace is known again.

/// What tells a namespace from every other one for good (NVM 4.1.5.1, 5.17.2.3). All zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// Namespace Globally Unique Identifier.
    pub nguid: [u8; 16],
    /// Namespace UUID.
    pub uuid: [u8; 16],
    /// IEEE Extended Unique Identifier.
    pub eui64: [u8; 8],
}

impl Identifiers {
    /// The UUID alone.
    #[must_use]
    pub fn uuid_only(self) -> Self {
        Self {
            uuid: self.uuid,
            ..Self::default()
        }
    }

    /// Whether two namespaces are the same, by the kinds of identifier that both have; `None` where there is none.
    #[must_use]
    pub fn same(&self, other: &Self) -> Option<bool> {
        let pairs: [(&[u8], &[u8]); 3] = [
            (&self.nguid, &other.nguid),
            (&self.uuid, &other.uuid),
            (&self.eui64, &other.eui64),
        ];
        let there = |identifier: &[u8]| identifier.iter().any(|byte| *byte != 0);
        let both = pairs.iter().filter(|(own, its)| there(own) && there(its));
        let mut equal = both.map(|(own, its)| own == its);
        equal.next().map(|first| first && equal.all(|equal| equal))
    }

    /// As words, to be kept in atomic ones.
    #[must_use]
    pub const fn to_words(&self) -> [u64; 5] {
        let [nguid, uuid] = [
            u128::from_ne_bytes(self.nguid),
            u128::from_ne_bytes(self.uuid),
        ];
        [
            nguid as u64,
            (nguid >> 64) as u64,
            uuid as u64,
            (uuid >> 64) as u64,
            u64::from_ne_bytes(self.eui64),
        ]
    }

    /// Of [`to_words`](Self::to_words).
    #[must_use]
    pub const fn from_words([nguid, nguid_high, uuid, uuid_high, eui64]: [u64; 5]) -> Self {
        Self {
            nguid: ((nguid_high as u128) << 64 | nguid as u128).to_ne_bytes(),
            uuid: ((uuid_high as u128) << 64 | uuid as u128).to_ne_bytes(),
            eui64: eui64.to_ne_bytes(),
        }
    }
}
