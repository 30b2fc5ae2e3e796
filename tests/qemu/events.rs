//! Asynchronous events: what the device reports of its health unasked.

use portbed::controller::Monitor;
use rusty_fork::rusty_fork_test;
use serde_json::json;

use crate::bed::Bed;
use crate::{started_with_monitor, submit_writes};

/// What the driver logs: event 111.
const EVENT: &str = "Asynchronous event";
/// Critical warnings of the SMART log page: spare blocks are low, reliability is degraded.
const SPARE: u8 = 0x01;
const RELIABILITY: u8 = 0x04;
/// Dword 0 of the completions: an event of type SMART (1), with what happened and log page 2.
const RELIABILITY_EVENT: &str = "EventDword=131073";
const SPARE_EVENT: &str = "EventDword=131585";

fn warn(monitor: &Monitor, warnings: u8) {
    let value = json!({
        "path": "/machine/peripheral/nvme0",
        "property": "smart_critical_warning",
        "value": warnings,
    });
    monitor.execute("qom-set", &value).expect("QEMU takes it");
}

/// Lets half a second pass, and gives what the driver has logged by then.
fn after_a_while(bed: &mut Bed) -> Vec<String> {
    bed.machine.pass(500_000_000).expect("the driver runs on");
    bed.logged(EVENT)
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn each_warning_of_the_device_is_logged_once() {
        let Some((mut bed, units, monitor)) = started_with_monitor("capacity=64M") else {
            return;
        };
        assert_eq!(after_a_while(&mut bed), Vec::<String>::new());
        warn(&monitor, RELIABILITY);
        let logged = after_a_while(&mut bed);
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(logged[0].contains(RELIABILITY_EVENT), "{logged:?}");
        // The request was repeated, and the log page was read, which lets the next event of this type come.
        warn(&monitor, RELIABILITY | SPARE);
        let logged = after_a_while(&mut bed);
        assert_eq!(logged.len(), 2, "{logged:?}");
        assert!(logged[1].contains(SPARE_EVENT), "{logged:?}");
        submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), 1);
        let completed = bed.machine.drain().expect("the driver runs on");
        assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
        assert_eq!(after_a_while(&mut bed).len(), 2);
        bed.finish();
    }
}
