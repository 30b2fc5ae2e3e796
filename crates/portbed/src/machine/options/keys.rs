//! The options of the port driver by their names.

use super::dma::dma_grant;
use super::performance as perf;
use super::{
    Affinity, DispatchFree, DispatchGrant, Grant, Interrupts, Isolation, Neighbour, PortKey,
    PortOptionError, PortOptions, Power, PowerIrql, Removal, Stop, WorkItems,
};

const KEYS: [PortKey; 23] = [
    PortKey {
        name: "grant",
        meaning: "host memory that is granted: preferred, minimum, half, refuse, later:N (refused N times first), notimplemented, invalid, ranges:N",
        default: "preferred",
    },
    PortKey {
        name: "dma-memory",
        meaning: "contiguous and DMA memory that is given: ok, refuse, nth:N (the N-th allocation is refused), limit:KIB (no more at once), notimplemented",
        default: "ok",
    },
    PortKey {
        name: "group-size",
        meaning: "processors of a processor group, 1 to 64, as `bcdedit /set groupsize` chooses",
        default: "64",
    },
    PortKey {
        name: "nodes",
        meaning: "NUMA nodes, over which the processors are spread, 1 to 64",
        default: "1",
    },
    PortKey {
        name: "free",
        meaning: "what a free of host memory is answered: ok, unsuccessful",
        default: "ok",
    },
    PortKey {
        name: "hmb-dispatch",
        meaning: "host memory that is granted at DISPATCH_LEVEL: ok (as grant says), small (half at most, in ranges of 128 KiB at most), refuse",
        default: "ok",
    },
    PortKey {
        name: "free-dispatch",
        meaning: "what a free of host memory at DISPATCH_LEVEL is answered: ok (as free says), refuse",
        default: "ok",
    },
    PortKey {
        name: "workitems",
        meaning: "until when StorPortQueueWorkItem succeeds: removal, stop (until the adapter's stop or removal is announced)",
        default: "removal",
    },
    PortKey {
        name: "stop",
        meaning: "how the adapter is stopped: passive, dirql, dirql-nodpc",
        default: "passive",
    },
    PortKey {
        name: "power",
        meaning: "how the adapter is powered down and up: control (ScsiAdapterPower), stop (ScsiStopAdapter and ScsiRestartAdapter)",
        default: "control",
    },
    PortKey {
        name: "powerirql",
        meaning: "the IRQL of ScsiAdapterPower: any (as the seed decides), passive, dispatch",
        default: "any",
    },
    PortKey {
        name: "pnp",
        meaning: "stop and removal are announced by a PnP SRB: on, off",
        default: "on",
    },
    PortKey {
        name: "removal",
        meaning: "what a device whose removal comes by surprise is: pulled (it does not answer), present (it was only said to be gone)",
        default: "pulled",
    },
    PortKey {
        name: "interrupts",
        meaning: "interrupts that the adapter gets: messages, early (messages, with MSI-X enabled before HwFindAdapter and one pending before HwInitialize), late (messages, with MSI-X enabled after HwInitialize), msi (plain MSI), message, line",
        default: "messages",
    },
    PortKey {
        name: "neighbour",
        meaning: "another device on the interrupt line: none, working (it interrupts now and then), broken:N (it asserts the line for N interrupts in a row that no routine claims)",
        default: "none",
    },
    PortKey {
        name: "affinity",
        meaning: "the processor that takes an interrupt message: spread (the one with its number), reversed (from the last one down), first (one for all), turns (each of the first group in turn takes the next one)",
        default: "spread",
    },
    PortKey {
        name: "irqlquery",
        meaning: "StorPortGetCurrentIrql is implemented: on, off (Windows 10 has no such call)",
        default: "on",
    },
    PortKey {
        name: "iommu",
        meaning: "DMA to memory that was not given for it, which is told: on (kept from it), off (carried out, so that a run goes on as without an IOMMU)",
        default: "on",
    },
    PortKey {
        name: "perf",
        meaning: "performance options that StorPortInitializePerfOpts offers: all, none, notimplemented, or names joined by +: dpc, channels, ranges, locality, startio, currentcpu",
        default: "all",
    },
    PortKey {
        name: "perf-version",
        meaning: "the newest version of PERF_CONFIGURATION_DATA that is known, 1 to 8: a newer one is not supported, and an older one has fewer options",
        default: "8",
    },
    PortKey {
        name: "perf-set",
        meaning: "what a set of performance options that were offered is answered: ok, refuse (insufficient resources)",
        default: "ok",
    },
    PortKey {
        name: "perf-channels",
        meaning: "concurrent channels that are offered: processors (one for each), or a number",
        default: "processors",
    },
    PortKey {
        name: "perf-params",
        meaning: "the message and the channel that StorPortGetStartIoPerfParams tells: own (the processor's), other (the next one's), any (as the seed decides), shared (the first ones), notimplemented",
        default: "own",
    },
];

