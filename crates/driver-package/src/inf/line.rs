//! Lines of an INF: comments, continuation, quotes, keys and values.

/// What a line consists of.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) key: Option<String>,
    pub(super) values: Vec<String>,
    pub(super) fault: Option<&'static str>,
}

/// Lines without their comments, joined where one goes on after a backslash, with the numbers of their beginnings; empty ones are
/// left out.
pub(super) fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line);
        let (line, continued) = match line.strip_suffix('\\') {
            Some(line) => (line.trim_end(), true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if goes_on => {
                last.push(' ');
                last.push_str(line);
            }
            _ if line.is_empty() && !continued => {}
            _ => lines.push((index + 1, line.to_owned())),
        }
        goes_on = continued;
    }
    lines
}

/// What stands before a semicolon that no quotes hide, without the space around it.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|character| {
        quoted ^= character == '"';
        character == ';' && !quoted
    });
    line[..end.unwrap_or(line.len())].trim()
}

/// A word under construction.
#[derive(Default)]
struct Word {
    text: String,
    /// It was in quotes, which have closed.
    closed: bool,
}

/// Splits a line at the equals sign and the commas that no quotes hide.
pub(super) fn words(line: &str) -> Words {
    let mut words = Words::default();
    let mut word = Word::default();
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                word.text.push('"');
            }
            '"' if quoted => {
                quoted = false;
                word.closed = true;
            }
            '"' => {
                if word.closed || !word.text.trim().is_empty() {
                    words.fault = Some("text next to a quoted value");
                }
                word.text.clear();
                quoted = true;
            }
            '=' if !quoted => words.take_key(&mut word),
            ',' if !quoted => words.take_value(&mut word),
            _ => {
                if word.closed && !character.is_whitespace() {
                    words.fault = Some("text next to a quoted value");
                }
                if !word.closed {
                    word.text.push(character);
                }
            }
        }
    }
    if quoted {
        words.fault = Some("a quotation mark without its partner");
    }
    let ends_in_nothing = !word.closed && word.text.trim().is_empty() && words.values.is_empty();
    if !ends_in_nothing {
        words.take_value(&mut word);
    }
    words
}

impl Words {
    fn take_key(&mut self, word: &mut Word) {
        let key = word.take();
        if self.key.is_some() || !self.values.is_empty() {
            self.fault = Some("a second equals sign");
        } else if key.is_empty() {
            self.fault = Some("an equals sign without a key");
        }
        self.key = Some(key);
    }

    fn take_value(&mut self, word: &mut Word) {
        let value = word.take();
        self.values.push(value);
    }
}

impl Word {
    fn take(&mut self) -> String {
        let word = std::mem::take(self);
        if word.closed {
            word.text
        } else {
            word.text.trim().to_owned()
        }
    }
}
