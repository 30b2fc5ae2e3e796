//! What happens to the driver on each controller, and where else it is done.

use std::os::unix::fs::FileExt;

use portbed::disk::{Disk, Form, Unit};
use portbed::machine::{Completed, Data, PowerAction};
use portbed::workload::{self, Pattern, Stream};
use serde_json::json;

use crate::place::{Bad, Place, Stand};

/// A row of the table.
pub struct Scenario {
    pub name: &'static str,
    pub model: Here,
    pub qemu: Here,
    pub vfio: Elsewhere,
    pub linux: Elsewhere,
}

/// A controller that is at hand.
#[derive(Clone, Copy)]
pub enum Here {
    /// It is done here.
    Done(fn(Place)),
    /// It is not possible there, and why.
    Not(&'static str),
}

/// A guest, in which other programs do what they can.
#[derive(Clone, Copy)]
pub enum Elsewhere {
    /// The scenarios of the guest that show it: all of them have to pass.
    By(&'static [&'static str]),
    /// It is not possible there, and why.
    Not(&'static str),
}

const ONE_DISK: Elsewhere = Elsewhere::Not("the guest's device has one namespace");
const NO_POWER: Elsewhere = Elsewhere::Not("the guest does not sleep");
const STAYS: Elsewhere = Elsewhere::Not("the device stays in the guest");
const NO_FAULTS: Elsewhere = Elsewhere::Not("nothing is wrong with the guest's disk");
const NO_HMB: &str = "QEMU's device takes no host memory buffer";
const OTHER_DRIVER: Elsewhere = Elsewhere::Not("Linux's driver is not the one to be judged");

const fn both(name: &'static str, done: fn(Place), vfio: Elsewhere, linux: Elsewhere) -> Scenario {
    Scenario {
        name,
        model: Here::Done(done),
        qemu: Here::Done(done),
        vfio,
        linux,
    }
}

pub const SCENARIOS: &[Scenario] = &[
    both(
        "start, file system, D3 and back, every block verified, removal",
        |place| main_job(place.start("capacity=64M")),
        Elsewhere::By(&["destroys"]),
        Elsewhere::By(&[
            "usual-finds-the-disk",
            "usual-holds-a-file-system",
            "usual-shuts-down",
        ]),
    ),
    both(
        "the same in blocks of 4096 bytes",
        |place| main_job(place.start_in_blocks(4096, "capacity=64M")),
        Elsewhere::Not("the guest's disk has blocks of 512 bytes"),
        Elsewhere::By(&[
            "other-finds-the-disk",
            "other-holds-a-file-system",
            "other-shuts-down",
        ]),
    ),
    both(
        "the same on two namespaces",
        |place| main_job(place.start("capacity=32M,namespaces=2")),
        ONE_DISK,
        ONE_DISK,
    ),
    both(
        "the same with one message",
        |place| main_job(place.start("capacity=32M,interrupts=message")),
        Elsewhere::Not("the guest has all messages"),
        Elsewhere::Not("the guest decides"),
    ),
    both(
        "the same with a line interrupt",
        |place| main_job(place.start("capacity=32M,interrupts=line")),
        Elsewhere::Not("the guest has messages"),
        Elsewhere::By(&["other-writes", "other-keeps-the-rules"]),
    ),
    both(
        "stream of reads and writes, each verified",
        stream,
        Elsewhere::By(&["streams"]),
        Elsewhere::By(&[
            "usual-writes",
            "usual-reads-what-was-there",
            "usual-writes-what-is-there",
        ]),
    ),
    both(
        "D3 with power kept, sleep, hibernation: data kept",
        power_cycles,
        NO_POWER,
        NO_POWER,
    ),
    both(
        "reset under I/O: no request and no data lost",
        reset_under_io,
        Elsewhere::Not("the guest's requests come from one stream"),
        Elsewhere::By(&[
            "usual-keeps-reading-over-resets",
            "usual-keeps-data-over-a-reset",
        ]),
    ),
    both("surprise removal under I/O", surprise, STAYS, STAYS),
    both(
        "fresh device in the same place: found, data as it was",
        comes_again,
        STAYS,
        STAYS,
    ),
    both(
        "stop at DIRQL without a plug-and-play request or a DPC",
        |place| {
            let mut stand = place.start("capacity=64M,pnp=off,stop=dirql-nodpc");
            assert!(stand.write(0, 8, 1).succeeded());
            stand.bed.finish();
        },
        OTHER_DRIVER,
        OTHER_DRIVER,
    ),
    both(
        "block that cannot be read: MEDIUM ERROR, works on",
        |place| bad_block(place, Bad::Read(5000), [0x11, 0x00]),
        NO_FAULTS,
        NO_FAULTS,
    ),
    both(
        "block that cannot be written: MEDIUM ERROR, works on",
        |place| bad_block(place, Bad::Write(5000), [0x03, 0x00]),
        NO_FAULTS,
        NO_FAULTS,
    ),
    Scenario {
        name: "health warnings: each is logged",
        model: Here::Not("nothing wears out"),
        qemu: Here::Done(health_warnings),
        vfio: Elsewhere::Not("nothing wears out"),
        linux: Elsewhere::Not("nothing wears out"),
    },
    Scenario {
        name: "host memory lent, kept over D3, returned, given back",
        model: Here::Done(host_memory),
        qemu: Here::Not(NO_HMB),
        vfio: Elsewhere::By(&["host-memory"]),
        linux: Elsewhere::By(&["usual-lends-memory", "usual-returns-memory-after-a-reset"]),
    },
    Scenario {
        name: "disk that holds data is only read",
        model: Here::Not("a disk with data is a matter of `--disk`"),
        qemu: Here::Not("a disk with data is a matter of `--disk`"),
        vfio: Elsewhere::By(&["reads-only", "leaves-what-it-only-reads"]),
        linux: Elsewhere::By(&["usual-reads-what-was-there"]),
    },
    Scenario {
        name: "device that is in use is not taken",
        model: Here::Not("nobody else uses it"),
        qemu: Here::Not("nobody else uses it"),
        vfio: Elsewhere::By(&[
            "refuses-a-mounted-disk",
            "refuses-swap-space",
            "refuses-another-driver",
            "asks-before-it-destroys",
        ]),
        linux: Elsewhere::Not("nobody else uses it"),
    },
    Scenario {
        name: "another driver takes it over",
        model: Here::Not("no other driver is there"),
        qemu: Here::Not("no other driver is there"),
        vfio: Elsewhere::By(&["binds-as-told", "gives-the-disk-back"]),
        linux: Elsewhere::By(&[
            "usual-comes-back-to-the-driver",
            "usual-keeps-data-over-a-function-reset",
        ]),
    },
];

/// A file system on every disk, a power cycle, everything read back and compared: through the driver, and in the files.
fn main_job(mut stand: Stand) {
    let mut disks = Vec::new();
    for (seed, (unit, backing)) in (1..).zip(stand.units.iter().zip(&stand.backings)) {
        let shadow = backing.shadow(unit.block_bytes).expect("a shadow copy");
        let mut disk = Disk::new(shadow, seed);
        assert_eq!(disk.geometry().blocks, unit.blocks);
        let mut transport = Unit::new(&mut stand.bed.machine, unit, seed);
        let content = workload::fill(&mut disk, &mut transport, seed).expect("a file system");
        disks.push((disk, content));
    }
    cycle(&mut stand, PowerAction::None);
    for (unit, (disk, content)) in stand.units.iter().zip(&mut disks) {
        let mut transport = Unit::new(&mut stand.bed.machine, unit, 9);
        let reading = workload::read_back(disk, &mut transport, content).expect("reads");
        assert_eq!(reading.wrong, Vec::<String>::new());
        disk.verify(&mut transport, u64::MAX).expect("reads");
    }
    stand.bed.finish();
    for ((mut disk, _), backing) in disks.into_iter().zip(&stand.backings) {
        disk.verify_outside(backing).expect("the file");
        assert_eq!(disk.io().failed, 0);
        assert_eq!(disk.io().mismatched_bytes, 0, "{:?}", disk.differences());
    }
}

fn cycle(stand: &mut Stand, action: PowerAction) {
    let machine = &mut stand.bed.machine;
    machine.power_down(action).expect("the adapter sleeps");
    machine.power_up().expect("the adapter wakes");
}

fn stream(place: Place) {
    let mut stand = place.start("capacity=64M");
    let shadow = stand.backings[0].shadow(512).expect("a shadow copy");
    let mut disk = Disk::new(shadow, 1);
    for (bytes, depth) in [(512, 1), (4096, 32), (128 << 10, 8)] {
        let stream = Stream {
            pattern: Pattern {
                reads: true,
                writes: true,
                random: true,
            },
            bytes,
            depth,
            requests: 400,
            form: Form::Varied,
            counted: 0,
            hottest: 0,
        };
        let mut unit = Unit::new(&mut stand.bed.machine, &stand.units[0], 1);
        let fill = bytes > 4096;
        stream
            .run(&mut disk, &mut unit, fill, 1)
            .expect("every request succeeds");
    }
    stand.bed.finish();
    disk.verify_outside(&stand.backings[0]).expect("the file");
    assert_eq!((disk.io().failed, disk.io().mismatched_bytes), (0, 0));
}

fn power_cycles(place: Place) {
    let mut stand = place.start("capacity=64M");
    let actions = [
        PowerAction::None,
        PowerAction::Sleep,
        PowerAction::Hibernate,
    ];
    for (turn, action) in (1..).zip(actions) {
        stand.submit_writes((0..64).map(|lba| lba * 8), turn);
        stand.all_succeed();
        cycle(&mut stand, action);
        let read = stand.read(0, 512);
        assert!(read.succeeded());
        assert!(read.data.iter().all(|&byte| byte == turn), "{action:?}");
    }
    stand.bed.finish();
    let mut found = vec![0; 64 * 4096];
    let file = stand.backings[0].handle().expect("a handle");
    file.read_exact_at(&mut found, 0).expect("the data");
    assert!(found.iter().all(|&byte| byte == 3));
}

fn reset_under_io(place: Place) {
    const BUS_RESET: u8 = 0x0E;
    // One processor has all interrupts: completions wait for it, and the reset meets requests.
    let mut stand = place.start("capacity=64M,affinity=first");
    let mut reset = 0;
    for turn in (1..=100).cycle().take(400) {
        stand.submit_writes((0..64).map(|lba| lba * 8), turn);
        stand.bed.machine.reset_bus().expect("the driver runs on");
        let completed = stand.bed.machine.drain().expect("the driver runs on");
        assert_eq!(completed.len(), 64);
        for (_, completed) in &completed {
            let status = completed.srb_status;
            assert!(completed.succeeded() || status == BUS_RESET, "{status:#x}");
            reset += u32::from(status == BUS_RESET);
        }
        stand.submit_writes((0..64).map(|lba| lba * 8), 100 + turn);
        stand.all_succeed();
        let read = stand.read(0, 512);
        assert!(read.data.iter().all(|&byte| byte == 100 + turn));
        // A device that is fast may be done each time.
        if reset > 0 && turn >= 20 {
            break;
        }
    }
    assert!(reset > 0, "no reset came while requests were outstanding");
    stand.bed.finish();
}

fn surprise(place: Place) {
    let mut stand = place.start("capacity=64M");
    stand.submit_writes((0..64).map(|lba| lba * 8), 1);
    stand.bed.pulled();
}

/// The driver stays, and starts on each device anew.
fn comes_again(place: Place) {
    let mut stand = place.start("capacity=64M,namespaces=2");
    let unit = stand.units[1].clone();
    for turn in 1..=3 {
        stand.bed.fill(&unit, turn);
        let synchronize = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let flushed = stand.bed.execute(&unit, &synchronize, Data::None);
        assert!(flushed.succeeded());
        stand.submit_writes((0..64).map(|lba| lba * 8), 1);
        let machine = &mut stand.bed.machine;
        machine.surprise_remove().expect("the adapter goes");
        machine.insert_device().expect("another device");
        assert_eq!(stand.bed.start(), stand.units);
        stand.bed.expect_filled(&unit, turn);
    }
    stand.bed.finish();
}

/// Requests that meet the bad block fail with this code, and all others succeed.
fn bad_block(place: Place, bad: Bad, code: [u8; 2]) {
    let (Bad::Read(block) | Bad::Write(block)) = bad;
    let mut stand = place.start_on_bad_disk(bad);
    for lba in [block, block - 1, block - 15] {
        let failed: Completed = match bad {
            Bad::Read(_) => stand.read(lba, 16),
            Bad::Write(_) => stand.write(lba, 16, 9),
        };
        let sense = failed.sense.as_deref().expect("sense data");
        assert_eq!((failed.srb_status, failed.scsi_status), (4, 2));
        assert_eq!(failed.transferred, 0);
        // No valid address: a completion does not tell which block it was, and a wrong one would be worse than none.
        assert_eq!(sense[0], 0x70, "{sense:x?}");
        assert_eq!((sense[2] & 0xF, &sense[12..14]), (3, &code[..]));
    }
    for (value, lba) in (1..).zip([0, block - 16, block + 1]) {
        assert!(stand.write(lba, 16, value).succeeded(), "{lba}");
        let found = stand.read(lba, 16);
        assert!(found.succeeded(), "{lba}");
        assert!(found.data.iter().all(|&byte| byte == value), "{lba}");
    }
    let synchronize = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let unit = stand.units[0].clone();
    let flushed = stand.bed.execute(&unit, &synchronize, Data::None);
    assert!(flushed.succeeded());
    stand.bed.finish();
}

/// A controller reports no event of a type again before the log page that the last one named was read.
fn health_warnings(place: Place) {
    const EVENT: &str = "Asynchronous event";
    // Critical warnings of the SMART log page, and dword 0 of the event: type 1, what it is, log page 2.
    const RELIABILITY: (u8, u32) = (0x04, 0x02_0001);
    const SPARE: (u8, u32) = (0x01, 0x02_0201);
    const TEMPERATURE: (u8, u32) = (0x02, 0x02_0101);
    let mut stand = place.start("capacity=64M");
    let monitor = stand.monitor.take().expect("a monitor");
    let mut warnings = 0;
    for (count, (warning, dword)) in (1..).zip([RELIABILITY, SPARE, TEMPERATURE]) {
        warnings |= warning;
        let value = json!({
            "path": "/machine/peripheral/nvme0",
            "property": "smart_critical_warning",
            "value": warnings,
        });
        monitor.execute("qom-set", &value).expect("QEMU takes it");
        let machine = &mut stand.bed.machine;
        machine.pass(500_000_000).expect("the driver runs on");
        let logged = stand.bed.logged(EVENT);
        assert_eq!(logged.len(), count, "{logged:?}");
        let told = format!("EventDword={dword}, LogPage=2");
        assert!(logged[count - 1].ends_with(&told), "{logged:?}");
    }
    stand.submit_writes((0..64).map(|lba| lba * 8), 1);
    stand.all_succeed();
    stand.bed.finish();
}

fn host_memory(_: Place) {
    let mut stand = Place::start_with("hmb,capacity=64M", None);
    assert!(stand.write(0, 64, 1).succeeded());
    cycle(&mut stand, PowerAction::None);
    assert!(stand.read(0, 64).data.iter().all(|&byte| byte == 1));
    let report = stand.bed.finish();
    assert_eq!(
        (report.enabled, report.memory_returned, report.disabled),
        (2, 1, 2)
    );
    assert_eq!(
        (
            report.freed,
            report.outstanding_bytes,
            report.retained_bytes
        ),
        (1, 0, 0)
    );
}
