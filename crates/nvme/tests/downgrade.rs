//! Controllers that die on the memory they are lent: what they get then, and when the memory is blamed.

use nvme::Instant;
use nvme::hmb::{Downgrade, Limit, Needs, NotWanted, Policy, Probation, Sampling, Symptom, Wanted};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const FIRMWARE: [u8; 8] = *b"1.0.7   ";
const SECOND_NS: u64 = 1_000_000_000;

fn second(count: u64) -> Instant {
    Instant::from_ns(count * SECOND_NS)
}

fn wanted(minimum_bytes: u64) -> Wanted {
    let needs = Needs {
        preferred_bytes: 64 * MIB,
        minimum_bytes,
        ..Needs::default()
    };
    Wanted::decide(&needs, &Policy::default(), 0, 0).unwrap()
}

#[test]
fn half_then_none() {
    let first = Downgrade::after(None, 64 * MIB, 16 * MIB, FIRMWARE);
    assert_eq!(first.limit_bytes, 32 * MIB);
    let second = Downgrade::after(Some(&first), 32 * MIB, 16 * MIB, FIRMWARE);
    assert_eq!(second.limit_bytes, 0);
}

#[test]
fn never_less_than_the_minimum_but_none() {
    let above = Downgrade::after(None, 64 * MIB, 48 * MIB, FIRMWARE);
    assert_eq!(above.limit_bytes, 48 * MIB);
    let at = Downgrade::after(None, 64 * MIB, 64 * MIB, FIRMWARE);
    assert_eq!(at.limit_bytes, 0);
    let page = Downgrade::after(None, 4096, 0, FIRMWARE);
    assert_eq!(page.limit_bytes, 0);
}

#[test]
fn less_is_asked_for_after_a_downgrade() {
    let less = wanted(16 * MIB).at_most(32 * MIB).unwrap();
    assert_eq!(less.preferred_bytes(), 32 * MIB);
    assert_eq!(less.limit(), Limit::Downgraded);
    let same = wanted(16 * MIB).at_most(64 * MIB).unwrap();
    assert_eq!(same.limit(), Limit::Preferred);
}

#[test]
fn nothing_is_asked_for_when_the_limit_is_of_no_use() {
    for limit_bytes in [0, 8 * MIB] {
        let none = wanted(16 * MIB).at_most(limit_bytes);
        assert_eq!(none.unwrap_err(), NotWanted::Downgraded);
    }
    assert_eq!(wanted(0).at_most(0).unwrap_err(), NotWanted::Downgraded);
}

#[test]
fn a_record_is_for_its_firmware_only() {
    let downgrade = Downgrade::after(None, 64 * MIB, 0, FIRMWARE);
    let record = downgrade.to_record();
    assert_eq!(Downgrade::from_record(&record, FIRMWARE), Some(downgrade));
    assert_eq!(Downgrade::from_record(&record, *b"1.0.8   "), None);
}

#[test]
fn a_controller_that_dies_soon_is_blamed_on_its_memory() {
    let mut probation = Probation::NONE;
    assert!(
        !probation.ends_with(Symptom::Dead, second(1)),
        "nothing was lent"
    );
    probation.begin(second(10));
    assert!(probation.ends_with(Symptom::Dead, second(69)));
    assert!(
        !probation.ends_with(Symptom::Dead, second(69)),
        "it is over"
    );
    probation.begin(second(100));
    assert!(!probation.ends_with(Symptom::Dead, second(160)), "too late");
}

#[test]
fn one_silence_is_an_accident() {
    let mut probation = Probation::NONE;
    for (at, blamed) in [(0, false), (20, true), (40, false)] {
        probation.begin(second(at));
        assert_eq!(
            probation.ends_with(Symptom::Silent, second(at + 10)),
            blamed
        );
    }
}

#[test]
fn a_reset_of_a_controller_that_answers_is_no_silence() {
    let mut probation = Probation::NONE;
    for at in [0, 10, 20, 30] {
        probation.begin(second(at));
        probation.answered(second(at + 5));
        probation.answered(second(at + 3));
        assert!(!probation.ends_with(Symptom::Silent, second(at + 5)));
    }
}

#[test]
fn the_last_answer_is_known_by_samples() {
    let mut sampling = Sampling::OFF;
    assert!((0..200).all(|_| !sampling.answer()));
    sampling.begin();
    let looked = (0..6400).filter(|_| sampling.answer()).count();
    assert_eq!(looked, 64 + 99);
}

#[test]
fn silences_far_from_each_other_are_accidents() {
    let mut probation = Probation::NONE;
    probation.begin(second(0));
    assert!(!probation.ends_with(Symptom::Silent, second(10)));
    probation.begin(second(20));
    assert!(!probation.ends_with(Symptom::Silent, second(1000)));
    probation.begin(second(1010));
    assert!(!probation.ends_with(Symptom::Silent, second(1020)));
}

proptest! {
    #[test]
    fn a_downgrade_shrinks_and_is_of_use(lent_pages in 1..1_u64 << 20, minimum_pages in 0..1_u64 << 20) {
        let (lent, minimum) = (lent_pages * 4096, minimum_pages * 4096);
        prop_assume!(minimum <= lent);
        let downgrade = Downgrade::after(None, lent, minimum, FIRMWARE);
        prop_assert!(downgrade.limit_bytes < lent);
        prop_assert!(downgrade.limit_bytes == 0 || downgrade.limit_bytes >= minimum);
        prop_assert_eq!(downgrade.limit_bytes % 4096, 0);
        prop_assert_eq!(Downgrade::from_record(&downgrade.to_record(), FIRMWARE), Some(downgrade));
    }

    #[test]
    fn anything_may_stand_in_the_registry(record: [u8; 16], firmware: [u8; 8]) {
        if let Some(downgrade) = Downgrade::from_record(&record, firmware) {
            prop_assert_eq!(downgrade.to_record(), record);
        }
    }
}
