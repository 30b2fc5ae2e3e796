//! Interrupts and queues that the device can have. What else happens to the driver on it is in `tests/controllers`.

use portbed::machine::Data;
use rusty_fork::rusty_fork_test;

use crate::{started, submit_writes};

/// Starts, transfers more than its queue holds, and is removed.
fn comes_and_goes(profile: &str) {
    if let Some((mut bed, units, _)) = started(profile) {
        assert!(bed.execute(&units[0], &[0; 6], Data::None).succeeded());
        submit_writes(&mut bed, &units[0], (0..300).map(|lba| lba * 8), 1);
        let completed = bed.machine.drain().expect("the driver runs on");
        assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
        bed.finish();
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn message_for_each_queue() {
        comes_and_goes("capacity=64M,interrupts=messages");
    }

    #[test]
    fn one_message_for_all() {
        comes_and_goes("capacity=64M,interrupts=message");
    }

    #[test]
    fn line_interrupt() {
        comes_and_goes("capacity=64M,interrupts=line");
    }

    #[test]
    fn one_queue_pair_and_two_messages() {
        comes_and_goes("capacity=64M,max_ioqpairs=1,msix_qsize=2");
    }

    #[test]
    fn small_transfers() {
        comes_and_goes("capacity=64M,mdts=1");
    }
}
