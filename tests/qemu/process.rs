//! The process of QEMU: what it does not take, and when it does not answer.

use std::process::Command;

use portbed::machine::Data;
use rusty_fork::rusty_fork_test;

use crate::{on_qemu, qemu, started, write_16};

/// The processes that this one has started.
fn children() -> String {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    threads
        .map(|thread| thread.expect("a thread").path().join("children"))
        .map(|path| std::fs::read_to_string(path).unwrap_or_default())
        .collect()
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn qemu_that_stops_to_answer_ends_the_run() {
        let Some((mut bed, units, _)) = started("capacity=64M") else {
            return;
        };
        let process = children();
        let stopped = Command::new("sh").args(["-c", &format!("kill -STOP {process}")]).status();
        assert!(stopped.expect("a shell").success());
        let completed = bed.execute(&units[0], &write_16(0, 1), Data::Out(vec![1; 512]));
        assert!(!completed.succeeded());
        let failure = bed.machine.controller_failure().expect("a failure");
        assert!(failure.contains("has not answered"), "{failure}");
        assert_eq!(children(), "", "nothing is left running");
    }

    #[test]
    fn property_that_qemu_does_not_have_is_told_in_one_line() {
        if let Some(program) = qemu() {
            let told = std::panic::catch_unwind(|| on_qemu("nosuch=1", program));
            let told = told.err().expect("no machine");
            let told = told.downcast_ref::<String>().expect("a message");
            assert!(told.contains("Property 'nvme.nosuch' not found"), "{told}");
        }
    }
}
