//! What a machine is made of.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::controller::Controller;
use crate::journal::Journal;

/// Everything that decides a run: under the deterministic clock, the same options give the same run.
pub struct MachineOptions {
    /// The number of virtual processors, at least 1.
    pub cpus: u32,
    /// See [`Clock`].
    pub clock: Clock,
    /// Decides every choice that the machine makes.
    pub seed: u64,
    /// How the port driver behaves.
    pub port: PortOptions,
    /// Values of the service's `Parameters\Device` key.
    pub registry: BTreeMap<String, u32>,
    /// The controller behind each adapter, at least one.
    pub controllers: Vec<Box<dyn Controller>>,
    /// Where events are noted.
    pub journal: Journal,
}

/// What decides when a processor runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Clock {
    /// One processor runs at a time, as the seed decides, and time is virtual: the same seed gives the same run.
    #[default]
    Deterministic,
    /// The same, and one in so many calls and register accesses is followed, some instructions later, by a pre-emption of
    /// the driver code: at an instruction that the seed chooses.
    Preemptive(NonZeroU32),
    /// Every processor is a thread that runs in parallel with the others, in real time.
    Threaded,
}

/// How much host memory the port driver grants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Grant {
    /// What the miniport prefers.
    #[default]
    Preferred,
    /// What the miniport needs at least.
    Minimum,
    /// Half of what it prefers, even if that is below its minimum.
    Half,
    /// Nothing: insufficient resources.
    Refuse,
    /// Nothing so many times, then what the miniport prefers.
    Later(u32),
    /// The call is not implemented.
    NotImplemented,
    /// Nothing: the port driver says that the arguments are invalid, although they are not.
    Invalid,
    /// What the miniport prefers, in at least this many ranges where its array allows.
    Ranges(u32),
}

/// What host memory is granted at `DISPATCH_LEVEL`, where contiguous memory is scarcer than below.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DispatchGrant {
    /// What [`Grant`] says.
    #[default]
    Ok,
    /// At most half of what the miniport prefers, in ranges of at most 128 KiB, as many as its array has room for.
    Small,
    /// Nothing: insufficient resources.
    Refuse,
}

/// Whether host memory is taken back at `DISPATCH_LEVEL`: no page gives the IRQL of the free call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DispatchFree {
    /// It is.
    #[default]
    Ok,
    /// The call fails with `STOR_STATUS_UNSUCCESSFUL`, and the port driver keeps the memory.
    Refuse,
}

/// Until when work items are taken: `StorPortQueueWorkItem` fails during a removal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WorkItems {
    /// Until the adapter is removed.
    #[default]
    ToTheEnd,
    /// Until its stop or removal is announced, or, where that is not, until it is stopped.
    ToTheStop,
}

/// At which IRQL, and with what afterwards, an adapter is stopped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stop {
    /// At `PASSIVE_LEVEL`.
    #[default]
    Passive,
    /// At DIRQL with the interrupt lock; DPCs that the miniport issues run afterwards.
    Dirql,
    /// At DIRQL; DPCs that the miniport issues are dropped.
    DirqlNoDpc,
}

/// How the port driver changes the power of an adapter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Power {
    /// By `ScsiAdapterPower`, where the miniport supports it.
    #[default]
    Control,
    /// By `ScsiStopAdapter`, as [`Stop`] says, and `ScsiRestartAdapter`: the port driver does not know the other way.
    Stop,
}

/// At which IRQL `ScsiAdapterPower` comes: its page allows any up to `DISPATCH_LEVEL`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PowerIrql {
    /// One of the others, as the seed decides.
    #[default]
    Any,
    /// At `PASSIVE_LEVEL`.
    Passive,
    /// At `DISPATCH_LEVEL`.
    Dispatch,
}

/// What a device is whose removal comes by surprise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Removal {
    /// It was pulled out and does not answer.
    #[default]
    Pulled,
    /// It is still there, and answers: it was only said to be gone.
    Present,
}

/// Which interrupts the adapter gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Interrupts {
    /// As many MSI-X messages as the controller has.
    #[default]
    Messages,
    /// As many, with MSI-X enabled and every message masked before `HwFindAdapter`: what its commands leave pending comes
    /// as soon as the interrupt is connected, before `HwInitialize`.
    Early,
    /// As many, with MSI-X enabled when `HwInitialize` has returned: before the passive initialisation routine.
    Late,
    /// As many messages of plain MSI as the controller has.
    Msi,
    /// One message.
    OneMessage,
    /// The line.
    Line,
}

/// What becomes of DMA to memory that was not given for it, which is told in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Isolation {
    /// It is kept from the memory.
    #[default]
    On,
    /// It is carried out.
    Off,
}

/// How the port driver behaves where documentation leaves it a choice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortOptions {
    /// See [`Grant`].
    pub grant: Grant,
    /// See [`DispatchGrant`].
    pub dispatch_grant: DispatchGrant,
    /// Whether host memory is taken back; otherwise each free call fails with `STOR_STATUS_UNSUCCESSFUL` and the port
    /// driver keeps the memory.
    pub takes_back: bool,
    /// See [`DispatchFree`].
    pub dispatch_free: DispatchFree,
    /// See [`WorkItems`].
    pub work_items: WorkItems,
    /// See [`Stop`].
    pub stop: Stop,
    /// See [`Power`].
    pub power: Power,
    /// See [`PowerIrql`].
    pub power_irql: PowerIrql,
    /// Whether stop and removal are announced by a plug-and-play SRB.
    pub pnp: bool,
    /// See [`Removal`].
    pub removal: Removal,
    /// See [`Interrupts`].
    pub interrupts: Interrupts,
    /// Whether `StorPortGetCurrentIrql` is implemented.
    pub irql_query: bool,
    /// See [`Isolation`].
    pub iommu: Isolation,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            grant: Grant::default(),
            dispatch_grant: DispatchGrant::default(),
            takes_back: true,
            dispatch_free: DispatchFree::default(),
            work_items: WorkItems::default(),
            stop: Stop::default(),
            power: Power::default(),
            power_irql: PowerIrql::default(),
            pnp: true,
            removal: Removal::default(),
            interrupts: Interrupts::default(),
            irql_query: true,
            iommu: Isolation::default(),
        }
    }
}

/// A key that [`PortOptions::set`] takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortKey {
    /// Its name.
    pub name: &'static str,
    /// What it means and what it takes, one line.
    pub meaning: &'static str,
    /// Its default.
    pub default: &'static str,
}

/// Why a port option was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PortOptionError {
    /// No such key.
    #[error("the port driver has no option `{0}`")]
    UnknownKey(String),
    /// The value is not one that the key takes.
    #[error("`{key}` does not take `{value}`: {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
}

const KEYS: [PortKey; 13] = [
    PortKey {
        name: "grant",
        meaning: "host memory that is granted: preferred, minimum, half, refuse, later:N (refused N times first), notimplemented, invalid, ranges:N",
        default: "preferred",
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
        name: "irqlquery",
        meaning: "StorPortGetCurrentIrql is implemented: on, off (Windows 10 has no such call)",
        default: "on",
    },
    PortKey {
        name: "iommu",
        meaning: "DMA to memory that was not given for it, which is told: on (kept from it), off (carried out, so that a run goes on as without an IOMMU)",
        default: "on",
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
            "iommu" => self.iommu = isolation(value).ok_or_else(bad)?,
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

fn positive(number: &str) -> Option<u32> {
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
