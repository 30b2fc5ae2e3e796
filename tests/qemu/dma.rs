//! What commands let QEMU transfer is held to the same rules as what the model transfers itself. QEMU would complete a
//! command whose data lie elsewhere as if nothing was wrong.

use portbed::journal::Journal;
use portbed::machine::{Clock, Data, Machine, MachineOptions, Request};
use rusty_fork::rusty_fork_test;

use crate::faults::Fault;
use crate::{device, qemu};

/// The rules that the breaker miniport breaks with this fault when it writes and reads eight pages.
fn broken(fault: Fault) -> Option<Vec<&'static str>> {
    let (mut selection, controller, _backings) = device("capacity=64M", qemu()?);
    selection.registry.insert("Fault".to_owned(), fault as u32);
    let mut machine = Machine::new(MachineOptions {
        cpus: 2,
        seed: 1,
        clock: Clock::default(),
        port: selection.port,
        registry: selection.registry,
        controllers: vec![Box::new(controller)],
        journal: Journal::default(),
    })
    .expect("a machine");
    let image = wdk_linux::breaker().expect("the image builds");
    machine.load(&image).expect("DriverEntry succeeds");
    machine.start_adapter().expect("the adapter starts");
    for (opcode, data) in [
        (0x2A, Data::Out(vec![7; 32 * 512])),
        (0x28, Data::In(32 * 512)),
    ] {
        let cdb = vec![opcode, 0, 0, 0, 0, 0, 0, 0, 32, 0];
        let request = Request {
            cdb,
            data,
            buffer_offset: 516,
            ..Request::default()
        };
        // What broke a rule may well fail.
        let completed = machine.execute(request).expect("the driver runs on");
        assert!(completed.succeeded() || fault != Fault::None);
    }
    machine.stop_and_remove().expect("the adapter stops");
    let rules = machine.rules();
    let evaluated = rules.evaluated();
    for rule in ["dma-target", "nvme-prp-offset"] {
        let times = evaluated.iter().find(|(id, _)| *id == rule);
        assert!(times.is_some_and(|&(_, times)| times > 0), "{rule}");
    }
    let violations = rules.violations();
    Some(violations.iter().map(|violation| violation.rule).collect())
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 600_000)]

    #[test]
    fn miniport_without_a_fault_breaks_no_rule() {
        if let Some(rules) = broken(Fault::None) {
            assert_eq!(rules, Vec::<&str>::new());
        }
    }

    #[test]
    fn data_elsewhere() {
        if let Some(rules) = broken(Fault::DataElsewhere) {
            assert_eq!(rules, ["dma-target"]);
        }
    }

    #[test]
    fn page_that_does_not_start_at_a_page() {
        if let Some(rules) = broken(Fault::OddPage) {
            assert_eq!(rules, ["nvme-prp-offset"]);
        }
    }
}
