//! PCI configuration space: a type 0 header with power management, MSI-X, MSI and PCI Express capabilities.

use crate::profile::{Handover, Profile};

/// Page size of the parts of the BAR.
const PAGE_BYTES: u64 = 4096;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const BAR0: usize = 0x10;
const POWER_MANAGEMENT: usize = 0x40;
const MSIX: usize = 0x50;
const MSI: usize = 0x60;
const EXPRESS: usize = 0x70;

/// Command register: memory decoding.
const MEMORY_SPACE: u16 = 1 << 1;
/// Command register: DMA and interrupt messages.
const BUS_MASTER: u16 = 1 << 2;
/// Command register: the INTx line stays low.
const INTX_DISABLE: u16 = 1 << 10;
/// Status register: the state of the INTx line, before `INTX_DISABLE`.
const INTX_STATUS: u8 = 1 << 3;
/// MSI-X message control: messages instead of the line.
const MSIX_ENABLE: u16 = 1 << 15;
/// MSI-X message control: every vector is masked.
const MSIX_MASK_ALL: u16 = 1 << 14;
/// MSI message control: messages instead of the line.
const MSI_ENABLE: u16 = 1;
/// MSI message control: how many messages there are, how many are enabled, and addresses of 64 bits.
const MSI_CAPABLE_SHIFT: u16 = 1;
const MSI_ENABLED_SHIFT: u16 = 4;
const MSI_COUNT: u16 = 7;
const MSI_WIDE: u16 = 1 << 7;
/// Device control: function level reset. Reads as zero.
const FUNCTION_RESET: u16 = 1 << 15;

/// Where things are in BAR 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BarLayout {
    /// The MSI-X table: 16 bytes a message.
    pub(crate) table: u64,
    /// The MSI-X pending bits: a bit a message, in 8-byte words.
    pub(crate) pending: u64,
    /// Size of the BAR.
    pub(crate) bytes: u64,
}

impl BarLayout {
    fn new(profile: &Profile) -> Self {
        let doorbells = u64::from(nvme_spec::registers::DOORBELLS);
        let table = (doorbells + profile.doorbells_bytes()).next_multiple_of(PAGE_BYTES);
        let pending = (table + u64::from(profile.messages) * 16).next_multiple_of(PAGE_BYTES);
        let end = pending + u64::from(profile.messages).div_ceil(64) * 8;
        Self {
            table,
            pending,
            bytes: end.next_power_of_two().max(4 * PAGE_BYTES),
        }
    }
}

/// What a write to configuration space asks of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigEffect {
    /// Nothing but what the space itself remembers.
    None,
    /// A function level reset.
    Reset,
}

/// The 256 bytes, and which of their bits the host can change.
pub(crate) struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
    layout: BarLayout,
}

impl ConfigSpace {
    /// The space as firmware leaves it: memory decoding on, bus mastering as the profile says.
    pub(crate) fn new(profile: &Profile) -> Self {
        let mut space = Self::reset(profile);
        let command = match profile.handover {
            Handover::Idle => MEMORY_SPACE,
            Handover::Clean | Handover::Masked => MEMORY_SPACE | BUS_MASTER,
        };
        space.put(COMMAND, &command.to_le_bytes());
        space
    }

    /// The space as it comes out of a reset.
    pub(crate) fn reset(profile: &Profile) -> Self {
        let layout = BarLayout::new(profile);
        let mut space = Self {
            bytes: [0; 256],
            writable: [0; 256],
            layout,
        };
        space.header(profile.pci);
        space.capabilities(profile);
        space
    }

    fn header(&mut self, (vendor, device): (u16, u16)) {
        self.put(0x00, &vendor.to_le_bytes());
        self.put(0x02, &device.to_le_bytes());
        self.put(STATUS, &[1 << 4, 0]); // capabilities list
        self.put(0x08, &[1, 0x02, 0x08, 0x01]); // revision, then class 01 08 02: NVM Express
        self.put(BAR0, &[0b100]); // 64-bit memory
        self.put(0x2C, &vendor.to_le_bytes());
        self.put(0x2E, &device.to_le_bytes());
        self.put(0x34, &[POWER_MANAGEMENT as u8]);
        self.put(0x3D, &[1]); // INTA#
        self.allow(
            COMMAND,
            &(MEMORY_SPACE | BUS_MASTER | INTX_DISABLE | 1 << 8 | 1 << 6).to_le_bytes(),
        );
        self.allow(BAR0, &(!(self.layout.bytes - 1)).to_le_bytes());
        self.allow(0x3C, &[0xFF]); // interrupt line
    }