impl PortOptions {
    /// The keys that [`PortOptions::set`] takes.
    #[must_use]
    pub fn keys() -> &'static [PortKey] {
        &KEYS
    }

    /// Sets one option from text.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), PortOptionError> {
        let Some(known) = KEYS.iter().find(|known| known.name == key) else {
            return Err(PortOptionError::UnknownKey(key.to_owned()));
        };
        let bad = || PortOptionError::BadValue {
            key: known.name,
            value: value.to_owned(),
            expected: known.meaning,
        };
        match known.name {
            "grant" => self.grant = grant(value).ok_or_else(bad)?,
            "free" => self.takes_back = free(value).ok_or_else(bad)?,
            "hmb-dispatch" => self.dispatch_grant = dispatch_grant(value).ok_or_else(bad)?,
            "free-dispatch" => self.dispatch_free = dispatch_free(value).ok_or_else(bad)?,
            "workitems" => self.work_items = work_items(value).ok_or_else(bad)?,
            "stop" => self.stop = stop(value).ok_or_else(bad)?,
            "power" => self.power = power(value).ok_or_else(bad)?,
            "powerirql" => self.power_irql = power_irql(value).ok_or_else(bad)?,
            "pnp" => self.pnp = switch(value).ok_or_else(bad)?,
            "removal" => self.removal = removal(value).ok_or_else(bad)?,
            "interrupts" => self.interrupts = interrupts(value).ok_or_else(bad)?,
            "neighbour" => self.neighbour = Neighbour::parse(value).ok_or_else(bad)?,
            "dma-memory" => self.dma_grant = dma_grant(value).ok_or_else(bad)?,
            "group-size" => self.group_size = up_to_64(value).ok_or_else(bad)?,
            "nodes" => self.nodes = up_to_64(value).ok_or_else(bad)?,
            "affinity" => self.affinity = affinity(value).ok_or_else(bad)?,
            "iommu" => self.iommu = isolation(value).ok_or_else(bad)?,
            "perf" => self.performance.offer = perf::offer(value).ok_or_else(bad)?,
            "perf-version" => self.performance.version = perf::version(value).ok_or_else(bad)?,
            "perf-set" => self.performance.refuses = perf::refuses(value).ok_or_else(bad)?,
            "perf-channels" => self.performance.channels = perf::channels(value).ok_or_else(bad)?,
            "perf-params" => self.performance.start_io = perf::start_io(value).ok_or_else(bad)?,
            _ => self.irql_query = switch(value).ok_or_else(bad)?,
        }
        Ok(())
    }
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn isolation(value: &str) -> Option<Isolation> {
    match value {
        "on" => Some(Isolation::On),
        "off" => Some(Isolation::Off),
        _ => None,
    }
}

fn grant(value: &str) -> Option<Grant> {
    Some(match value {
        "preferred" => Grant::Preferred,
        "minimum" => Grant::Minimum,
        "half" => Grant::Half,
        "refuse" => Grant::Refuse,
        "notimplemented" => Grant::NotImplemented,
        "invalid" => Grant::Invalid,
        _ => match value.split_once(':')? {
            ("ranges", count) => Grant::Ranges(positive(count)?),
            ("later", count) => Grant::Later(positive(count)?),
            _ => return None,
        },
    })
}

fn free(value: &str) -> Option<bool> {
    match value {
        "ok" => Some(true),
        "unsuccessful" => Some(false),
        _ => None,
    }
}

fn dispatch_grant(value: &str) -> Option<DispatchGrant> {
    Some(match value {
        "ok" => DispatchGrant::Ok,
        "small" => DispatchGrant::Small,
        "refuse" => DispatchGrant::Refuse,
        _ => return None,
    })
}

fn dispatch_free(value: &str) -> Option<DispatchFree> {
    match value {
        "ok" => Some(DispatchFree::Ok),
        "refuse" => Some(DispatchFree::Refuse),
        _ => None,
    }
}

fn work_items(value: &str) -> Option<WorkItems> {
    match value {
        "removal" => Some(WorkItems::ToTheEnd),
        "stop" => Some(WorkItems::ToTheStop),
        _ => None,
    }
}

fn removal(value: &str) -> Option<Removal> {
    match value {
        "pulled" => Some(Removal::Pulled),
        "present" => Some(Removal::Present),
        _ => None,
    }
}

pub(super) fn positive(number: &str) -> Option<u32> {
    number.parse().ok().filter(|&number| number > 0)
}

fn stop(value: &str) -> Option<Stop> {
    Some(match value {
        "passive" => Stop::Passive,
        "dirql" => Stop::Dirql,
        "dirql-nodpc" => Stop::DirqlNoDpc,
        _ => return None,
    })
}

fn power(value: &str) -> Option<Power> {
    Some(match value {
        "control" => Power::Control,
        "stop" => Power::Stop,
        _ => return None,
    })
}

fn power_irql(value: &str) -> Option<PowerIrql> {
    Some(match value {
        "any" => PowerIrql::Any,
        "passive" => PowerIrql::Passive,
        "dispatch" => PowerIrql::Dispatch,
        _ => return None,
    })
}

fn interrupts(value: &str) -> Option<Interrupts> {
    Some(match value {
        "messages" => Interrupts::Messages,
        "early" => Interrupts::Early,
        "late" => Interrupts::Late,
        "msi" => Interrupts::Msi,
        "message" => Interrupts::OneMessage,
        "line" => Interrupts::Line,
        _ => return None,
    })
}

fn up_to_64(value: &str) -> Option<u32> {
    positive(value).filter(|&number| number <= 64)
}

fn affinity(value: &str) -> Option<Affinity> {
    Some(match value {
        "spread" => Affinity::Spread,
        "reversed" => Affinity::Reversed,
        "first" => Affinity::First,
        "turns" => Affinity::Turns,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_key_takes_and_changes_nothing() {
        let mut options = PortOptions::default();
        for key in PortOptions::keys() {
            options.set(key.name, key.default).unwrap();
        }
        assert_eq!(options, PortOptions::default());
    }

    #[test]
    fn an_unknown_key_is_told_from_a_bad_value() {
        let mut options = PortOptions::default();
        assert!(matches!(
            options.set("hmpre", "64M"),
            Err(PortOptionError::UnknownKey(_))
        ));
        assert!(matches!(
            options.set("grant", "ranges:0"),
            Err(PortOptionError::BadValue { .. })
        ));
        options.set("grant", "ranges:7").unwrap();
        assert_eq!(options.grant, Grant::Ranges(7));
    }
}
