//! Which drive a controller belongs to, and by what its namespaces are named.

use nvme::identify::{ControllerInfo, NamespaceInfo};
use nvme::identity::{Doubt, Identity, Naming};
use nvme_spec::identify::{IdentifyController, QueueEntrySize};
use nvme_spec::text::Ascii;
use zerocopy::{FromZeros, IntoBytes};

mod device;
use device::Memory;
use nvme::DmaMemory;

fn info(serial: &str, cntlid: u16) -> ControllerInfo {
    let mut data = IdentifyController::new_zeroed();
    data.sn = Ascii::padded(serial);
    data.cntlid = cntlid;
    data.cmic.set_multiple_controllers(true);
    data.sqes = QueueEntrySize::new().with_required(6).with_maximum(6);
    data.cqes = QueueEntrySize::new().with_required(4).with_maximum(4);
    let memory = Memory::pages(1);
    memory.page(0).write(0, data.as_bytes());
    ControllerInfo::read(&memory.page(0), 1 << 20).expect("a controller")
}

fn namespace(nguid: u8, uuid: u8, shared: bool) -> NamespaceInfo {
    NamespaceInfo {
        nsid: 1,
        blocks: 8,
        block_bytes: 512,
        nguid: [nguid; 16],
        uuid: [uuid; 16],
        shared,
        ..NamespaceInfo::default()
    }
}

fn drive(serial: &str, nguid: u8, uuid: u8) -> Identity {
    Identity::of(&info(serial, 1), &[namespace(nguid, uuid, false)])
}

const IDENTIFIERS: Doubt = Doubt {
    identifiers: true,
    ..Doubt::NONE
};

#[test]
fn what_is_believed_is_named_as_reported() {
    assert_eq!(drive("S1", 7, 0).naming(Doubt::NONE), Naming::Reported);
    assert_eq!(drive("S1", 0, 9).naming(Doubt::NONE), Naming::Reported);
    assert_eq!(drive("", 7, 9).naming(Doubt::NONE), Naming::Reported);
}

#[test]
fn the_first_of_what_is_left_takes_the_place() {
    assert_eq!(drive("S1", 7, 9).naming(IDENTIFIERS), Naming::Uuid);
    assert_eq!(drive("S1", 7, 0).naming(IDENTIFIERS), Naming::Serial);
    assert_eq!(drive("", 7, 0).naming(IDENTIFIERS), Naming::Place);
    assert_eq!(drive("", 0, 9).naming(Doubt::NONE), Naming::Uuid);
    assert_eq!(drive("", 0, 0).naming(Doubt::NONE), Naming::Place);
    let all = Doubt::from_bits(7);
    assert_eq!(drive("S1", 7, 9).naming(all), Naming::Place);
}

#[test]
fn two_drives_clash_in_what_they_share() {
    let doubt = drive("S1", 7, 1).clash(&drive("S2", 7, 2));
    assert_eq!(doubt, IDENTIFIERS);
    let doubt = drive("S1", 0, 0).clash(&drive("S1", 0, 0));
    assert!(doubt.serial && !doubt.identifiers && !doubt.uuid);
    assert!(
        drive("", 0, 0).clash(&drive("", 0, 0)).is_none(),
        "blank is not shared"
    );
    assert!(drive("S1", 7, 1).clash(&drive("S2", 8, 2)).is_none());
}

#[test]
fn identifier_that_is_not_used_is_taken_from_nobody() {
    let one = drive("S1", 7, 1);
    let other = drive("S1", 7, 1).without(IDENTIFIERS);
    let doubt = one.clash(&other);
    assert!(!doubt.identifiers && doubt.uuid && doubt.serial);
    assert!(one.clash(&other.without(Doubt::from_bits(7))).is_none());
}

#[test]
fn one_namespace_through_two_controllers_stays_one_disk() {
    let path = |cntlid, shared| Identity::of(&info("S1", cntlid), &[namespace(7, 9, shared)]);
    assert!(path(1, true).clash(&path(2, true)).is_none());
    assert!(
        !path(1, true).clash(&path(1, true)).is_none(),
        "one CNTLID is no subsystem of two"
    );
    assert!(
        !path(1, false).clash(&path(2, false)).is_none(),
        "a private namespace is in one place"
    );
}

#[test]
fn namespaces_of_one_controller_that_repeat_their_identifiers_are_told_apart() {
    let both = [namespace(7, 9, false), namespace(7, 9, false)];
    let identity = Identity::of(&info("S1", 1), &both);
    assert_eq!(identity.naming(Doubt::NONE), Naming::Serial);
    let blank = [namespace(0, 0, false), namespace(0, 0, false)];
    let identity = Identity::of(&info("S1", 1), &blank);
    assert_eq!(identity.naming(Doubt::NONE), Naming::Reported);
}

#[test]
fn a_record_is_about_one_drive() {
    let identity = drive("S1", 7, 9);
    for bits in 0..8 {
        let doubt = Doubt::from_bits(bits);
        let record = identity.to_record(doubt);
        assert_eq!(identity.doubt_of(&record), Some(doubt));
        assert_eq!(drive("S2", 7, 9).doubt_of(&record), None);
    }
    assert_eq!(identity.doubt_of(&[0; 16]), None);
}
