//! PCI configuration space, as whoever looks at a function has to know it.

/// Class code of an NVMe controller: mass storage, non-volatile memory, NVM Express.
pub(crate) const CLASS_NVME: u32 = 0x01_0802;
/// Offset of the command register.
pub(crate) const COMMAND: u16 = 0x04;

/// Power Management Control, behind the head of its capability: the state in it, D3hot when all of it is set.
pub(crate) const POWER_STATE: u32 = 0x3;

/// Identifiers of capabilities: power management, MSI, PCI Express, MSI-X.
pub(crate) const POWER: u32 = 0x01;
pub(crate) const MSI: u32 = 0x05;
pub(crate) const EXPRESS: u32 = 0x10;
pub(crate) const MSI_X: u32 = 0x11;

/// Where the list of capabilities begins.
const CAPABILITIES: u16 = 0x34;
/// The space of a function has no room for more of them: a list that is longer is a circle.
const MOST_CAPABILITIES: usize = 48;

/// Where a function has a capability. `read` reads so many bytes of its configuration space.
pub(crate) fn capability(read: impl Fn(u16, u8) -> u32, id: u32) -> Option<u16> {
    let place = |pointer: u32| pointer as u16 & 0xFC;
    std::iter::successors(Some(place(read(CAPABILITIES, 1))), |at| {
        Some(place(read(at + 1, 1)))
    })
    .take(MOST_CAPABILITIES)
    .take_while(|at| *at != 0)
    .find(|at| read(*at, 1) == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration space of zeroes, but for these bytes.
    fn space(bytes: &'static [(u16, u32)]) -> impl Fn(u16, u8) -> u32 {
        move |offset, _| {
            let known = bytes.iter().find(|(at, _)| *at == offset);
            known.map_or(0, |(_, value)| *value)
        }
    }

    #[test]
    fn a_capability_is_found_in_the_list() {
        let read = space(&[(0x34, 0x40), (0x40, POWER), (0x41, 0x53), (0x50, MSI_X)]);
        assert_eq!(capability(&read, POWER), Some(0x40));
        assert_eq!(capability(&read, MSI_X), Some(0x50));
        assert_eq!(capability(&read, EXPRESS), None);
    }

    #[test]
    fn a_circle_and_an_absent_function_have_none() {
        let circle = space(&[(0x34, 0x40), (0x40, POWER), (0x41, 0x40)]);
        assert_eq!(capability(circle, MSI_X), None);
        assert_eq!(capability(|_, _| 0xFF, MSI_X), None);
    }
}
