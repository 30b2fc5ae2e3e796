//! Which NVMe device QEMU emulates.

use nvme_model::{Profile, ProfileError};

/// Properties of QEMU's `nvme-ns`; every other one is a property of its `nvme`.
const NAMESPACE_PROPERTIES: [&str; 14] = [
    "detached",
    "discard_granularity",
    "eui64-default",
    "logical_block_size",
    "mcl",
    "min_io_size",
    "ms",
    "msrc",
    "mssrl",
    "opt_io_size",
    "physical_block_size",
    "shared",
    "uuid",
    "write-cache",
];

/// MDTS of QEMU's `nvme` unless told: a power of two of 4 KiB.
const MDTS: u32 = 7;

/// The device, its namespaces, and what is behind them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QemuProfile {
    /// Capacity, block size, number of namespaces and largest transfer, in the model's terms.
    geometry: Profile,
    controller: Vec<(String, String)>,
    namespace: Vec<(String, String)>,
}

impl Default for QemuProfile {
    fn default() -> Self {
        let geometry = Profile {
            mdts_bytes: 4096 << MDTS,
            hmpre_bytes: 0,
            hmmin_bytes: 0,
            ..Profile::default()
        };
        Self {
            geometry,
            controller: Vec::new(),
            namespace: Vec::new(),
        }
    }
}

impl QemuProfile {
    /// Sets `capacity` or `namespaces`, which mean what they mean for the model, or a property by the name that QEMU has
    /// for it. Whether QEMU knows it shows when it starts.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ProfileError> {
        let property = (key.to_owned(), value.to_owned());
        match key {
            "capacity" | "namespaces" => return self.geometry.set(key, value),
            "logical_block_size" => self.geometry.set("block", value)?,
            "mdts" => {
                let bytes = match value.parse::<u32>() {
                    Ok(0) => 0,
                    Ok(power) if power <= 12 => 4096_u64 << power,
                    _ => {
                        return Err(ProfileError::BadValue {
                            key: "mdts",
                            value: value.to_owned(),
                            meaning: "for QEMU a power of two of 4 KiB, 1 to 12, or 0: no limit",
                        });
                    }
                };
                self.geometry.mdts_bytes = bytes;
            }
            _ => {}
        }
        if NAMESPACE_PROPERTIES.contains(&key) {
            self.namespace.push(property);
        } else {
            self.controller.push(property);
        }
        Ok(())
    }

    /// The geometry of the namespaces and the largest transfer, as a profile of the model.
    #[must_use]
    pub fn geometry(&self) -> &Profile {
        &self.geometry
    }

    /// The value of `-device` for the controller.
    pub(super) fn controller(&self) -> String {
        with("nvme,id=nvme0,addr=04.0,serial=portbed", &self.controller)
    }

    /// The value of `-device` for a namespace.
    pub(super) fn namespace(&self, nsid: usize) -> String {
        let device = format!("nvme-ns,bus=nvme0,nsid={nsid},drive=disk{nsid}");
        let mut properties = self.namespace.clone();
        let block_bytes = self.geometry.block_bytes;
        if !properties
            .iter()
            .any(|(key, _)| key == "physical_block_size")
        {
            // QEMU refuses a physical block that is smaller than a logical one, and its default is 512 bytes.
            properties.push(("physical_block_size".to_owned(), block_bytes.to_string()));
        }
        with(&device, &properties)
    }
}

fn with(device: &str, properties: &[(String, String)]) -> String {
    let parts = properties
        .iter()
        .flat_map(|(key, value)| [",", key, "=", value]);
    [device].into_iter().chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_reaches_the_device_that_has_it() {
        let mut profile = QemuProfile::default();
        for (key, value) in [
            ("max_ioqpairs", "4"),
            ("mdts", "5"),
            ("logical_block_size", "4096"),
            ("capacity", "64M"),
            ("namespaces", "2"),
        ] {
            profile.set(key, value).unwrap();
        }
        let geometry = profile.geometry();
        assert_eq!(
            (
                geometry.mdts_bytes,
                geometry.block_bytes,
                geometry.namespaces
            ),
            (128 << 10, 4096, 2)
        );
        assert_eq!(
            profile.controller(),
            "nvme,id=nvme0,addr=04.0,serial=portbed,max_ioqpairs=4,mdts=5"
        );
        assert_eq!(
            profile.namespace(2),
            "nvme-ns,bus=nvme0,nsid=2,drive=disk2,logical_block_size=4096,physical_block_size=4096"
        );
    }

    #[test]
    fn what_portbed_needs_to_know_is_checked() {
        let mut profile = QemuProfile::default();
        assert!(profile.set("logical_block_size", "many").is_err());
        assert!(profile.set("capacity", "-1").is_err());
        assert!(profile.set("mdts", "99").is_err());
        assert_eq!(profile, QemuProfile::default());
    }
}
