//! The policy's decisions, and which ranges are offered to the controller.

mod device;

use std::cell::Cell;
use std::rc::Rc;

use nvme::hmb::{Granted, Limit, Needs, NotWanted, Policy, Range, Ranges, Unusable, Wanted};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn needs(preferred_mib: u64, minimum_mib: u64) -> Needs {
    Needs {
        preferred_bytes: preferred_mib * MIB,
        minimum_bytes: minimum_mib * MIB,
        ..Needs::default()
    }
}

fn decide(needs: &Needs, policy: &Policy, used_mib: u64) -> Result<(u64, u64, Limit), NotWanted> {
    let wanted = Wanted::decide(needs, policy, used_mib * MIB, 0)?;
    Ok((
        wanted.minimum_bytes() / MIB,
        wanted.preferred_bytes() / MIB,
        wanted.limit(),
    ))
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let policy = Policy::default();
    assert_eq!(policy.maximum_megabytes, 64);
    assert_eq!(policy.honour_minimum_up_to_megabytes, 256);
    assert_eq!(policy.total_megabytes, 512);
}

#[test]
fn what_the_controller_prefers_up_to_the_maximum() {
    let policy = Policy::default();
    assert_eq!(
        decide(&needs(32, 8), &policy, 0),
        Ok((8, 32, Limit::Preferred))
    );
    assert_eq!(
        decide(&needs(64, 0), &policy, 0),
        Ok((0, 64, Limit::Preferred))
    );
    assert_eq!(
        decide(&needs(200, 8), &policy, 0),
        Ok((8, 64, Limit::Maximum))
    );
}

#[test]
fn a_minimum_above_the_maximum_is_honoured_up_to_a_point() {
    let policy = Policy::default();
    assert_eq!(
        decide(&needs(200, 128), &policy, 0),
        Ok((128, 128, Limit::MinimumHonoured))
    );
    assert_eq!(
        decide(&needs(300, 256), &policy, 0),
        Ok((256, 256, Limit::MinimumHonoured))
    );
    assert_eq!(
        decide(&needs(300, 257), &policy, 0),
        Err(NotWanted::MinimumTooLarge)
    );
}

#[test]
fn nothing_is_wanted_where_none_is_asked_for_or_allowed() {
    let policy = Policy::default();
    assert_eq!(
        decide(&needs(0, 0), &policy, 0),
        Err(NotWanted::NotRequested)
    );
    let off = Policy {
        maximum_megabytes: 0,
        ..policy
    };
    assert_eq!(decide(&needs(64, 8), &off, 0), Err(NotWanted::Off));
    assert_eq!(
        decide(&needs(8, 64), &policy, 0),
        Err(NotWanted::Contradictory)
    );
}

#[test]
fn all_adapters_share_a_total() {
    let policy = Policy::default();
    assert_eq!(
        decide(&needs(64, 16), &policy, 448),
        Ok((16, 64, Limit::Preferred))
    );
    assert_eq!(
        decide(&needs(64, 16), &policy, 480),
        Ok((16, 32, Limit::Total))
    );
    assert_eq!(
        decide(&needs(64, 16), &policy, 500),
        Err(NotWanted::TotalExceeded)
    );
    assert_eq!(
        decide(&needs(64, 0), &policy, 512),
        Err(NotWanted::TotalExceeded)
    );
    assert_eq!(
        decide(&needs(64, 0), &policy, 9999),
        Err(NotWanted::TotalExceeded)
    );
}

#[test]
fn the_array_is_no_longer_than_the_controller_can_use() {
    let ranges = |max_descriptors| {
        let needs = Needs {
            max_descriptors,
            ..needs(64, 8)
        };
        Wanted::decide(&needs, &Policy::default(), 0, 0)
            .unwrap()
            .max_ranges()
    };
    assert_eq!(
        [0, 1, 8, 256, 257, 0xFFFF].map(ranges),
        [256, 1, 8, 256, 256, 256]
    );
}

/// A grant that counts how often it is freed.
#[derive(Debug)]
struct Grant {
    ranges: Vec<Range>,
    dropped: Rc<Cell<u32>>,
}

impl Ranges for Grant {
    fn range(&self, index: usize) -> Option<Range> {
        self.ranges.get(index).copied()
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
    }
}

fn granted(needs: &Needs, ranges: &[(u64, u64)]) -> Granted<Grant> {
    let ranges = ranges
        .iter()
        .map(|&(address, bytes)| Range { address, bytes })
        .collect();
    let policy = Policy {
        maximum_megabytes: 4096,
        total_megabytes: 1 << 20,
        ..Policy::default()
    };
    let wanted = Wanted::decide(needs, &policy, 0, 0).unwrap();
    wanted.granted(Grant {
        ranges,
        dropped: Rc::default(),
    })
}

