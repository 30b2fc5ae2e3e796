//! Pages 80h and 83h of the disks of several adapters: what Windows tells disks apart by.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::Data;
use rusty_fork::rusty_fork_test;

/// What an adapter's first disk says of itself: unit serial number and device identification.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Name {
    serial: String,
    designators: Vec<u8>,
}

fn started(bed: &mut Bed, adapter: usize) -> Name {
    bed.machine.select_adapter(adapter);
    let unit = bed.start().swap_remove(0);
    let mut page = |code| {
        let read = bed.execute(&unit, &[0x12, 1, code, 4, 0, 0], Data::In(1024));
        assert!(read.succeeded(), "{read:?}");
        let length = usize::from(read.data[2]) << 8 | usize::from(read.data[3]);
        read.data[4..4 + length].to_vec()
    };
    let serial = String::from_utf8(page(0x80)).expect("ASCII");
    Name {
        serial,
        designators: page(0x83),
    }
}

fn removed(bed: &mut Bed, adapter: usize) {
    bed.machine.select_adapter(adapter);
    bed.machine.stop_and_remove().expect("the adapter stops");
}

/// The disks of two controllers that are there at the same time, twice: the second time in the other order.
fn named(profiles: &[&str; 2]) -> ([Name; 2], usize) {
    let mut bed = Bed::with_each(profiles);
    let first = [started(&mut bed, 0), started(&mut bed, 1)];
    removed(&mut bed, 0);
    removed(&mut bed, 1);
    let again = [1, 0].map(|adapter| started(&mut bed, adapter));
    let [second, first_again] = again;
    assert_eq!(first, [first_again, second], "after a restart");
    removed(&mut bed, 0);
    removed(&mut bed, 1);
    let told = bed.logged("Identifiers are not unique").len();
    bed.unload();
    (first, told)
}

fn assert_differ([one, other]: &[Name; 2]) {
    assert_ne!(one.serial, other.serial);
    assert_ne!(one.designators, other.designators);
}

const OWN: &str = "736F_6674_7761_7265_FEED_0001_0000_0001.";

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn drives_with_identifiers_of_their_own_are_named_by_them() {
        let other = "plain,serial=SW0000000002,nguid=00112233445566778899aabbccddeeff,eui64=0,uuid=0";
        let (names, told) = named(&["plain", other]);
        assert_eq!(names[0].serial, OWN);
        assert_eq!(names[1].serial, "0011_2233_4455_6677_8899_AABB_CCDD_EEFF.");
        assert_eq!(told, 0);
    }

    #[test]
    fn second_drive_with_the_same_identifiers_is_named_by_its_uuid() {
        let other = "plain,serial=SW0000000002,uuid=00112233445586778899aabbccddeeff";
        let (names, told) = named(&["plain", other]);
        assert_differ(&names);
        assert_eq!(names[0].serial, OWN);
        assert_eq!(names[1].serial, "0011_2233_4455_8677_8899_AABB_CCDD_EEFF.");
        assert!(told > 0);
    }

    #[test]
    fn second_drive_with_the_same_identifiers_and_no_uuid_is_named_by_its_serial_number() {
        let (names, _) = named(&["plain", "plain,serial=SW0000000002,uuid=0"]);
        assert_differ(&names);
        assert_eq!(names[0].serial, OWN);
        assert_eq!(names[1].serial, "SW0000000002        _00000001.");
    }

    #[test]
    fn drives_that_are_alike_in_everything_are_named_by_their_place() {
        for profile in ["plain", "plain,nguid=0,eui64=0,uuid=0", "plain,serial=,nguid=0,eui64=0,uuid=0"] {
            let (names, told) = named(&[profile, profile]);
            assert_differ(&names);
            assert!(names[1].serial.starts_with("PCI"), "{profile}: {names:?}");
            assert!(told > 0, "{profile}");
        }
    }

    #[test]
    fn one_namespace_through_two_controllers_is_one_disk() {
        let (names, told) = named(&["plain,path=1", "plain,path=2"]);
        assert_eq!(names[0], names[1]);
        assert_eq!((names[0].serial.as_str(), told), (OWN, 0));
    }

    #[test]
    fn drive_that_comes_back_clashes_with_nothing() {
        let mut bed = Bed::with_each(&["plain"]);
        let name = started(&mut bed, 0);
        bed.machine.surprise_remove().expect("the adapter goes");
        bed.machine.insert_device().expect("it comes back");
        assert_eq!(started(&mut bed, 0), name);
        assert_eq!(bed.logged("Identifiers are not unique").len(), 0);
        bed.finish();
    }
}
