//! The Storport headers of the stand-in WDK, written from measured facts.
//!
//! mingw-w64's own `storport.h` dates from 2003. The facts in `facts/storport-abi.json` say what the SDK's headers define: names,
//! values, offsets and sizes. From them come `ntddstor.h`, `ntddscsi.h` and `storport.h`, each including the one before it, so that
//! every definition stands in the first of the three that needs it; `srb.h`, `scsi.h` and `ehstorioctl.h` forward to them.
//! Nobody edits these headers: they are written into the stand-in WDK whenever it is assembled. Each carries assertions of every size,
//! alignment and offset that was measured, so that no binding is generated from a header that disagrees with the facts.

mod facts;
mod spelling;

use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(crate) use facts::Facts;
use facts::{Field, Record, leaves, placed};
use spelling::{declare, names_first, tagged, without_bounds, words};

/// The headers, in the order in which they include one another.
const CHAIN: [&str; 3] = ["ntddstor.h", "ntddscsi.h", "storport.h"];

/// Names of mingw-w64's `ntddstor.h` that are renamed away while it is included, because the facts define them anew.
const RENAMED: [&str; 21] = [
    "BusType1394",
    "BusTypeAta",
    "BusTypeAtapi",
    "BusTypeFibre",
    "BusTypeFileBackedVirtual",
    "BusTypeMax",
    "BusTypeMaxReserved",
    "BusTypeMmc",
    "BusTypeRAID",
    "BusTypeSas",
    "BusTypeSata",
    "BusTypeScsi",
    "BusTypeSd",
    "BusTypeSpaces",
    "BusTypeSsa",
    "BusTypeUnknown",
    "BusTypeUsb",
    "BusTypeVirtual",
    "BusTypeiScsi",
    "STORAGE_BUS_TYPE",
    "_STORAGE_BUS_TYPE",
];

/// Constants that mingw-w64's headers define with the values of the facts.
const PRESENT: [&str; 3] = [
    "SRB_TYPE_SCSI_REQUEST_BLOCK",
    "SRB_TYPE_STORAGE_REQUEST_BLOCK",
    "STORAGE_ADDRESS_TYPE_BTL8",
];

/// The headers that the facts describe: file name and contents.
pub(crate) fn generate(facts: &Facts) -> Vec<(&'static str, String)> {
    let mut generator = Generator {
        facts,
        done: BTreeSet::new(),
        lines: Vec::new(),
    };
    let mut headers = Vec::new();
    let mut previous = "ntddk.h";
    for header in CHAIN {
        let definitions = generator.header(header);
        headers.push((header, framed(header, previous, &definitions)));
        previous = header;
    }
    for (header, target) in [
        ("srb.h", "storport.h"),
        ("scsi.h", "storport.h"),
        ("ehstorioctl.h", "ntddstor.h"),
    ] {
        headers.push((
            header,
            format!("/* {header}: see {target} */\n#include <{target}>\n"),
        ));
    }
    headers
}

/// One header: include guards, the header before it, and its definitions.
fn framed(header: &str, previous: &str, definitions: &[String]) -> String {
    let guard = format!("_OVERLAY_{}", header.to_uppercase().replace('.', "_"));
    let replaced: &[&str] = match header {
        "ntddscsi.h" => &["_NTDDSCSIH_"],
        "storport.h" => &["_NTSTORPORT_", "_NTSRB_", "_NTSCSI_"],
        _ => &[],
    };
    let mut text = format!(
        "/* {header}: generated from storport-abi.json */\n#ifndef {guard}\n#define {guard}\n"
    );
    for other in replaced {
        let _ = writeln!(text, "#define {other}");
    }
    let _ = writeln!(text, "#include <{previous}>");
    if header == CHAIN[0] {
        text += "#ifdef _NTDDSTOR_H_\n#error include the overlay before mingw-w64's ntddstor.h\n#endif\n";
        for name in RENAMED {
            let _ = writeln!(text, "#define {name} mingw_{name}");
        }
        text += "#include_next <ntddstor.h>\n";
        for name in RENAMED {
            let _ = writeln!(text, "#undef {name}");
        }
    }
    for line in definitions {
        text += line;
        text.push('\n');
    }
    text + "\n#endif\n"
}

struct Generator<'a> {
    facts: &'a Facts,
    /// What is defined already: `struct X`, `union X`, `enum X`, or the name of a typedef.
    done: BTreeSet<String>,
    lines: Vec<String>,
}

/// A record's definition in pieces: what precedes it, its attribute, its members, what follows it.
struct Body {
    before: Vec<String>,
    attribute: String,
    members: Vec<String>,
    after: Vec<String>,
}

