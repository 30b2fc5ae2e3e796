//! The controller's registers: what they hold, which may be written, and how wide they are.

use nvme_spec::registers::{
    ACQ, AQA, ASQ, AdminQueueAttributes, CAP, CC, CMBLOC, CMBSZ, CRTO, CSTS, Capabilities,
    ControllerConfiguration, ControllerStatus, INTMC, INTMS, ReadyTimeouts, VS, Version,
};

use crate::profile::Profile;

/// The bits of CC that are not reserved for a controller without CRIME.
pub(crate) const CC_BITS: u32 = 0x00FF_FFF1;
/// The bits of AQA that are not reserved.
pub(crate) const AQA_BITS: u32 = 0x0FFF_0FFF;
/// The bits of ASQ and ACQ that are not reserved.
pub(crate) const BASE_BITS: u64 = !0xFFF;

/// What CSTS.RDY is on the way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// CC.EN was set.
    Ready,
    /// CC.EN was cleared.
    NotReady,
}

/// The registers below the doorbells.
pub(crate) struct Registers {
    /// CAP, which changes at most with the first write of CC.
    pub(crate) cap: Capabilities,
    /// CAP from the first write of CC on.
    settled_cap: Capabilities,
    /// CRTO.CRWMT.
    crwmt: u16,
    /// VS, which never changes.
    pub(crate) version: Version,
    /// The interrupt mask that INTMS and INTMC show and change.
    pub(crate) mask: u32,
    /// CC.
    pub(crate) cc: ControllerConfiguration,
    /// CSTS.
    pub(crate) csts: ControllerStatus,
    /// AQA.
    pub(crate) aqa: AdminQueueAttributes,
    /// ASQ.
    pub(crate) asq: u64,
    /// ACQ.
    pub(crate) acq: u64,
    /// When CSTS.RDY follows CC.EN.
    pub(crate) change: Option<(u64, Change)>,
    /// When a shutdown completes.
    pub(crate) shutdown_ns: Option<u64>,
    /// When CC.EN was last set.
    pub(crate) enabled_ns: u64,
}

impl Registers {
    /// The registers as they come out of a reset.
    pub(crate) fn new(profile: &Profile) -> Self {
        let cap = Capabilities::new()
            .with_mqes_z((profile.queue_entries - 1) as u16)
            .with_cqr(true)
            .with_to((profile.timeout_ns / 500_000_000) as u8)
            .with_dstrd(profile.doorbell_bytes.trailing_zeros() as u8 - 2)
            .with_css_nvm(true)
            .with_crwms(profile.version >= 0x0002_0000)
            .with_mpsmin(profile.page_min_bytes.trailing_zeros() as u8 - 12)
            .with_mpsmax(profile.page_max_bytes.trailing_zeros() as u8 - 12);
        let first = if profile.late_timeout {
            cap.with_to(1)
        } else {
            cap
        };
        let crto_ns = match profile.crto_ns {
            0 => profile.timeout_ns,
            ns => ns,
        };
        Self {
            cap: first,
            settled_cap: cap,
            crwmt: (crto_ns / 500_000_000) as u16,
            version: Version::from_bits(profile.version),
            mask: 0,
            cc: ControllerConfiguration::new(),
            csts: ControllerStatus::new(),
            aqa: AdminQueueAttributes::new(),
            asq: 0,
            acq: 0,
            change: None,
            shutdown_ns: None,
            enabled_ns: 0,
        }
    }

    /// CC was written.
    pub(crate) fn settle(&mut self) {
        self.cap = self.settled_cap;
    }

    /// The memory page size that CC selects.
    pub(crate) fn page_bytes(&self) -> u64 {
        1 << (12 + u32::from(self.cc.mps()))
    }

    /// The dword at this offset, which is a multiple of 4. Reserved registers read as zero.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        let halves = |value: u64, base: u32| (value >> (8 * (offset - base))) as u32;
        match offset {
            CAP..VS => halves(self.cap.into_bits(), CAP),
            VS => self.version.into_bits(),
            INTMS | INTMC => self.mask,
            CC => self.cc.into_bits(),
            CSTS => self.csts.into_bits(),
            AQA => self.aqa.into_bits(),
            ASQ..ACQ => halves(self.asq, ASQ),
            ACQ..CMBLOC => halves(self.acq, ACQ),
            CRTO if self.cap.crwms() => ReadyTimeouts::new().with_crwmt(self.crwmt).into_bits(),
            _ => 0,
        }
    }
}

/// Whether a register starts here that is this wide, or has a half of this width here.
pub(crate) fn width_fits(offset: u64, bytes: u8) -> bool {
    match bytes {
        4 => offset.is_multiple_of(4),
        8 => [CAP, ASQ, ACQ].map(u64::from).contains(&offset),
        _ => false,
    }
}

/// Puts a dword into the half of an 8-byte register.
pub(crate) fn set_half(register: &mut u64, offset: u32, base: u32, value: u32) {
    let shift = 8 * (offset - base);
    *register = *register & !(0xFFFF_FFFF << shift) | u64::from(value) << shift;
}

const _: () = assert!(CMBLOC + 4 == CMBSZ && ACQ + 8 == CMBLOC);
