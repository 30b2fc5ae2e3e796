//! The address of a PCI function.

use std::fmt;
use std::str::FromStr;

/// Domain, bus, device and function, as Linux writes them: `0000:01:00.0`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl FromStr for PciAddress {
    type Err = String;

    /// Reads `0000:01:00.0`, or `01:00.0` in domain 0.
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!("'{text}' is no address of a PCI function, such as 0000:01:00.0")
        })
    }
}

fn parse(text: &str) -> Option<PciAddress> {
    let (rest, function) = text.rsplit_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0000", rest));
    let address = PciAddress {
        domain: hexadecimal(domain, 4..=8)?,
        bus: hexadecimal(bus, 2..=2)? as u8,
        device: hexadecimal(device, 2..=2)? as u8,
        function: hexadecimal(function, 1..=1)? as u8,
    };
    (address.device < 32 && address.function < 8).then_some(address)
}

fn hexadecimal(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    (plain && length.contains(&digits.len()))
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_its_domain() {
        for (text, expected) in [
            ("0000:01:00.0", "0000:01:00.0"),
            ("01:1f.7", "0000:01:1f.7"),
            ("10000:E1:00.0", "10000:e1:00.0"),
        ] {
            assert_eq!(text.parse::<PciAddress>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "nvme0",
            "01:00",
            "0000:01:00",
            "0000:01:20.0",
            "01:00.8",
            "1:00.0",
            "+1:00.0",
            "0000:0001:00.0",
            "../../x:00.0",
            "/dev/nvme0n1",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
    }
}
