//! Reads a fault from its text.

use std::str::FromStr;

use nvme_spec::status::Status;

use super::text::{duration, dword, entry_field, hexadecimal, moment, number, opcode, register};
use super::{Behaviour, CommandMatch, Content, Fault, Field, NamespaceChange, Panic, Target, When};
use crate::profile::{Death, death, size};

/// Why a text is no fault. One line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{spec}' is no fault: {why}")]
pub struct FaultError {
    /// The text.
    pub spec: String,
    /// What is wrong with it.
    pub why: String,
}

type Parsed<T> = Result<T, String>;

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(spec: &str) -> Result<Self, FaultError> {
        read(spec).map_err(|why| FaultError {
            spec: spec.to_owned(),
            why,
        })
    }
}

fn read(spec: &str) -> Parsed<Fault> {
    let mut parts = spec.splitn(3, ':');
    let (Some(target), Some(behaviour)) = (parts.next(), parts.next()) else {
        return Err("it is written MATCH:BEHAVIOUR[:WHEN[,WHEN]]".to_owned());
    };
    let fault = Fault {
        spec: spec.to_owned(),
        target: target_of(target)?,
        behaviour: behaviour_of(behaviour)?,
        when: parts.next().map(when_of).transpose()?.unwrap_or_default(),
    };
    check(&fault, behaviour)?;
    Ok(fault)
}

fn target_of(text: &str) -> Parsed<Target> {
    let unknown = || format!("nothing matches '{text}'");
    let (head, rest) = text
        .split_once('.')
        .map_or((text, None), |(head, rest)| (head, Some(rest)));
    match (head, rest) {
        ("any", None) => Ok(Target::Any),
        ("interrupt", None) => Ok(Target::Interrupt),
        ("register", None) => Ok(Target::Register(None)),
        ("register", Some(name)) => register(name)
            .map(|found| Target::Register(Some(found)))
            .ok_or_else(|| format!("no register is called '{name}'")),
        ("namespace", Some(nsid)) => dword(nsid)
            .filter(|nsid| *nsid != 0)
            .map(Target::Namespace)
            .ok_or_else(unknown),
        _ => command_match(head, rest)
            .and_then(|found| found.ok_or_else(unknown))
            .map(Target::Command),
    }
}

fn command_match(head: &str, fields: Option<&str>) -> Parsed<Option<CommandMatch>> {
    let mut found = match (head, opcode(head)) {
        ("any", _) => CommandMatch::default(),
        ("admin" | "io", _) => CommandMatch {
            admin: Some(head == "admin"),
            ..CommandMatch::default()
        },
        (_, Some((admin, opcode))) => CommandMatch {
            admin: Some(admin),
            opcode: Some(opcode),
            ..CommandMatch::default()
        },
        (_, None) => return Ok(None),
    };
    for part in fields.into_iter().flat_map(|fields| fields.split('.')) {
        let (field, value) = field_of(part)?;
        if !found.may_have(field) {
            return Err(format!("'{head}' has no {part}"));
        }
        found.fields.push((field, value));
    }
    Ok(Some(found))
}

fn field_of(part: &str) -> Parsed<(Field, u32)> {
    let unknown = || format!("'{part}' is no field of a command with a value");
    let (name, value) = part.split_once('=').ok_or_else(unknown)?;
    let field = match name {
        "nsid" => Field::Nsid,
        "cns" => Field::Cns,
        "fid" => Field::Fid,
        "lid" => Field::Lid,
        _ => name
            .strip_prefix("cdw")
            .and_then(|digits| digits.parse().ok())
            .filter(|dword| (10..=15).contains(dword))
            .map(Field::Dword)
            .ok_or_else(unknown)?,
    };
    Ok((field, dword(value).ok_or_else(unknown)?))
}

fn behaviour_of(text: &str) -> Parsed<Behaviour> {
    let (name, value) = text
        .split_once('=')
        .map_or((text, None), |(name, value)| (name, Some(value)));
    let found = match (name, value) {
        ("never", None) => Some(Behaviour::Never),
        ("lost", None) => Some(Behaviour::Lost),
        ("twice", None) => Some(Behaviour::Twice),
        ("drop", None) => Some(Behaviour::Drop),
        ("stray", None) => Some(Behaviour::Stray),
        ("held", None) => Some(Behaviour::Held),
        ("read-only", None) => Some(Behaviour::ReadOnly),
        (_, None) => namespace_change(name, None).map(Behaviour::Namespace),
        ("status", Some(value)) => status(value).map(Behaviour::Status),
        ("delay", Some(value)) => duration(value).map(Behaviour::Delay),
        ("data", Some(value)) => content(value).map(Behaviour::Data),
        ("value", Some(value)) => number(value).map(Behaviour::Value),
        ("absent", Some(value)) => duration(value).map(Behaviour::Absent),
        ("resize" | "create" | "format", value) => {
            namespace_change(name, value).map(Behaviour::Namespace)
        }
        ("die", Some(value)) => death(value).map(|death| Behaviour::Die(death, Panic::default())),
        ("panic", Some(value)) => panic(value).map(|panic| Behaviour::Die(Death::Panic, panic)),
        (_, Some(value)) => name.strip_prefix("entry.").and_then(|field| {
            let value = number(value)?.try_into().ok()?;
            Some(Behaviour::Entry(entry_field(field)?, value))
        }),
    };
    found.ok_or_else(|| format!("'{text}' is no behaviour"))
}