impl Generator<'_> {
    /// The definitions that belong to `header`; the last header also takes what no other has needed.
    fn header(&mut self, header: &str) -> Vec<String> {
        let facts = self.facts;
        let last = header == CHAIN[2];
        let enums = facts
            .enums
            .iter()
            .map(|(tag, it)| (format!("enum {tag}"), &it.header));
        let records = facts
            .records
            .iter()
            .map(|(tag, it)| (format!("{} {tag}", it.kind), &it.header));
        for (key, home) in enums.chain(records) {
            if home == header || last {
                self.need(&key);
                let mut names: Vec<&String> = facts
                    .typedefs
                    .iter()
                    .filter(|(_, type_)| names_first(type_, &key))
                    .map(|(name, _)| name)
                    .collect();
                names.sort_by_key(|name| name.len()); // X before PX
                for name in names {
                    self.need(name);
                }
            }
        }
        if last {
            for name in facts.typedefs.keys().filter(|name| *name != "__C_ASSERT__") {
                self.need(name);
            }
            self.constants();
            self.functions();
        }
        std::mem::take(&mut self.lines)
    }

    /// Defines `key`, after everything that it needs.
    fn need(&mut self, key: &str) {
        if !self.done.insert(key.to_owned()) {
            return;
        }
        let facts = self.facts;
        match tagged(key) {
            Some(("enum", tag)) => self.enumeration(tag),
            Some((_, tag)) => self.record(tag),
            None => {
                let type_ = &facts.typedefs[key];
                self.need_type(type_);
                self.lines.push(format!("typedef {};", declare(type_, key)));
            }
        }
    }

    /// Defines the enumerations and typedefs that a type's spelling names.
    fn need_type(&mut self, type_: &str) {
        let facts = self.facts;
        let words: Vec<&str> = words(type_).collect();
        let mut position = 0;
        while let Some(&word) = words.get(position) {
            position += 1;
            match (word, words.get(position)) {
                ("enum", Some(tag)) => {
                    self.need(&format!("enum {tag}"));
                    position += 1;
                }
                ("struct" | "union", Some(_)) => position += 1,
                _ if facts.typedefs.contains_key(word) => self.need(word),
                _ => {}
            }
        }
    }

    fn enumeration(&mut self, tag: &str) {
        self.lines.push(format!("\nenum {tag} {{"));
        let mut values: Vec<(&String, &i64)> = self.facts.enums[tag].values.iter().collect();
        values.sort_by_key(|(_, value)| **value);
        for (name, value) in values {
            self.lines.push(format!("  {name} = {value},"));
        }
        self.lines.push("};".to_owned());
    }

    fn record(&mut self, tag: &str) {
        let facts = self.facts;
        let record = &facts.records[tag];
        for field in leaves(record) {
            self.need_type(&field.type_);
            if field.type_.contains(['*', '(']) {
                continue;
            }
            let inner = self.resolve(&field.type_);
            if tagged(&inner).is_some_and(|(_, tag)| facts.records.contains_key(tag)) {
                self.need(&inner);
            }
        }
        let body = self.body(record, 0, 16);
        self.lines.push(String::new());
        self.lines.extend(body.before);
        self.lines
            .push(format!("{}{} {tag} {{", record.kind, body.attribute));
        self.lines.extend(body.members);
        self.lines.push("};".to_owned());
        self.lines.extend(body.after);
        self.assertions(&format!("{} {tag}", record.kind), record);
    }

    /// Has the compiler compare what it made of a record with what was measured.
    fn assertions(&mut self, type_: &str, record: &Record) {
        let offsets = placed(record, "", 0)
            .into_iter()
            .map(|(path, offset_bits)| {
                (
                    format!("__builtin_offsetof({type_}, {path}) * 8"),
                    offset_bits,
                )
            });
        let whole = [
            (format!("sizeof({type_})"), record.size),
            (format!("__alignof({type_})"), record.align),
        ];
        for (measure, value) in whole.into_iter().chain(offsets) {
            self.lines.push(format!(
                "_Static_assert({measure} == {value}, \"as measured\");"
            ));
        }
    }

    /// Packing and explicit alignment are deduced: a record that is less aligned than its most aligned member is packed, one that is
    /// more aligned carries `DECLSPEC_ALIGN`, and so does a member that does not stand at its natural place.
    fn body(&mut self, record: &Record, indent: usize, mut pack: u64) -> Body {
        let mut natural = record
            .fields
            .iter()
            .map(|field| self.align(field))
            .max()
            .unwrap_or(1);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        if natural > record.align && pack > record.align {
            pack = record.align;
            before.push(format!("#pragma pack(push, {pack})"));
            after.push("#pragma pack(pop)".to_owned());
        }
        let mut members = Vec::new();
        let mut end_bits = 0;
        for field in &record.fields {
            let mut aligned = String::new();
            let usual = self.align(field).min(pack) * 8;
            if field.bits.is_none()
                && record.kind == "struct"
                && round_up(end_bits, usual) != field.offset_bits
            {
                let align = [16, 32, 64, 128]
                    .into_iter()
                    .find(|&align| round_up(end_bits, align) == field.offset_bits)
                    .expect("an alignment puts every measured member at its place");
                aligned = format!("DECLSPEC_ALIGN({}) ", align / 8);
                natural = natural.max(align / 8);
            }
            end_bits = field.offset_bits + field.bits.unwrap_or(field.size * 8);
            self.member(field, &aligned, indent, pack, &mut members);
        }
        let attribute = if record.align > natural.min(pack) {
            format!(" DECLSPEC_ALIGN({})", record.align)
        } else {
            String::new()
        };
        Body {
            before,
            attribute,
            members,
            after,
        }
    }

    /// Appends the declaration of one member; a record defined in place is spelled out where its tag is not known yet.
    fn member(
        &mut self,
        field: &Field,
        aligned: &str,
        indent: usize,
        pack: u64,
        members: &mut Vec<String>,
    ) {
        let pad = "  ".repeat(indent);
        let name = field.name.as_deref().unwrap_or_default();
        let (kind, tag) = field.type_.split_once(' ').unwrap_or((&field.type_, ""));
        let known = !tag.is_empty() && self.done.contains(&field.type_);
        let Some(inner) = field.record.as_ref().filter(|_| !known) else {
            let bits = field
                .bits
                .map_or(String::new(), |bits| format!(" : {bits}"));
            let declared = declare(&field.type_, name);
            members.push(format!("{pad}  {aligned}{}{bits};", declared.trim_end()));
            return;
        };
        if !tag.is_empty() {
            self.done.insert(field.type_.clone());
        }
        let body = self.body(inner, indent + 1, pack);
        members.extend(body.before);
        members.push(format!(
            "{pad}  {aligned}{kind}{}{} {{",
            body.attribute,
            spaced(tag)
        ));
        members.extend(body.members);
        members.push(format!("{pad}  }}{};", spaced(name)));
        members.extend(body.after);
    }

    fn constants(&mut self) {
        self.lines.push(String::new());
        let mut hidden = Vec::new();
        for (name, constant) in &self.facts.constants {
            if PRESENT.contains(&name.as_str()) {
                let value = constant.value;
                self.lines.push(format!(
                    "_Static_assert({name} == {value}, \"as measured\");"
                ));
                continue;
            }
            match (&constant.bindgen, constant.value) {
                (None, _) => hidden.push(name.as_str()),
                (Some(_), value @ ..0) => self.lines.push(format!("#define {name} {value}")),
                (Some(_), value) => self.lines.push(format!("#define {name} 0x{value:X}")),
            }
        }
        let hidden = hidden.join(" ");
        self.lines.push(format!(
            "/* not exposed by bindgen from the WDK, so not here either: {hidden} */"
        ));
    }

    fn functions(&mut self) {
        self.lines.push(String::new());
        for (name, function) in self.facts.functions.iter().filter(|(_, it)| !it.inline) {
            let mut parameters: Vec<String> = function
                .params
                .iter()
                .map(|(name, type_)| declare(type_, name))
                .collect();
            let convention = if function.variadic {
                parameters.push("...".to_owned());
                "__cdecl"
            } else {
                "NTAPI"
            };
            let parameters = match parameters.as_slice() {
                [] => "void".to_owned(),
                some => some.join(", "),
            };
            self.lines.push(format!(
                "{} {convention} {name}({parameters});",
                function.returns
            ));
        }
    }

    /// The spelling that remains when typedefs and array bounds are followed.
    fn resolve(&self, type_: &str) -> String {
        let mut spelling = without_bounds(type_).0.trim().to_owned();
        while let Some(next) = self.facts.typedefs.get(&spelling) {
            without_bounds(next).0.trim().clone_into(&mut spelling);
        }
        spelling
    }

    /// The alignment of a member, in bytes.
    fn align(&self, field: &Field) -> u64 {
        if let Some(record) = &field.record {
            return record.align;
        }
        let type_ = self.resolve(&field.type_);
        if let Some((kind, tag)) = tagged(&type_) {
            match self.facts.records.get(tag) {
                Some(record) => return record.align,
                None if kind != "enum" => return 1,
                None => {}
            }
        }
        match type_.as_str() {
            "GUID" => return 4,
            "PROCESSOR_NUMBER" => return 2,
            "PVOID" => return 8,
            _ => {}
        }
        let bounds = without_bounds(&field.type_).1;
        let count: u64 = bounds
            .split(['[', ']'])
            .filter(|bound| !bound.is_empty())
            .map(|bound| bound.parse::<u64>().expect("an array bound is a number"))
            .product();
        (field.size / count.max(1)).clamp(1, 8)
    }
}

fn spaced(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!(" {name}")
    }
}

fn round_up(value: u64, step: u64) -> u64 {
    value.div_ceil(step) * step
}
