//! What the miniport has to know of PCI configuration space.

use wdk_sys::_BUS_DATA_TYPE::PCIConfiguration;
use wdk_sys::storage::{StorPortGetBusData, StorPortSetBusDataByOffset};

use super::{Configuration, Port};

/// Bytes of the part of configuration space that capabilities lie in.
const CONFIGURATION_BYTES: usize = 256;
/// The command register: memory decoding, and DMA and messages of the function.
const COMMAND: usize = 0x04;
const MEMORY_SPACE: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
/// Where the list of capabilities begins.
const CAPABILITIES_POINTER: usize = 0x34;
/// Capability identifier of MSI-X.
const MSI_X: u8 = 0x11;
/// Message Control of MSI-X: enabled.
const MSI_X_ENABLE: u8 = 0x80;
/// More capabilities than configuration space has room for: the list is a loop.
const MOST_CAPABILITIES: usize = 48;

/// The controller's function, as it was when configuration space was read.
pub(crate) struct PciFunction {
    space: [u8; CONFIGURATION_BYTES],
}

impl PciFunction {
    fn byte(&self, at: usize) -> u8 {
        self.space.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at.saturating_add(1))])
    }

    /// PCI vendor and device.
    pub(crate) fn identifier(&self) -> (u16, u16) {
        (self.word(0), self.word(2))
    }

    /// Where the MSI-X capability lies.
    fn msi_x(&self) -> Option<usize> {
        let mut at = self.byte(CAPABILITIES_POINTER);
        for _ in 0..MOST_CAPABILITIES {
            let place = usize::from(at & !3);
            if place == 0 {
                return None;
            }
            if self.byte(place) == MSI_X {
                return Some(place);
            }
            at = self.byte(place.saturating_add(1));
        }
        None
    }

    /// Whether it can interrupt by MSI-X.
    pub(crate) fn has_msi_x(&self) -> bool {
        self.msi_x().is_some()
    }

    /// Whether it interrupts by MSI-X now: then its interrupt mask registers must not be accessed
    /// (NVMe over PCIe Transport 1.0c, section 3.5.1.1).
    pub(crate) fn msi_x_enabled(&self) -> bool {
        self.msi_x()
            .is_some_and(|place| self.byte(place.saturating_add(3)) & MSI_X_ENABLE != 0)
    }

    /// Has memory decoding and bus mastering enabled, whatever was left there. `StorPortSetBusDataByOffset`, only inside
    /// `HwStorFindAdapter`.
    pub(crate) fn let_master(&self, port: Port, configuration: &Configuration<'_>) {
        let command = self.word(COMMAND);
        let wanted = command | MEMORY_SPACE | BUS_MASTER;
        if wanted == command {
            return;
        }
        let mut bytes = wanted.to_le_bytes();
        let (bus, slot) = configuration.location();
        // SAFETY: the buffer has the length that is passed.
        unsafe {
            StorPortSetBusDataByOffset(
                port.extension(),
                PCIConfiguration.cast_unsigned(),
                bus,
                slot,
                bytes.as_mut_ptr().cast(),
                COMMAND as u32,
                bytes.len() as u32,
            );
        }
    }
}

impl Port {
    /// The controller's function; `None` where configuration space cannot be read. `StorPortGetBusData`, only inside
    /// `HwStorFindAdapter`.
    pub(crate) fn pci_function(self, configuration: &Configuration<'_>) -> Option<PciFunction> {
        let mut space = [0_u8; CONFIGURATION_BYTES];
        let (bus, slot) = configuration.location();
        // SAFETY: the buffer has the length that is passed.
        let read = unsafe {
            StorPortGetBusData(
                self.extension(),
                PCIConfiguration.cast_unsigned(),
                bus,
                slot,
                space.as_mut_ptr().cast(),
                CONFIGURATION_BYTES as u32,
            )
        };
        (read as usize == CONFIGURATION_BYTES).then_some(PciFunction { space })
    }
}
