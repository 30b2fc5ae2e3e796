//! By what the namespaces of an adapter are named: the identifiers that they report, until those are known or seen to be
//! worthless. What was seen is kept in the adapter's key, so that a disk has the same name after a restart, whichever of two
//! drives is found first.

use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};

use nvme::identity::{Doubt, Identity, Naming};
use sync::Lock;

use crate::control::call::Call;
use crate::control::report;
use crate::storport::{Irql, Port};

/// The value in the adapter's key.
const NAME: &CStr = c"DoubtedIdentifiers";

/// Why something else than what is reported takes its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// Blank, or the same for two namespaces of the controller.
    Worthless = 1,
    /// The same as another adapter's, now or at an earlier start.
    NotUnique = 2,
    /// The kind of device is known for it.
    Known = 3,
}

/// A controller that is there, as other adapters of this driver see it.
struct Drive {
    /// Whose it is; 0 for nobody's.
    owner: AtomicUsize,
    identity: Lock<Identity>,
}

impl Drive {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "what the table is made of, never used in place"
    )]
    const NONE: Self = Self {
        owner: AtomicUsize::new(0),
        identity: Lock::new(Identity::NONE),
    };
}

/// The most controllers that are compared.
const MOST_DRIVES: usize = 64;
static DRIVES: [Drive; MOST_DRIVES] = [Drive::NONE; MOST_DRIVES];

/// How often an entry is looked at that another `HwFindAdapter` writes at this moment: it takes a copy of 100 bytes.
const PATIENCE: u32 = 100_000;

impl Drive {
    /// Works on the identity, when no other adapter does.
    fn with<R>(&self, work: impl FnOnce(&mut Identity) -> R) -> Option<R> {
        let mut identity = self.identity.lock_within(PATIENCE)?;
        Some(work(&mut identity))
    }
}

/// Takes an entry for an adapter; `None` where there are too many.
fn enroll(port: Port) -> Option<&'static Drive> {
    withdraw(port);
    DRIVES.iter().find(|drive| {
        drive
            .owner
            .compare_exchange(0, port.number(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    })
}

/// What the identifiers that an adapter wants to use share with those that the others use. It is shown to the others first: of two
/// that come at the same time each sees the other.
fn compare(port: Port, place: Option<&Drive>, wanted: &Identity) -> Doubt {
    show(place, wanted);
    let others = DRIVES
        .iter()
        .filter(|drive| ![0, port.number()].contains(&drive.owner.load(Ordering::Acquire)));
    others
        .filter_map(|drive| drive.with(|other| wanted.clash(other)))
        .fold(Doubt::NONE, Doubt::or)
}

fn show(place: Option<&Drive>, used: &Identity) {
    if let Some(drive) = place {
        drive.with(|identity| *identity = *used);
    }
}

/// The adapter's controller has gone, or the adapter is stopped. Any IRQL.
pub(crate) fn withdraw(port: Port) {
    let owner = port.number();
    for drive in &DRIVES {
        // An entry that is nobody's is not read, so that its contents may stay.
        let _other = drive
            .owner
            .compare_exchange(owner, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Decides by what the namespaces are named. `HwFindAdapter`. `known` says what the kind of device is known for.
pub(crate) fn choose(call: Call<'_>, identity: &Identity, known: Doubt) -> Naming {
    let kept = if call.irql == Irql::Passive {
        remembered(call.port, identity)
    } else {
        Doubt::NONE
    };
    let place = enroll(call.port);
    let doubt = kept.or(compare(call.port, place, &identity.without(kept.or(known))));
    show(place, &identity.without(doubt.or(known)));
    if call.irql == Irql::Passive && doubt != kept {
        let _not_kept = call
            .port
            .set_adapter_record(NAME, identity.to_record(doubt));
    }
    let naming = identity.naming(doubt.or(known));
    if naming != Naming::Reported {
        let why = if !known.is_none() {
            Why::Known
        } else if !doubt.is_none() {
            Why::NotUnique
        } else {
            Why::Worthless
        };
        report::renamed(call, why, naming);
    }
    naming
}

/// What an earlier start has seen of this controller.
fn remembered(port: Port, identity: &Identity) -> Doubt {
    let records = port.adapter_record(NAME);
    let mut records = records.iter().flatten();
    records
        .find_map(|record| identity.doubt_of(record))
        .unwrap_or_default()
}
