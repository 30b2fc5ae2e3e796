//! What a Storport miniport for NVMe has to have written.

use super::registry::Owner;
use super::{Lint, Rule, number};

/// `BusTypeNvme`.
const BUS_TYPE_NVME: u32 = 17;

/// The most messages that MSI-X has.
const MOST_MESSAGES: u32 = 2048;

impl Lint<'_> {
    pub(super) fn storage(&mut self) {
        let service = [
            (r"Parameters\PnpInterface", "5", 1..=1),
            ("Parameters", "BusType", BUS_TYPE_NVME..=BUS_TYPE_NVME),
        ];
        for (key, name, wanted) in service {
            self.number(Owner::Service, Rule::StorageParameter, key, name, &wanted);
        }
        // The port driver has a time-out of its own.
        let (key, name) = ("Parameters", "IoTimeoutValue");
        if self.written(Owner::Service, key, name).is_some() {
            let rule = Rule::StorageParameter;
            self.number(Owner::Service, rule, key, name, &(1..=65535));
        }
        let interrupts = r"Interrupt Management\MessageSignaledInterruptProperties";
        let device = [
            ("MSISupported", 1..=1),
            ("MessageNumberLimit", 1..=MOST_MESSAGES),
        ];
        for (name, wanted) in device {
            self.number(Owner::Device, Rule::Interrupts, interrupts, name, &wanted);
        }
    }

    fn number(
        &mut self,
        owner: Owner,
        rule: Rule,
        key: &str,
        name: &str,
        wanted: &std::ops::RangeInclusive<u32>,
    ) {
        let value = self.written(owner, key, name);
        let line = value.map_or(1, |value| value.line);
        let held = value
            .and_then(|value| number(&value.text))
            .is_some_and(|number| wanted.contains(&number));
        if !held {
            let (least, most) = (wanted.start(), wanted.end());
            let range = if least == most {
                least.to_string()
            } else {
                format!("from {least} to {most}")
            };
            let what = format!(r"{key}\{name} is not {range}");
            self.find(line, rule, what);
        }
    }
}
