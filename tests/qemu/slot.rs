//! The device leaves its slot, and another one comes.

use nvme_model::{Access, Bus, BusFault, Rule};
use portbed::controller::{Controller, Width};
use portbed::machine::Data;
use portbed::memory::PhysicalMemory;
use rusty_fork::rusty_fork_test;

use crate::{device, qemu, started, write_16};

/// Registers of the controller: its capabilities, configuration and status.
const CAP: u64 = 0x00;
const CC: u64 = 0x14;
const CSTS: u64 = 0x1C;

/// A machine that takes no notice of what the controller does.
struct Nobody;

impl Bus for Nobody {
    fn read(&mut self, address: u64, _: &mut [u8], _: Access) -> Result<(), BusFault> {
        Err(BusFault { address })
    }
    fn write(&mut self, address: u64, _: &[u8], _: Access) -> Result<(), BusFault> {
        Err(BusFault { address })
    }
    fn interrupt(&mut self, _: u16) {}
    fn line(&mut self, _: bool) {}
    fn judge(&mut self, _: Rule, _: bool, _: &dyn Fn() -> String) {}
    fn note(&mut self, _: String) {}
}

/// Reads a register of 32 bits.
fn get(controller: &mut impl Controller, offset: u64) -> u32 {
    controller.read(offset, Width::Four, 0, &mut Nobody) as u32
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn device_that_leaves_while_nothing_is_on_its_way() {
        if let Some((mut bed, units, _)) = started("capacity=64M,namespaces=2") {
            let data = Data::Out(vec![1; 512]);
            assert!(bed.execute(&units[1], &write_16(0, 1), data).succeeded());
            bed.pulled();
        }
    }

    #[test]
    fn device_that_has_gone_answers_all_ones_and_a_fresh_one_starts_anew() {
        let Some(program) = qemu() else {
            return;
        };
        let (_, mut controller, _backings) = device("capacity=64M,max_ioqpairs=3", program);
        let bytes = controller.most_memory_bytes();
        let memory = PhysicalMemory::new(bytes, 1).expect("memory");
        controller.attach(&memory, bytes).expect("QEMU starts");
        let capabilities = get(&mut controller, CAP);
        let identity = controller.config_read(0, 4);
        assert!(![0, u32::MAX].contains(&capabilities));
        // Enabled without queues: its status changes, if only to a fatal one.
        controller.write(CC, Width::Four, 0x46_0001, 0, &mut Nobody);
        assert_ne!(get(&mut controller, CC), 0);

        controller.remove(&mut Nobody);
        for register in [CAP, CC, CSTS, 0x1000] {
            assert_eq!(get(&mut controller, register), u32::MAX, "{register:#x}");
        }
        assert_eq!(controller.config_read(0, 4), u32::MAX);
        controller.write(CC, Width::Four, 1, 0, &mut Nobody);
        assert_eq!(controller.failure(), None, "QEMU itself runs on");

        controller.insert(&mut Nobody).expect("a fresh controller");
        assert_eq!(controller.config_read(0, 4), identity);
        assert_eq!(get(&mut controller, CAP), capabilities);
        assert_eq!(get(&mut controller, CC), 0);
        assert_eq!(get(&mut controller, CSTS), 0);
        assert_eq!(controller.failure(), None);
    }
}
