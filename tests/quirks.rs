//! What is done differently with a device that the registry gives quirks for.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::PowerAction;
use rusty_fork::rusty_fork_test;

/// The setting: bit 31, and these bits.
fn started(profile: &str, bits: u32) -> Bed {
    let given = 1_u32 << 31 | bits;
    let (mut bed, units) = Bed::started(&format!("{profile},reg.Quirks={given}"));
    bed.fill(&units[0], 1);
    let told = format!("Device with quirks, Quirks={bits}, FromRegistry=1");
    assert_eq!(
        bed.logged("Device with quirks"),
        if bits == 0 { vec![] } else { vec![told] }
    );
    bed
}

/// How many Identify commands with this CNS the controller got.
fn identified(cns: u8, bits: u32) -> u64 {
    let profile = format!(
        "plain,namespaces=3,capacity=64M,reg.Quirks={}",
        1_u32 << 31 | bits
    );
    let mut bed = Bed::with_faults(&profile, &[&format!("identify.cns={cns}:delay=1us")]);
    assert_eq!(bed.start().len(), 3);
    let fired = bed.fired()[0];
    bed.finish();
    fired
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn no_host_memory_is_lent() {
        assert_eq!(started("hmb", 1).finish().granted_bytes, 0);
        assert_ne!(started("hmb", 0).finish().granted_bytes, 0);
    }

    #[test]
    fn identifiers_are_not_believed() {
        let bed = started("plain,uuid=0", 1 << 1);
        assert_eq!(bed.logged("Identifiers are not unique").len(), 1);
        assert!(bed.logged("Identifiers are not unique")[0].contains("Reason=3, NamedBy=2"));
        bed.finish();
    }

    #[test]
    fn no_register_is_read_after_a_reset() {
        for (bits, least_ns) in [(0, 0), (1 << 2, 2_300_000_000)] {
            let mut bed = started("plain", bits);
            let before = bed.machine.now_ns();
            bed.machine.power_down(PowerAction::None).expect("it sleeps");
            bed.machine.power_up().expect("it wakes");
            let units = bed.machine.enumerate().expect("the disks answer");
            bed.expect_filled(&units[0], 1);
            assert!(bed.machine.now_ns() - before >= least_ns);
            bed.finish();
        }
    }

    #[test]
    fn model_tells_what_the_pci_identifier_does_not() {
        for (model, waits) in [("Samsung SSD 970 EVO Plus 1TB", false), ("Samsung Portable SSD X5", true)] {
            let (mut bed, units) = Bed::started(&format!("plain,pci=144d:a808,model={model}"));
            bed.fill(&units[0], 1);
            assert_eq!(bed.logged("Device with quirks, Quirks=4, FromRegistry=0").len(), usize::from(waits));
            let before = bed.machine.now_ns();
            bed.machine.power_down(PowerAction::None).expect("it sleeps");
            bed.machine.power_up().expect("it wakes");
            let units = bed.machine.enumerate().expect("the disks answer");
            bed.expect_filled(&units[0], 1);
            let took = bed.machine.now_ns() - before;
            assert_eq!(took >= 2_300_000_000, waits, "{took} ns");
            bed.finish();
        }
    }

    #[test]
    fn list_and_descriptors_are_not_asked_for() {
        assert!(identified(2, 0) > 0);
        assert_eq!(identified(2, 1 << 3), 0);
        assert!(identified(3, 0) > 0);
        assert_eq!(identified(3, 1 << 4), 0);
    }

    #[test]
    fn one_message_serves_all_queues() {
        // Interrupt vector, interrupts enabled, physically contiguous.
        for (bits, cdw11) in [(0, "0x10003"), (1 << 5, "0x3")] {
            let profile = format!("plain,reg.Quirks={}", 1_u32 << 31 | bits);
            let fault = format!("create-io-completion-queue.cdw11={cdw11}:delay=1us");
            let mut bed = Bed::with_faults(&profile, &[&fault]);
            let units = bed.start();
            bed.fill(&units[0], 1);
            assert_eq!(bed.fired(), [1], "{bits:#x}");
            bed.finish();
        }
    }
}
