//! `[Strings]`, and paths that should not be in any text.

use std::collections::BTreeSet;

use super::standard::is_strings;
use super::{Lint, Rule};
use crate::inf::{Piece, Section, tokens};

impl Lint<'_> {
    pub(super) fn strings(&mut self) {
        let mut used = BTreeSet::new();
        for section in &self.inf.sections {
            if is_strings(&section.name) {
                continue;
            }
            // Paths on the source medium begin at its root: `\amd64`.
            let on_medium = starts_with_source_disks(&section.name);
            for entry in &section.entries {
                for text in entry.key.iter().chain(&entry.values) {
                    self.text(text, entry.line, on_medium, &mut used);
                }
            }
        }
        self.definitions(&used);
    }

    fn text(&mut self, text: &str, line: usize, on_medium: bool, used: &mut BTreeSet<String>) {
        for piece in tokens(text) {
            if let Piece::Token(name) = piece {
                used.insert(name.to_ascii_lowercase());
            }
        }
        match self.inf.expand(text) {
            Ok(text) if is_absolute(&text) && !(on_medium && text.starts_with('\\')) => {
                self.find(line, Rule::AbsolutePath, format!("{text} is absolute"));
            }
            Ok(_) => {}
            Err(unknown) => self.find(line, Rule::StringToken, unknown.to_string()),
        }
    }

    fn definitions(&mut self, used: &BTreeSet<String>) {
        let inf = self.inf;
        for section in inf.sections.iter().filter(|own| is_strings(&own.name)) {
            self.definitions_in(section, used);
        }
    }

    fn definitions_in(&mut self, section: &Section, used: &BTreeSet<String>) {
        let mut seen = BTreeSet::new();
        for entry in &section.entries {
            let Some(name) = &entry.key else {
                self.find(
                    entry.line,
                    Rule::Directive,
                    "[Strings] takes definitions only",
                );
                continue;
            };
            let lower = name.to_ascii_lowercase();
            if !used.contains(&lower) {
                self.find(
                    entry.line,
                    Rule::StringUsed,
                    format!("nothing uses %{name}%"),
                );
            }
            if !seen.insert(lower) {
                self.find(
                    entry.line,
                    Rule::EntryOnce,
                    format!("%{name}% is defined already"),
                );
            }
        }
    }
}

fn starts_with_source_disks(section: &str) -> bool {
    let lower = section.to_ascii_lowercase();
    lower.starts_with("sourcedisks")
}

/// Does a text name a place of the system's, and not of the package's? The one message file that Windows has for storage drivers
/// is where it is.
fn is_absolute(text: &str) -> bool {
    const MESSAGES: &str = r"%SystemRoot%\System32\IoLogMsg.dll";
    let lower = text.to_ascii_lowercase();
    let place = [
        ":\\",
        "%systemroot%",
        "%windir%",
        "\\systemroot\\",
        "system32\\",
    ]
    .iter()
    .any(|place| lower.contains(place));
    (place || text.starts_with('\\')) && !text.eq_ignore_ascii_case(MESSAGES)
}
