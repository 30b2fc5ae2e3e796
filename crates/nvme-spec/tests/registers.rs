//! Offsets of the registers and doorbells, and what their fields mean.

// Each test crate uses its own part of the facts.
#[allow(dead_code)]
mod facts;

use facts::{Record, enumerator};
use nvme_spec::registers::*;
use proptest::prelude::*;

#[test]
fn registers_lie_where_the_facts_say() {
    let registers = Record::named("NVME_CONTROLLER_REGISTERS");
    for (offset, name) in [
        (CAP, "CAP"),
        (VS, "VS"),
        (INTMS, "INTMS"),
        (INTMC, "INTMC"),
        (CC, "CC"),
        (CSTS, "CSTS"),
        (NSSR, "NSSR"),
        (AQA, "AQA"),
        (ASQ, "ASQ"),
        (ACQ, "ACQ"),
        (CMBLOC, "CMBLOC"),
        (CMBSZ, "CMBSZ"),
        (CRTO, "CRTO"),
    ] {
        assert_eq!(
            u64::from(offset) * 8,
            registers.place(name).offset_bits,
            "{name}"
        );
        assert_eq!(
            u64::from(offset),
            enumerator("_NVME_PROPERTY_OFFSET", &format!("NvmeProp{name}")),
            "{name}"
        );
    }
    assert_eq!(
        u64::from(DOORBELLS) * 8,
        registers.place("Doorbells").offset_bits
    );
}

#[test]
fn registers_have_the_width_of_the_facts() {
    let registers = Record::named("NVME_CONTROLLER_REGISTERS");
    for (bytes, name) in [
        (size_of::<Capabilities>(), "CAP"),
        (size_of::<Version>(), "VS"),
        (size_of::<ControllerConfiguration>(), "CC"),
        (size_of::<ControllerStatus>(), "CSTS"),
        (size_of::<AdminQueueAttributes>(), "AQA"),
        (size_of::<ControllerMemoryBufferLocation>(), "CMBLOC"),
        (size_of::<ControllerMemoryBufferSize>(), "CMBSZ"),
        (size_of::<ReadyTimeouts>(), "CRTO"),
    ] {
        assert_eq!(bytes as u64 * 8, registers.place(name).bits, "{name}");
    }
}

#[test]
fn the_subsystem_reset_is_asked_for_by_name() {
    assert_eq!(NSSR_RESET.to_be_bytes(), *b"NVMe");
}

/// PCIe 3.1.2.1 and 3.1.2.2: pairs of doorbells, one stride from one to the next.
#[test]
fn doorbells_of_the_first_queues() {
    assert_eq!(submission_tail_doorbell(0, 0), 0x1000);
    assert_eq!(completion_head_doorbell(0, 0), 0x1004);
    assert_eq!(submission_tail_doorbell(1, 0), 0x1008);
    assert_eq!(completion_head_doorbell(1, 0), 0x100C);
    assert_eq!(submission_tail_doorbell(1, 4), 0x1080);
    assert_eq!(completion_head_doorbell(3, 4), 0x11C0);
}

proptest! {
    /// The formula of the specification, or a place that is in no BAR where it leaves 32 bits.
    #[test]
    fn doorbells_follow_the_formula(queue_id: u16, dstrd in 0_u8..16) {
        let stride = 4_u64 << dstrd;
        let expected = |index: u64| u32::try_from(0x1000 + index * stride).unwrap_or(u32::MAX);
        let index = 2 * u64::from(queue_id);
        prop_assert_eq!(submission_tail_doorbell(queue_id, dstrd), expected(index));
        prop_assert_eq!(completion_head_doorbell(queue_id, dstrd), expected(index + 1));
    }
}

#[test]
fn versions_are_in_order() {
    let version = |mjr, mnr, ter| Version::new().with_mjr(mjr).with_mnr(mnr).with_ter(ter);
    assert_eq!(version(1, 4, 0).into_bits(), 0x0001_0400);
    assert!(version(1, 4, 0) < version(2, 0, 0));
    assert!(version(1, 2, 1) > version(1, 2, 0));
}

/// What a host writes to enable the NVM Command Set with 4 KiB pages and 64 and 16-byte entries.
#[test]
fn the_usual_configuration() {
    let cc = ControllerConfiguration::new()
        .with_en(true)
        .with_iosqes(6)
        .with_iocqes(4);
    assert_eq!(cc.into_bits(), 0x0046_0001);
    assert_eq!(
        cc.with_shn(ShutdownNotification::NORMAL).into_bits(),
        0x0046_4001
    );
}

#[test]
fn a_controller_that_has_gone_is_readable() {
    let status = ControllerStatus::from_bits(u32::MAX);
    assert!(status.rdy() && status.cfs());
    assert_eq!(status.shst().name(), "reserved shutdown status");
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "wider than its field")]
fn a_value_that_does_not_fit_is_noticed_by_a_debug_build() {
    let _ = ControllerConfiguration::new().with_mps(16);
}

#[test]
#[cfg(not(debug_assertions))]
fn a_value_that_does_not_fit_touches_no_other_field() {
    let cc = ControllerConfiguration::new().with_mps(0xF7);
    assert_eq!(cc, ControllerConfiguration::new().with_mps(7));
}