    fn capabilities(&mut self, profile: &Profile) {
        let msi = if profile.msi > 0 { MSI } else { EXPRESS };
        let after_power = if profile.messages > 0 { MSIX } else { msi };
        self.put(POWER_MANAGEMENT, &[0x01, after_power as u8, 3, 0]);
        self.allow(POWER_MANAGEMENT + 4, &[0b11]); // power state
        if let Some(last) = profile.messages.checked_sub(1) {
            self.put(MSIX, &[0x11, msi as u8]);
            self.put(MSIX + 2, &last.to_le_bytes());
            self.put(MSIX + 4, &(self.layout.table as u32).to_le_bytes());
            self.put(MSIX + 8, &(self.layout.pending as u32).to_le_bytes());
            self.allow(MSIX + 2, &(MSIX_ENABLE | MSIX_MASK_ALL).to_le_bytes());
        }
        if profile.msi > 0 {
            let capable = profile.msi.trailing_zeros() as u16;
            let control = MSI_WIDE | capable << MSI_CAPABLE_SHIFT;
            self.put(MSI, &[0x05, EXPRESS as u8]);
            self.put(MSI + 2, &control.to_le_bytes());
            let changes = MSI_ENABLE | MSI_COUNT << MSI_ENABLED_SHIFT;
            self.allow(MSI + 2, &changes.to_le_bytes());
            self.allow(
                MSI + 4,
                &[0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            );
        }
        self.put(EXPRESS, &[0x10, 0, 2, 0]); // an endpoint, capability version 2
        self.put(EXPRESS + 4, &(1_u32 << 28 | 1 << 15).to_le_bytes()); // resets by function, reports errors by role
        self.put(EXPRESS + 0xC, &(4_u32 << 4 | 4).to_le_bytes()); // four lanes at 16 GT/s
        self.put(EXPRESS + 0x12, &(4_u16 << 4 | 4).to_le_bytes());
        self.allow(EXPRESS + 8, &0x7FFF_u16.to_le_bytes()); // device control
        self.allow(EXPRESS + 0x10, &0x0FFB_u16.to_le_bytes()); // link control
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, at: usize, bits: &[u8]) {
        self.writable[at..at + bits.len()].copy_from_slice(bits);
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Where things are in BAR 0.
    pub(crate) fn layout(&self) -> BarLayout {
        self.layout
    }

    /// Registers answer.
    pub(crate) fn decodes_memory(&self) -> bool {
        self.word(COMMAND) & MEMORY_SPACE != 0 && !self.sleeps()
    }

    /// DMA and messages go out.
    pub(crate) fn masters_bus(&self) -> bool {
        self.word(COMMAND) & BUS_MASTER != 0 && !self.sleeps()
    }

    /// The INTx line may be used: no messages, not disabled.
    pub(crate) fn line_allowed(&self) -> bool {
        self.word(COMMAND) & INTX_DISABLE == 0 && !self.uses_messages() && !self.sleeps()
    }

    /// MSI-X is enabled.
    pub(crate) fn uses_msix(&self) -> bool {
        self.bytes[MSIX] == 0x11 && self.word(MSIX + 2) & MSIX_ENABLE != 0
    }

    /// How many messages of plain MSI are enabled, where MSI-X is not. Never 0.
    pub(crate) fn msi_messages(&self) -> Option<u16> {
        let control = self.word(MSI + 2);
        let enabled = self.bytes[MSI] == 0x05 && control & MSI_ENABLE != 0 && !self.uses_msix();
        let capable = control >> MSI_CAPABLE_SHIFT & MSI_COUNT;
        enabled.then(|| 1 << (control >> MSI_ENABLED_SHIFT & MSI_COUNT).min(capable))
    }

    /// Interrupts are messages, of either kind.
    pub(crate) fn uses_messages(&self) -> bool {
        self.uses_msix() || self.msi_messages().is_some()
    }

    /// Every MSI-X vector is masked.
    pub(crate) fn masks_all_messages(&self) -> bool {
        self.uses_msix() && self.word(MSIX + 2) & MSIX_MASK_ALL != 0
    }

    /// The function is in D3hot.
    pub(crate) fn sleeps(&self) -> bool {
        self.bytes[POWER_MANAGEMENT + 4] & 0b11 == 0b11
    }

    /// Puts the function into D3hot or D0, as a write to the power management register does.
    pub(crate) fn sleep(&mut self, sleeps: bool) {
        self.bytes[POWER_MANAGEMENT + 4] &= !0b11;
        if sleeps {
            self.bytes[POWER_MANAGEMENT + 4] |= 0b11;
        }
    }

    /// Shows the level of the INTx line in the status register.
    pub(crate) fn show_line(&mut self, asserted: bool) {
        self.bytes[STATUS] &= !INTX_STATUS;
        if asserted {
            self.bytes[STATUS] |= INTX_STATUS;
        }
    }

    /// Up to four bytes, as far as the space goes; zero beyond it.
    pub(crate) fn read(&self, offset: u16, bytes: u8) -> u32 {
        (0..u16::from(bytes.min(4))).rev().fold(0, |value, at| {
            let byte = self.bytes.get(usize::from(offset) + usize::from(at));
            value << 8 | u32::from(byte.copied().unwrap_or(0))
        })
    }

    /// Writes up to four bytes: only what is writable changes.
    pub(crate) fn write(&mut self, offset: u16, bytes: u8, value: u32) -> ConfigEffect {
        let mut reset = false;
        for (at, byte) in value
            .to_le_bytes()
            .into_iter()
            .take(usize::from(bytes))
            .enumerate()
        {
            let at = usize::from(offset) + at;
            let (Some(old), Some(mask)) = (self.bytes.get_mut(at), self.writable.get(at)) else {
                continue;
            };
            *old = *old & !mask | byte & mask;
            reset |= at == EXPRESS + 9 && byte & (FUNCTION_RESET >> 8) as u8 != 0;
        }
        if reset {
            ConfigEffect::Reset
        } else {
            ConfigEffect::None
        }
    }
}

/// A vendor that was never assigned.
pub(crate) const VENDOR_ID: u16 = 0xFEED;
pub(crate) const DEVICE_ID: u16 = 0x0802;

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> ConfigSpace {
        ConfigSpace::new(&Profile::default())
    }

    #[test]
    fn it_is_an_nvm_express_controller() {
        assert_eq!(space().read(8, 4) >> 8, 0x01_08_02);
        assert_eq!(space().read(0x0E, 1), 0);
    }

    #[test]
    fn the_bar_tells_its_size() {
        let mut space = space();
        assert_eq!(space.read(0x10, 4) & 0xF, 0b100);
        space.write(0x10, 4, u32::MAX);
        space.write(0x14, 4, u32::MAX);
        let mask = u64::from(space.read(0x14, 4)) << 32 | u64::from(space.read(0x10, 4) & !0xF);
        assert_eq!(!mask + 1, space.layout().bytes);
        assert!(space.layout().pending + 8 <= space.layout().bytes);
    }

    #[test]
    fn the_capability_list_ends_and_names_msix() {
        for (messages, expected) in [("17", vec![0x01, 0x11, 0x10]), ("0", vec![0x01, 0x10])] {
            let mut profile = Profile::default();
            profile.set("messages", messages).unwrap();
            let space = ConfigSpace::new(&profile);
            let mut found = Vec::new();
            let mut at = space.read(0x34, 1) as u16;
            while at != 0 {
                found.push(space.read(at, 1));
                at = space.read(at + 1, 1) as u16;
            }
            assert_eq!(found, expected);
        }
        assert_eq!(space().read(MSIX as u16 + 2, 2) & 0x7FF, 16);
    }

    #[test]
    fn read_only_bytes_stay() {
        let mut space = space();
        let before = space.read(0, 4);
        space.write(0, 4, 0);
        assert_eq!(space.read(0, 4), before);
        assert_eq!(space.read(254, 4), 0);
        assert_eq!(space.read(4000, 4), 0);
        assert_eq!(
            space.write(EXPRESS as u16 + 8, 2, 0x8000),
            ConfigEffect::Reset
        );
        assert_eq!(space.read(EXPRESS as u16 + 8, 2), 0);
    }
}
