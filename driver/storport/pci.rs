//! What the miniport has to know of PCI configuration space.

use wdk_sys::_BUS_DATA_TYPE::PCIConfiguration;
use wdk_sys::storage::StorPortGetBusData;

use super::{Configuration, Port};

/// Bytes of the part of configuration space that capabilities lie in.
const CONFIGURATION_BYTES: usize = 256;
/// Where the list of capabilities begins.
const CAPABILITIES_POINTER: usize = 0x34;
/// Capability identifier of MSI-X.
const MSI_X: u8 = 0x11;
/// Message Control of MSI-X: enabled.
const MSI_X_ENABLE: u8 = 0x80;
/// More capabilities than configuration space has room for: the list is a loop.
const MOST_CAPABILITIES: usize = 48;

impl Port {
    /// Whether the controller interrupts by MSI-X now: then its interrupt mask registers must not be touched
    /// (NVMe over PCIe Transport 1.0c, section 3.5.1.1). `StorPortGetBusData`, only inside `HwStorFindAdapter`.
    pub(crate) fn msi_x_enabled(self, configuration: &Configuration<'_>) -> bool {
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
        read as usize == CONFIGURATION_BYTES && msi_x_enabled(&space)
    }
}

fn msi_x_enabled(space: &[u8; CONFIGURATION_BYTES]) -> bool {
    let byte = |at: usize| space.get(at).copied().unwrap_or(0);
    let mut at = byte(CAPABILITIES_POINTER);
    for _ in 0..MOST_CAPABILITIES {
        let place = usize::from(at & !3);
        if place == 0 {
            return false;
        }
        if byte(place) == MSI_X {
            return byte(place.saturating_add(3)) & MSI_X_ENABLE != 0;
        }
        at = byte(place.saturating_add(1));
    }
    false
}
