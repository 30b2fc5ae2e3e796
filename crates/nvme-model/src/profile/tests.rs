//! Settings and what goes together.

use super::keys::{KEYS, NAMED};
use super::*;

#[test]
fn defaults_in_the_key_table_are_the_default_profile() {
    let mut profile = Profile::default();
    for key in KEYS {
        profile.set(key.name, key.default).unwrap();
    }
    assert_eq!(profile, Profile::default());
    assert_eq!(profile.check(), Ok(()));
}

#[test]
fn every_named_profile_can_be() {
    for named in NAMED {
        let profile = Profile::named(named.name).expect(named.name);
        assert_eq!(profile.check(), Ok(()), "{}", named.name);
    }
    assert_eq!(Profile::named("nothing"), None);
}

#[test]
fn unknown_keys_and_bad_values_are_told_apart() {
    let mut profile = Profile::default();
    assert!(matches!(
        profile.set("colour", "red"),
        Err(ProfileError::UnknownKey(_))
    ));
    for (key, value) in [
        ("capacity", ""),
        ("capacity", "-1"),
        ("capacity", "1X"),
        ("capacity", "999999999999T"),
        ("capacity", "+1G"),
        ("block", "513"),
        ("hmpre", "5000"),
        ("enable", "fails"),
        ("disable", "refused"),
        ("timeout", "700"),
        ("model", "caf\u{e9}"),
        ("firmware", "123456789"),
        ("dies", "lent"),
        ("dies", "command:0"),
        ("death", "slow"),
        ("reset", "late"),
        ("dsm", "1/2"),
        ("dsm", "256/1/1"),
        ("dlfeat", "noise"),
    ] {
        let result = profile.set(key, value);
        assert!(
            matches!(result, Err(ProfileError::BadValue { .. })),
            "{key}={value}"
        );
    }
    assert_eq!(profile, Profile::default());
}

#[test]
fn sizes_take_suffixes() {
    let mut profile = Profile::default();
    for (text, bytes) in [
        ("1048576", MIB),
        ("1024K", MIB),
        ("1M", MIB),
        ("3g", 3 * GIB),
    ] {
        profile.set("capacity", text).unwrap();
        assert_eq!(profile.capacity_bytes, bytes);
    }
}

#[test]
fn impossible_profiles_are_refused() {
    for (settings, refusal) in [
        (
            &[("block", "4096"), ("capacity", "512")][..],
            Refusal::Capacity,
        ),
        (
            &[("mpsmin", "64K"), ("mdts", "16K")],
            Refusal::TransferBelowPages,
        ),
        (&[("mpsmin", "64K"), ("mpsmax", "4K")], Refusal::Pages),
        (&[("queues", "1024"), ("dstrd", "4096")], Refusal::Doorbells),
        (&[("cqs", "1024"), ("dstrd", "4096")], Refusal::Doorbells),
    ] {
        let mut profile = Profile::default();
        for (key, value) in settings {
            profile.set(key, value).unwrap();
        }
        assert_eq!(
            profile.check(),
            Err(ProfileError::Impossible(refusal)),
            "{settings:?}"
        );
    }
}
