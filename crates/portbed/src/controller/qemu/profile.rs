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

/// Keys with this prefix are options of QEMU's `blkdebug` below each namespace, such as
/// `blkdebug.inject-error.0.event=read_aio`.
const ERRORS_PREFIX: &str = "blkdebug.";

/// MDTS of QEMU's `nvme` unless told: a power of two of 4 KiB.
const MDTS: u32 = 7;

/// The device, its namespaces, and what is behind them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QemuProfile {
    /// Capacity, block size, number of namespaces and largest transfer, in the model's terms.
    geometry: Profile,
    controller: Vec<(String, String)>,
    namespace: Vec<(String, String)>,
    errors: Vec<(String, String)>,
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
            errors: Vec::new(),
        }
    }
}

impl QemuProfile {
    /// Sets `capacity` or `namespaces`, which mean what they mean for the model, an option of `blkdebug`, or a property by
    /// the name that QEMU has for it. Whether QEMU knows it shows when it starts.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ProfileError> {
        if let Some(option) = key.strip_prefix(ERRORS_PREFIX) {
            self.errors.push((option.to_owned(), value.to_owned()));
            return Ok(());
        }
        let property = (key.to_owned(), value.to_owned());
        match key {
            "capacity" | "namespaces" => return self.geometry.set(key, value),
            "logical_block_size" => {
                let set = self.geometry.set("block", value);
                set.map_err(|error| named("logical_block_size", error))?;
            }
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
        with(
            "nvme,id=nvme0,bus=port0,subsys=subsystem,serial=portbed",
            &self.controller,
        )
    }

    /// The value of `-blockdev` for what is behind a namespace.
    pub(super) fn disk(&self, nsid: usize, path: &str) -> String {
        let mut disk = format!("driver=raw,node-name=disk{nsid},file.");
        if !self.errors.is_empty() {
            disk.push_str("driver=blkdebug,file.");
            for (key, value) in &self.errors {
                disk.extend([key, "=", value, ",file."]);
            }
            disk.push_str("image.");
        }
        let file = if self.errors.is_empty() {
            "file."
        } else {
            "file.image."
        };
        // The files are locked, where they have to be, by who owns them.
        disk + &format!("driver=file,{file}locking=off,{file}filename={path}")
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

/// The error of a key of the model's, with the name of the property that the user knows.
fn named(property: &'static str, error: ProfileError) -> ProfileError {
    match error {
        ProfileError::BadValue { value, meaning, .. } => ProfileError::BadValue {
            key: property,
            value,
            meaning,
        },
        other => other,
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
            "nvme,id=nvme0,bus=port0,subsys=subsystem,serial=portbed,max_ioqpairs=4,mdts=5"
        );
        assert_eq!(
            profile.namespace(2),
            "nvme-ns,bus=nvme0,nsid=2,drive=disk2,logical_block_size=4096,physical_block_size=4096"
        );
    }

    #[test]
    fn errors_are_injected_below_each_namespace() {
        let mut profile = QemuProfile::default();
        let disk = |profile: &QemuProfile| profile.disk(1, "/disk");
        assert_eq!(
            disk(&profile),
            "driver=raw,node-name=disk1,file.driver=file,file.locking=off,file.filename=/disk"
        );
        profile
            .set("blkdebug.inject-error.0.event", "read_aio")
            .unwrap();
        profile.set("blkdebug.inject-error.0.errno", "5").unwrap();
        assert_eq!(
            disk(&profile),
            "driver=raw,node-name=disk1,file.driver=blkdebug,file.inject-error.0.event=read_aio,\
             file.inject-error.0.errno=5,file.image.driver=file,file.image.locking=off,file.image.filename=/disk"
        );
    }

    #[test]
    fn what_portbed_needs_to_know_is_checked() {
        let mut profile = QemuProfile::default();
        let refused = profile.set("logical_block_size", "3").unwrap_err();
        assert!(refused.to_string().contains("'logical_block_size'"));
        assert!(profile.set("capacity", "-1").is_err());
        assert!(profile.set("mdts", "99").is_err());
        assert_eq!(profile, QemuProfile::default());
    }
}
