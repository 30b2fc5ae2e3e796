//! Command identifiers: unique, never reused while they could still be answered, and told apart from stale ones.

use std::collections::BTreeMap;

use nvme::slots::{SlotError, Slots};
use proptest::prelude::*;

/// Takes a slot for a value and returns its identifier; gives the value back when all slots are taken.
fn occupy<T, const N: usize>(slots: &mut Slots<T, N>, value: T) -> Result<u16, T> {
    let Some(vacant) = slots.vacant() else {
        return Err(value);
    };
    let id = vacant.id();
    vacant.fill(value);
    Ok(id)
}

#[test]
fn issues_as_many_as_there_are_slots() {
    let mut slots = Slots::<u32, 3>::new();
    let ids: Vec<u16> = (0..3)
        .map(|value| occupy(&mut slots, value).unwrap())
        .collect();
    assert_eq!(occupy(&mut slots, 9), Err(9));
    assert_eq!(slots.outstanding(), 3);
    assert_eq!(slots.retire(ids[1]), Ok(1));
    assert!(occupy(&mut slots, 4).is_ok());
}

#[test]
fn a_second_completion_is_stale() {
    let mut slots = Slots::<(), 4>::new();
    let id = occupy(&mut slots, ()).unwrap();
    assert_eq!(slots.retire(id), Ok(()));
    assert_eq!(slots.retire(id), Err(SlotError::Stale));
    // The slot is in use again, under another identifier.
    let next = occupy(&mut slots, ()).unwrap();
    assert_ne!(next, id);
    assert_eq!(slots.retire(id), Err(SlotError::Stale));
    assert_eq!(slots.retire(next), Ok(()));
}

#[test]
fn an_identifier_beyond_the_slots_is_impossible() {
    let mut slots = Slots::<(), 5>::new();
    assert_eq!(slots.retire(7), Err(SlotError::Impossible));
    assert_eq!(slots.retire(4), Err(SlotError::Impossible));
    let used = occupy(&mut slots, ()).unwrap();
    assert_eq!(slots.retire(used), Ok(()));
    assert_eq!(slots.retire(used), Err(SlotError::Stale));
}

#[test]
fn the_identifier_that_means_none_is_never_issued() {
    fn cycle<const N: usize>() {
        let mut slots = Slots::<usize, N>::new();
        for round in 0..70_000 {
            let ids: Vec<u16> = (0..N)
                .filter_map(|value| occupy(&mut slots, value).ok())
                .collect();
            assert!(ids.iter().all(|&id| id != 0xFFFF), "round {round}");
            let mut values = Vec::new();
            slots.retire_all(|value| values.push(value));
            values.sort_unstable();
            assert_eq!(values, (0..N).collect::<Vec<_>>());
            if round > 200 && N > 16 {
                break;
            }
        }
    }
    cycle::<1>();
    cycle::<16>();
    cycle::<4096>();
}

#[test]
fn a_value_can_be_changed_while_outstanding() {
    let mut slots = Slots::<u32, 2>::new();
    let id = occupy(&mut slots, 1).unwrap();
    *slots.get_mut(id).unwrap() = 2;
    assert_eq!(slots.retire(id), Ok(2));
    assert_eq!(slots.get_mut(id), None);
}

proptest! {
    /// Against a map from identifier to value: whatever is retired, in whatever order, and whatever is made up.
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), any::<u16>()), 0..400)) {
        let mut slots = Slots::<u16, 8>::new();
        let mut model = BTreeMap::new();
        for (issue, number) in steps {
            if issue {
                match occupy(&mut slots, number) {
                    Ok(id) => prop_assert_eq!(model.insert(id, number), None),
                    Err(value) => {
                        prop_assert_eq!(value, number);
                        prop_assert_eq!(model.len(), 8);
                    }
                }
            } else {
                // Either one that is outstanding or one that is made up.
                let known = model.keys().nth(usize::from(number) % 12).copied();
                let id = known.unwrap_or(number);
                prop_assert_eq!(slots.retire(id).ok(), model.remove(&id));
            }
            prop_assert_eq!(slots.outstanding(), model.len());
            let listed: BTreeMap<u16, u16> = slots.iter().map(|(id, value)| (id, *value)).collect();
            prop_assert_eq!(&listed, &model);
        }
    }
}
