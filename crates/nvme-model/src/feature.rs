//! The values of features. A reset brings their defaults back: none of them can be saved.

use std::collections::{BTreeMap, BTreeSet};

use nvme_spec::feature::{AsyncEventConfiguration, FeatureId, NumberOfQueues, VolatileWriteCache};

use crate::log::TEMPERATURE;
use crate::profile::Profile;

/// The highest power state.
pub(crate) const POWER_STATE_MAX: u8 = 2;
/// The over temperature threshold after a reset, in kelvins.
const OVER_TEMPERATURE: u32 = 343;

/// A feature whose value is dword 11.
pub(crate) struct Simple {
    /// Its identifier.
    pub(crate) id: FeatureId,
    /// The bits that are not reserved.
    pub(crate) bits: u32,
    /// The value after a reset.
    pub(crate) default: u32,
    /// It is a namespace's, not the controller's.
    pub(crate) of_namespace: bool,
}

const fn simple(id: FeatureId, bits: u32, default: u32) -> Simple {
    Simple {
        id,
        bits,
        default,
        of_namespace: false,
    }
}

const SIMPLE: &[Simple] = &[
    simple(FeatureId::ARBITRATION, 0xFFFF_FF07, 0),
    simple(FeatureId::POWER_MANAGEMENT, 0xFF, 0),
    Simple {
        of_namespace: true,
        ..simple(FeatureId::ERROR_RECOVERY, 0x0001_FFFF, 0)
    },
    simple(FeatureId::VOLATILE_WRITE_CACHE, 1, 1),
    simple(FeatureId::INTERRUPT_COALESCING, 0xFFFF, 0),
    simple(FeatureId::WRITE_ATOMICITY_NORMAL, 1, 0),
    simple(FeatureId::ASYNC_EVENT_CONFIGURATION, 0x11F, 0),
];

/// A temperature threshold: the sensor, and whether it is the lower one.
pub(crate) type Threshold = (u8, bool);

/// The values of features.
pub(crate) struct Features {
    has_cache: bool,
    /// By identifier and namespace, 0 for the controller's own.
    values: BTreeMap<(u8, u32), u32>,
    /// What Number of Queues granted.
    pub(crate) queues: Option<NumberOfQueues>,
    /// Vectors for which coalescing is disabled.
    pub(crate) not_coalesced: BTreeSet<u16>,
    thresholds: BTreeMap<Threshold, u32>,
}

impl Features {
    /// Every feature has its default.
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            has_cache: profile.write_cache,
            values: BTreeMap::new(),
            queues: None,
            not_coalesced: BTreeSet::new(),
            thresholds: BTreeMap::new(),
        }
    }

    /// The feature of this identifier, if there is one whose value is dword 11.
    pub(crate) fn simple(&self, id: FeatureId) -> Option<&'static Simple> {
        let absent = id == FeatureId::VOLATILE_WRITE_CACHE && !self.has_cache;
        SIMPLE.iter().find(|simple| simple.id == id && !absent)
    }

    /// The value of a simple feature.
    pub(crate) fn get(&self, simple: &Simple, nsid: u32) -> u32 {
        let key = (simple.id.0, if simple.of_namespace { nsid } else { 0 });
        self.values.get(&key).copied().unwrap_or(simple.default)
    }

    /// Changes a simple feature.
    pub(crate) fn set(&mut self, simple: &Simple, nsid: u32, value: u32) {
        let key = (simple.id.0, if simple.of_namespace { nsid } else { 0 });
        self.values.insert(key, value & simple.bits);
    }

    /// A temperature threshold in kelvins.
    pub(crate) fn threshold(&self, threshold: Threshold) -> u32 {
        let default = match threshold {
            (_, true) => 0,
            (0, false) => OVER_TEMPERATURE,
            (_, false) => 0xFFFF,
        };
        self.thresholds.get(&threshold).copied().unwrap_or(default)
    }

    /// Changes a temperature threshold.
    pub(crate) fn set_threshold(&mut self, threshold: Threshold, kelvins: u16) {
        self.thresholds.insert(threshold, u32::from(kelvins));
    }

    /// The composite temperature is beyond a threshold.
    pub(crate) fn temperature_warning(&self) -> bool {
        let temperature = u32::from(TEMPERATURE);
        temperature >= self.threshold((0, false)) || temperature <= self.threshold((0, true))
    }

    /// A warning of the temperature is to be reported.
    pub(crate) fn reports_temperature(&self) -> bool {
        self.events().critical_warnings().temperature()
    }

    /// A warning that the media are read-only is to be reported.
    pub(crate) fn reports_read_only(&self) -> bool {
        self.events().critical_warnings().read_only()
    }

    /// A change of a namespace is to be reported.
    pub(crate) fn reports_namespaces(&self) -> bool {
        self.events().namespace_attribute()
    }

    fn events(&self) -> AsyncEventConfiguration {
        self.simple(FeatureId::ASYNC_EVENT_CONFIGURATION)
            .map(|simple| AsyncEventConfiguration::from_bits(self.get(simple, 0)))
            .unwrap_or_default()
    }

    /// There is a write cache, and it is enabled.
    pub(crate) fn write_cache(&self) -> bool {
        self.simple(FeatureId::VOLATILE_WRITE_CACHE)
            .is_some_and(|simple| VolatileWriteCache::from_bits(self.get(simple, 0)).wce())
    }
}
