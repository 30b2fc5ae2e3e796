//! `portbed rules` and `portbed profiles`.

use anstyle::{AnsiColor, Style};
use nvme_model::{GRAMMAR, GrammarEntry, Profile};

use super::profile::{QEMU_PREFIX, REGISTRY_PREFIX, VFIO_PREFIX};
use crate::machine::PortOptions;
use crate::rules;

const NAME: Style = AnsiColor::Cyan.on_default();
const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Every rule: id, meaning, source.
pub fn rules() -> String {
    let rules = rules::catalog();
    let entry = |rule: &rules::Rule| {
        format!(
            "{NAME}{}{NAME:#}\n    {}\n    {FAINT}{}{FAINT:#}\n",
            rule.id, rule.meaning, rule.source
        )
    };
    [heading(&format!("{} rules", rules.len()))]
        .into_iter()
        .chain(rules.into_iter().map(entry))
        .collect()
}

/// Every named profile and every key.
pub fn profiles() -> String {
    let mut text = heading("Profiles");
    for named in Profile::names() {
        text += &row(named.name, "", named.meaning);
    }
    text += &heading("\nThe device (sizes take K, M, G)");
    for key in Profile::keys() {
        text += &row(key.name, key.default, key.meaning);
    }
    text += &heading("\nThe port driver");
    for key in PortOptions::keys() {
        text += &row(key.name, key.default, key.meaning);
    }
    text += &heading("\nThe registry");
    text += &row(
        &format!("{REGISTRY_PREFIX}NAME"),
        "",
        "a value of the service's Parameters\\Device key, a number of 32 bits, such as reg.HmbMaximumMegabytes=16",
    );
    text += &heading("\nQEMU's device");
    text += &row(
        QEMU_PREFIX,
        "",
        "capacity, namespaces, and properties of QEMU's nvme and nvme-ns by their names, such as qemu:mdts=5; errors of the \
         disk as options of QEMU's blkdebug, such as blkdebug.inject-error.0.event=read_aio; with keys of the port driver and \
         the registry",
    );
    text += &heading("\nA real controller");
    text += &row(
        VFIO_PREFIX,
        "",
        "keys of the port driver and the registry: the device is what it is",
    );
    text += &heading("\nFaults: --fault MATCH:BEHAVIOUR[:WHEN[,WHEN]], repeated for several");
    text += "  Numbers are decimal or with 0x; times have the unit us, ms or s.\n";
    for entry in GRAMMAR {
        text += &fault(entry);
    }
    text += "\nportbed run --profile 4k,hmpre=32M,grant=half\n";
    text += "portbed run --controller qemu --profile qemu:max_ioqpairs=4,logical_block_size=4096,stop=dirql\n";
    text += "portbed run --controller vfio:0000:01:00.0 --read-only --profile vfio:grant=half,reg.HmbMaximumMegabytes=32\n";
    text
}

/// A line of the grammar of faults, with its example.
fn fault(entry: &GrammarEntry) -> String {
    let GrammarEntry {
        part,
        form,
        meaning,
        example,
        profile,
    } = entry;
    let profile = profile.map_or_else(String::new, |profile| format!("--profile {profile} "));
    format!(
        "  {FAINT}{part:<10}{FAINT:#}{NAME}{form}{NAME:#}\n            {meaning}\n            {FAINT}{profile}--fault {example}{FAINT:#}\n"
    )
}

fn heading(text: &str) -> String {
    format!("{HEADING}{text}{HEADING:#}\n")
}

fn row(name: &str, default: &str, meaning: &str) -> String {
    format!("  {NAME}{name:<16}{NAME:#}{default:<14}{meaning}\n")
}