fn namespace_change(name: &str, value: Option<&str>) -> Option<NamespaceChange> {
    let bytes = |value| size(value, 1..=1 << 50);
    Some(match (name, value) {
        ("add", None) => NamespaceChange::Add,
        ("delete", None) => NamespaceChange::Delete,
        ("protect", None) => NamespaceChange::Protect,
        ("resize", Some(value)) => NamespaceChange::Resize(bytes(value)?),
        ("create", Some(value)) => NamespaceChange::Create(bytes(value)?),
        ("format", Some("512")) => NamespaceChange::Format(512),
        ("format", Some("4K" | "4096")) => NamespaceChange::Format(4096),
        _ => return None,
    })
}

fn status(text: &str) -> Option<Status> {
    let (kind, code) = text.split_once('/')?;
    let (kind, code) = (hexadecimal(kind)?, hexadecimal(code)?);
    let status = (kind < 8 && code < 256).then_some(kind << 8 | code)?;
    (status != 0).then_some(Status(status))
}

fn content(text: &str) -> Option<Content> {
    Some(match text {
        "zeros" => Content::Zeros,
        "ones" => Content::Ones,
        "noise" => Content::Noise,
        "same" => Content::Same,
        _ => return None,
    })
}

fn panic(text: &str) -> Option<Panic> {
    let (csts, time) = text
        .split_once(',')
        .map_or((text, None), |(csts, time)| (csts, Some(time)));
    Some(Panic {
        csts: dword(csts)?,
        ns: match time {
            Some(time) => Some(duration(time)?),
            None => None,
        },
    })
}

fn when_of(text: &str) -> Parsed<When> {
    let mut when = When::default();
    for part in text.split(',') {
        let bad = || format!("'{part}' is no moment, or is given twice");
        let (name, value) = part
            .split_once('=')
            .map_or((part, None), |(name, value)| (name, Some(value)));
        let positive = |value| number(value).filter(|number| *number > 0);
        let free = match name {
            "nth" => when
                .nth
                .replace(value.and_then(positive).ok_or_else(bad)?)
                .is_none(),
            "every" => when
                .every
                .replace(value.and_then(positive).ok_or_else(bad)?)
                .is_none(),
            "after" => when
                .after_ns
                .replace(value.and_then(duration).ok_or_else(bad)?)
                .is_none(),
            "at" => when
                .at
                .replace(value.and_then(moment).ok_or_else(bad)?)
                .is_none(),
            "once" if value.is_none() => !std::mem::replace(&mut when.once, true),
            _ => false,
        };
        if !free {
            return Err(bad());
        }
    }
    if when.nth.is_some() && when.every.is_some() {
        return Err("nth and every exclude each other".to_owned());
    }
    Ok(when)
}

/// Refuses what makes no sense together.
fn check(fault: &Fault, behaviour: &str) -> Parsed<()> {
    let (fits, wanted) = match fault.behaviour {
        Behaviour::Status(_)
        | Behaviour::Never
        | Behaviour::Lost
        | Behaviour::Delay(_)
        | Behaviour::Twice
        | Behaviour::Entry(..) => (is_command(&fault.target), "commands"),
        Behaviour::Data(_) => (returns_data(&fault.target), "commands that return data"),
        Behaviour::Value(_) | Behaviour::Absent(_) => (
            matches!(fault.target, Target::Register(_)),
            "reads of registers",
        ),
        Behaviour::Drop | Behaviour::Stray | Behaviour::Held => {
            (fault.target == Target::Interrupt, "interrupts")
        }
        Behaviour::Namespace(_) => (matches!(fault.target, Target::Namespace(_)), "namespaces"),
        Behaviour::ReadOnly => (fault.target == Target::Any, "any"),
        Behaviour::Die(..) => (
            !matches!(fault.target, Target::Namespace(_)),
            "commands, registers and interrupts",
        ),
    };
    if !fits {
        return Err(format!("'{behaviour}' is for {wanted} only"));
    }
    let When { nth, every, at, .. } = fault.when;
    let moment = at.is_some() || fault.when.after_ns.is_some();
    match fault.target {
        Target::Namespace(_) if !moment || nth.is_some() || every.is_some() => {
            Err("a namespace changes at a moment: at= or after=".to_owned())
        }
        Target::Any if fault.behaviour == Behaviour::ReadOnly && !moment => {
            Err("media become read-only at a moment: at= or after=".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_command(target: &Target) -> bool {
    matches!(target, Target::Any | Target::Command(_))
}

/// Some of these commands return data.
fn returns_data(target: &Target) -> bool {
    const RETURN: [&str; 4] = ["identify", "get-log-page", "get-features", "read"];
    match target {
        Target::Command(CommandMatch {
            admin: Some(admin),
            opcode: Some(code),
            ..
        }) => RETURN
            .iter()
            .any(|name| opcode(name) == Some((*admin, *code))),
        Target::Any | Target::Command(_) => true,
        _ => false,
    }
}
