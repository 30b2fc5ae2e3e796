//! What the port driver offers of performance options, and what it makes of them.

use crate::abi::interrupt::perf;

/// How the port driver answers `StorPortInitializePerfOpts` and `StorPortGetStartIoPerfParams`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Performance {
    /// See [`PerformanceOffer`].
    pub offer: PerformanceOffer,
    /// The newest version of `PERF_CONFIGURATION_DATA` that is known, 1 to 8.
    pub version: u32,
    /// The concurrent channels that are offered; none: one for each processor.
    pub channels: Option<u32>,
    /// Whether options that were offered are refused when they are set.
    pub refuses: bool,
    /// See [`StartIoAnswer`].
    pub start_io: StartIoAnswer,
}

/// Which performance options are offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PerformanceOffer {
    /// `StorPortInitializePerfOpts` is not implemented.
    NotImplemented,
    /// These: bits of `STOR_PERF_*`.
    Flags(u32),
}

/// What `StorPortGetStartIoPerfParams` answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StartIoAnswer {
    /// The message and the channel of the processor that asks.
    #[default]
    Own,
    /// Those of the next processor.
    Other,
    /// Any of them, as the seed decides.
    Any,
    /// The first message and the first channel, whichever processor asks.
    Shared,
    /// The call is not implemented.
    NotImplemented,
}

impl Default for Performance {
    fn default() -> Self {
        Self {
            offer: PerformanceOffer::Flags(perf::OFFERED),
            version: perf::VERSION,
            channels: None,
            refuses: false,
            start_io: StartIoAnswer::default(),
        }
    }
}

/// The options by name.
const NAMES: [(&str, u32); 6] = [
    ("dpc", perf::DPC_REDIRECTION),
    ("channels", perf::CONCURRENT_CHANNELS),
    ("ranges", perf::INTERRUPT_MESSAGE_RANGES),
    ("locality", perf::ADV_CONFIG_LOCALITY),
    ("startio", perf::COMPLETION_DURING_STARTIO),
    ("currentcpu", perf::DPC_REDIRECTION_CURRENT_CPU),
];

pub(super) fn offer(value: &str) -> Option<PerformanceOffer> {
    Some(match value {
        "all" => PerformanceOffer::Flags(perf::OFFERED),
        "none" => PerformanceOffer::Flags(0),
        "notimplemented" => PerformanceOffer::NotImplemented,
        names => {
            let mut flags = 0;
            for name in names.split('+') {
                let (_, flag) = NAMES.iter().find(|(known, _)| *known == name)?;
                flags |= flag;
            }
            PerformanceOffer::Flags(flags)
        }
    })
}

pub(super) fn version(value: &str) -> Option<u32> {
    let version = value.parse().ok()?;
    (1..=perf::VERSION).contains(&version).then_some(version)
}

/// The outer option is whether the value is one.
#[allow(
    clippy::option_option,
    reason = "an option of the port driver, or no value"
)]
pub(super) fn channels(value: &str) -> Option<Option<u32>> {
    match value {
        "processors" => Some(None),
        number => super::keys::positive(number).map(Some),
    }
}

pub(super) fn refuses(value: &str) -> Option<bool> {
    match value {
        "ok" => Some(false),
        "refuse" => Some(true),
        _ => None,
    }
}

pub(super) fn start_io(value: &str) -> Option<StartIoAnswer> {
    Some(match value {
        "own" => StartIoAnswer::Own,
        "other" => StartIoAnswer::Other,
        "any" => StartIoAnswer::Any,
        "shared" => StartIoAnswer::Shared,
        "notimplemented" => StartIoAnswer::NotImplemented,
        _ => return None,
    })
}