#[test]
fn ranges_below_the_minimum_descriptor_are_kept_back() {
    let needs = Needs {
        minimum_descriptor_bytes: 64 << 10,
        ..needs(64, 0)
    };
    let granted = granted(
        &needs,
        &[
            (0x10_0000, 64 << 10),
            (0x40_0000, 60 << 10),
            (0x80_0000, MIB),
        ],
    );
    assert_eq!((granted.bytes(), granted.count()), ((124 << 10) + MIB, 3));
    let plan = granted.plan(&needs).unwrap();
    assert_eq!(
        (plan.descriptors(), plan.offered_bytes()),
        (2, (64 << 10) + MIB)
    );
    // All of them come back for the free.
    assert_eq!(plan.into_granted().into_ranges().ranges.len(), 3);
}

#[test]
fn ranges_that_touch_are_one() {
    let needs = Needs {
        minimum_descriptor_bytes: 128 << 10,
        max_descriptors: 1,
        ..needs(64, 0)
    };
    let plan = granted(
        &needs,
        &[
            (0x10_0000, 64 << 10),
            (0x11_0000, 64 << 10),
            (0x80_0000, MIB),
        ],
    )
    .plan(&needs)
    .unwrap();
    assert_eq!((plan.descriptors(), plan.pages()), (1, 32));
}

#[test]
fn only_whole_pages_are_offered() {
    let needs = needs(64, 0);
    let plan = granted(
        &needs,
        &[(0x10_0800, 0x2000), (0x20_0001, 0x1000), (0x30_0000, 0xFFF)],
    )
    .plan(&needs)
    .unwrap();
    assert_eq!((plan.descriptors(), plan.pages()), (1, 1));
}

#[test]
fn less_than_the_minimum_is_never_offered() {
    let needs = needs(64, 16);
    let (granted, why) = granted(&needs, &[(0x100_0000, 8 * MIB), (0x400_0000, 7 * MIB)])
        .plan(&needs)
        .unwrap_err();
    assert_eq!(
        why,
        Unusable::BelowMinimum {
            offered_bytes: 15 * MIB
        }
    );
    assert_eq!(granted.bytes(), 15 * MIB);
}

#[test]
fn nothing_at_all_is_not_offered() {
    let needs = needs(64, 0);
    let (_, why) = granted(&needs, &[]).plan(&needs).unwrap_err();
    assert_eq!(why, Unusable::BelowMinimum { offered_bytes: 0 });
}

#[test]
fn no_more_descriptors_than_the_controller_takes() {
    let ranges: Vec<(u64, u64)> = (1..=300).map(|index| (index * 4 * MIB, MIB)).collect();
    for (max_descriptors, expected) in [(0, 256), (7, 7), (300, 256)] {
        let needs = Needs {
            max_descriptors,
            ..needs(512, 0)
        };
        let plan = granted(&needs, &ranges).plan(&needs).unwrap();
        assert_eq!(
            (plan.descriptors(), plan.offered_bytes()),
            (expected, u64::from(expected) * MIB)
        );
    }
}

#[test]
fn the_grant_is_freed_once() {
    let dropped = Rc::new(Cell::new(0));
    let needs = needs(64, 0);
    let wanted = Wanted::decide(&needs, &Policy::default(), 0, 0).unwrap();
    let grant = Grant {
        ranges: vec![Range {
            address: MIB,
            bytes: MIB,
        }],
        dropped: Rc::clone(&dropped),
    };
    let plan = wanted.granted(grant).plan(&needs).unwrap();
    assert_eq!(dropped.get(), 0);
    drop(plan.into_granted().into_ranges());
    assert_eq!(dropped.get(), 1);
}

proptest! {
    #[test]
    fn any_ranges_are_survived(
        ranges in prop::collection::vec((any::<u64>(), any::<u64>()), 0..300),
        minimum_descriptor_bytes in (0u64..1 << 24).prop_map(|units| units << 12),
        max_descriptors in any::<u16>(),
    ) {
        let needs = Needs { minimum_descriptor_bytes, max_descriptors, ..needs(64, 0) };
        if let Ok(plan) = granted(&needs, &ranges).plan(&needs) {
            prop_assert!((1..=needs.max_ranges()).contains(&plan.descriptors()));
            prop_assert!(plan.offered_bytes() >= minimum_descriptor_bytes);
        }
    }

    /// What is asked for is in the bounds that policy and controller set.
    #[test]
    fn decisions_stay_in_bounds(preferred in any::<u32>(), minimum in any::<u32>(), maximum in 0u32..2048, honour in 0u32..2048, total in 0u32..4096, used in any::<u64>()) {
        let needs = Needs { preferred_bytes: u64::from(preferred) << 12, minimum_bytes: u64::from(minimum) << 12, ..Needs::default() };
        let policy = Policy { maximum_megabytes: maximum, honour_minimum_up_to_megabytes: honour, total_megabytes: total };
        if let Ok(wanted) = Wanted::decide(&needs, &policy, used, 0) {
            let size = wanted.preferred_bytes();
            prop_assert_eq!(size % 4096, 0);
            prop_assert!(size > 0 && size >= needs.minimum_bytes && size <= needs.preferred_bytes);
            prop_assert!(size + used <= u64::from(total) * MIB);
            prop_assert!(size <= u64::from(maximum) * MIB || (size == needs.minimum_bytes && size <= u64::from(honour) * MIB));
        }
    }
}
