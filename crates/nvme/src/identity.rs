//! Which drive a controller belongs to, and by what its namespaces can be told from those of other drives.
//!
//! Windows takes two disks with the same identifiers for one. There are drives of one kind that all report the same NGUID and
//! EUI-64, or none, or a blank serial number. Identifiers are believed until they are known or seen to be worthless.

use crate::identify::{ControllerInfo, NamespaceInfo, Usability};

/// Identifiers of a controller and its namespaces, as far as they tell drives apart. All zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    serial: [u8; 20],
    controller_id: u16,
    /// The namespaces may be attached to other controllers of the subsystem too.
    shared: bool,
    /// NGUID and EUI-64 of the first namespace.
    identifiers: [u8; 24],
    /// UUID of the first namespace.
    uuid: [u8; 16],
    /// What two namespaces of this controller have in common.
    repeated: Doubt,
}

/// Which identifiers are not to be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// NGUID and EUI-64.
    pub identifiers: bool,
    /// UUID.
    pub uuid: bool,
    /// Serial number.
    pub serial: bool,
}

impl Doubt {
    /// None: all are believed.
    pub const NONE: Self = Self {
        identifiers: false,
        uuid: false,
        serial: false,
    };

    /// Whether nothing is doubted.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.identifiers && !self.uuid && !self.serial
    }

    /// What either doubts.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            identifiers: self.identifiers || other.identifiers,
            uuid: self.uuid || other.uuid,
            serial: self.serial || other.serial,
        }
    }

    /// As bits, in the order of the fields.
    #[must_use]
    pub fn bits(self) -> u8 {
        u8::from(self.identifiers) | u8::from(self.uuid) << 1 | u8::from(self.serial) << 2
    }

    /// Of bits; those that mean nothing are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            identifiers: bits & 1 != 0,
            uuid: bits & 2 != 0,
            serial: bits & 4 != 0,
        }
    }
}

/// What namespaces are named by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// NGUID and EUI-64, or, for a namespace that has neither, serial number and NSID.
    #[default]
    Reported,
    /// The UUID.
    Uuid,
    /// Serial number and NSID, although there are identifiers.
    Serial,
    /// The controller's place on the bus, and NSID.
    Place,
}

/// What a record of doubts begins with.
const SIGNATURE: [u8; 4] = *b"FNid";

impl Identity {
    /// No controller.
    pub const NONE: Self = Self {
        serial: [0; 20],
        controller_id: 0,
        shared: false,
        identifiers: [0; 24],
        uuid: [0; 16],
        repeated: Doubt::NONE,
    };
    /// Size of [`to_record`](Self::to_record).
    pub const RECORD_BYTES: usize = 16;

    /// Of a controller and its namespaces.
    #[must_use]
    pub fn of(info: &ControllerInfo, namespaces: &[NamespaceInfo]) -> Self {
        let usable = |namespace: &&NamespaceInfo| namespace.usability == Usability::Usable;
        let first = namespaces.iter().find(usable);
        let mut repeated = Doubt::NONE;
        for (at, namespace) in namespaces.iter().enumerate() {
            for other in namespaces.iter().skip(at.saturating_add(1)) {
                let same = identifiers_of(namespace) == identifiers_of(other);
                repeated.identifiers |= same && !is_blank(&identifiers_of(namespace));
                repeated.uuid |= namespace.uuid == other.uuid && !is_blank(&namespace.uuid);
            }
        }
        Self {
            serial: info.serial.0,
            controller_id: info.controller_id,
            shared: info.multiple_controllers && first.is_some_and(|namespace| namespace.shared),
            identifiers: first.map_or([0; 24], identifiers_of),
            uuid: first.map_or([0; 16], |namespace| namespace.uuid),
            repeated,
        }
    }

    /// The identifiers that are not doubted. An adapter that does not use an identifier does not clash with an adapter that does.
    #[must_use]
    pub const fn without(&self, doubt: Doubt) -> Self {
        let mut left = *self;
        if doubt.identifiers {
            left.identifiers = [0; 24];
        }
        if doubt.uuid {
            left.uuid = [0; 16];
        }
        if doubt.serial {
            left.serial = [0; 20];
        }
        left
    }

    /// What this identity shares with that of another controller that is there at the same time, and should not. Controllers
    /// of one subsystem say so, have one serial number, and differ in CNTLID (Base 5.17.2.1): their namespaces are the same.
    #[must_use]
    pub fn clash(&self, other: &Self) -> Doubt {
        let one_drive = self.shared
            && other.shared
            && self.serial == other.serial
            && !is_blank(&self.serial)
            && self.controller_id != other.controller_id;
        if one_drive {
            return Doubt::NONE;
        }
        Doubt {
            identifiers: self.identifiers == other.identifiers && !is_blank(&self.identifiers),
            uuid: self.uuid == other.uuid && !is_blank(&self.uuid),
            serial: self.serial == other.serial && !is_blank(&self.serial),
        }
    }

    /// What the namespaces are named by where some of it is doubted: the first of what is left.
    #[must_use]
    pub fn naming(&self, doubt: Doubt) -> Naming {
        let doubt = doubt.or(self.repeated);
        let has_identifiers = !is_blank(&self.identifiers);
        let has_serial = !is_blank(&self.serial) && !doubt.serial;
        if has_identifiers && !doubt.identifiers || !has_identifiers && has_serial {
            Naming::Reported
        } else if !is_blank(&self.uuid) && !doubt.uuid {
            Naming::Uuid
        } else if has_serial {
            Naming::Serial
        } else {
            Naming::Place
        }
    }

    /// A record of what was doubted of this very identity, to be kept over restarts.
    #[must_use]
    pub fn to_record(&self, doubt: Doubt) -> [u8; Self::RECORD_BYTES] {
        let mut record = [0; Self::RECORD_BYTES];
        let parts = SIGNATURE
            .into_iter()
            .chain([doubt.bits(), 0, 0, 0])
            .chain(self.digest().to_le_bytes());
        for (to, from) in record.iter_mut().zip(parts) {
            *to = from;
        }
        record
    }

    /// What a record says of this identity.
    #[must_use]
    pub fn doubt_of(&self, record: &[u8; Self::RECORD_BYTES]) -> Option<Doubt> {
        let (_, rest) = record.split_first_chunk::<5>()?;
        let doubt = Doubt::from_bits(*record.get(4)?);
        let digest = rest.get(3..)?;
        let ours = record.starts_with(&SIGNATURE) && digest == self.digest().to_le_bytes();
        ours.then_some(doubt)
    }

    /// FNV-1a of everything that was reported: it tells a drive from one that takes its place.
    fn digest(&self) -> u64 {
        let serial = self.serial.iter();
        serial
            .chain(&self.identifiers)
            .chain(&self.uuid)
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
            })
    }
}

fn identifiers_of(namespace: &NamespaceInfo) -> [u8; 24] {
    let mut both = [0; 24];
    let from = namespace.nguid.iter().chain(&namespace.eui64);
    for (to, from) in both.iter_mut().zip(from) {
        *to = *from;
    }
    both
}

/// Nothing but zeros and spaces.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, 0 | b' '))
}
