//! Types as the facts spell them, in C.

/// The C declaration of `name` with a type as the facts spell it.
pub(super) fn declare(type_: &str, name: &str) -> String {
    if type_.contains("__ptr32") {
        return format!("void * __ptr32 {name}");
    }
    if type_.contains("(*)") {
        return type_.replacen("(*)", &format!("(*{name})"), 1);
    }
    let (element, bounds) = without_bounds(type_);
    if !bounds.is_empty() {
        return format!("{element} {name}{bounds}");
    }
    if type_.ends_with(')')
        && let Some(open) = type_.find('(')
    {
        let (returned, parameters) = type_.split_at(open);
        return format!("{} {name}{parameters}", returned.trim_end());
    }
    format!("{type_} {name}")
}

/// Splits the array bounds off a type's spelling: `UCHAR[2][4]` is `UCHAR` and `[2][4]`.
pub(super) fn without_bounds(type_: &str) -> (&str, &str) {
    let mut element = type_;
    while let Some(open) = element.strip_suffix(']').and_then(|rest| rest.rfind('['))
        && element[open + 1..element.len() - 1]
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    {
        element = &element[..open];
    }
    (element, &type_[element.len()..])
}

/// `struct X` as its kind and its tag, if that is the whole spelling.
pub(super) fn tagged(type_: &str) -> Option<(&str, &str)> {
    let (kind, tag) = type_.split_once(' ')?;
    (matches!(kind, "struct" | "union" | "enum") && words(tag).next() == Some(tag))
        .then_some((kind, tag))
}

/// Does the spelling begin with `key` as a whole word?
pub(super) fn names_first(type_: &str, key: &str) -> bool {
    type_
        .strip_prefix(key)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}
