//! What most scenarios check: the memory was lent, or not, and where it is in the end.

use portbed::machine::{Data, HmbReport, LogicalUnit, MachineError, Request, Token};

use crate::bed::Bed;

pub const MIB: u64 = 1 << 20;
pub const SECOND_NS: u64 = 1_000_000_000;

/// Every byte that was granted is accounted for once.
pub fn assert_balanced(report: &HmbReport) {
    let HmbReport {
        freed_bytes,
        retained_bytes,
        left_to_port_bytes,
        outstanding_bytes,
        ..
    } = *report;
    let accounted = freed_bytes + retained_bytes + left_to_port_bytes + outstanding_bytes;
    assert_eq!(accounted, report.granted_bytes, "{report:?}");
}

/// All that was granted was freed.
pub fn assert_all_returned(report: &HmbReport) {
    assert_balanced(report);
    assert_eq!(report.freed_bytes, report.granted_bytes, "{report:?}");
}

/// Nothing that was granted was freed: the driver told that it keeps it.
pub fn assert_all_retained(report: &HmbReport) {
    assert_balanced(report);
    assert_eq!(report.retained_bytes, report.granted_bytes, "{report:?}");
}

/// The one event with this text.
pub fn the_event(bed: &Bed, text: &str) -> String {
    let logged = bed.logged(text);
    let [event] = &logged[..] else {
        panic!("one event '{text}' expected: {:#?}", bed.logged(""));
    };
    event.clone()
}

/// A number of an event.
pub fn number(event: &str, name: &str) -> u64 {
    let value = event
        .split(", ")
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).expect(name)
}

/// Starts and removes an adapter of this profile; checks that what was granted was lent and came back.
pub fn lends(profile: &str, granted_bytes: u64) -> HmbReport {
    let (bed, _) = Bed::started(profile);
    the_event(&bed, "HMB lent");
    let report = bed.finish();
    assert_eq!(report.granted_bytes, granted_bytes);
    assert_eq!((report.enabled, report.disabled, report.freed), (1, 1, 1));
    assert_all_returned(&report);
    report
}

/// Starts and removes an adapter of this profile; checks that it runs without a buffer and says why.
pub fn runs_without(profile: &str, why: u64) -> HmbReport {
    runs_without_for(profile, &[], why)
}

/// As [`runs_without`], with faults of the controller.
pub fn runs_without_for(profile: &str, faults: &[&str], why: u64) -> HmbReport {
    let mut bed = Bed::with_faults(profile, faults);
    let units = bed.start();
    assert_eq!(units.len(), 1, "the disk works all the same");
    assert_eq!(number(&the_event(&bed, "HMB not lent"), "Why"), why);
    let report = bed.finish();
    assert_all_returned(&report);
    report
}

/// Starts an adapter of this profile, which the controller does not live through; `then` looks at it before the driver is
/// unloaded. The routine that could not start it had to say so: that is no fault.
pub fn does_not_start(profile: &str, then: fn(&Bed)) -> HmbReport {
    let mut bed = Bed::new(profile);
    let error = bed.machine.start_adapter().expect_err("it does not start");
    assert!(matches!(error, MachineError::Start(_)), "{error}");
    then(&bed);
    let leaks = bed.machine.unload().expect("the driver unloads");
    assert_eq!(leaks, Vec::<String>::new());
    let violations = bed.machine.rules().violations();
    assert!(violations.is_empty(), "{violations:#?}");
    let report = bed.machine.hmb();
    assert_balanced(&report);
    report
}

/// A read of 64 KiB at a block.
pub fn read(unit: &LogicalUnit, block: u32) -> Request {
    let mut cdb = vec![0; 10];
    cdb[0] = 0x28;
    cdb[2..6].copy_from_slice(&block.to_be_bytes());
    cdb[7..9].copy_from_slice(&128_u16.to_be_bytes());
    Request {
        unit: unit.address,
        cdb,
        data: Data::In(64 << 10),
        ..Request::default()
    }
}

/// Sends reads, which are on their way when this returns.
pub fn submit_reads(bed: &mut Bed, unit: &LogicalUnit, count: u32) -> Vec<Token> {
    let requests = (0..count).map(|index| read(unit, index * 128));
    requests
        .map(|request| bed.machine.submit(request).expect("a request"))
        .collect()
}

/// Reads until that fails, as it does when the controller dies: how many reads succeeded.
pub fn read_until_dead(bed: &mut Bed, unit: &LogicalUnit) -> u32 {
    for count in 0..10 {
        let completed = bed.machine.execute(read(unit, 0)).expect("it runs on");
        if !completed.succeeded() {
            return count;
        }
    }
    panic!("the controller does not die");
}
