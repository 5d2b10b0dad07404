//! Gathers every fault of a file, and reads maps whose keys are known.

use super::{
    fault::{Fault, Severity},
    limits::{self, Limit},
    yaml::{Entry, Kind, Node, Place},
};

/// The faults found so far.
pub struct Report {
    file: String,
    faults: Vec<Fault>,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            faults: Vec::new(),
        }
    }

    pub fn error(&mut self, at: Place, message: impl Into<String>) -> Hint<'_> {
        self.add(Severity::Error, at, message.into())
    }

    pub fn warning(&mut self, at: Place, message: impl Into<String>) -> Hint<'_> {
        self.add(Severity::Warning, at, message.into())
    }

    fn add(&mut self, severity: Severity, at: Place, message: String) -> Hint<'_> {
        self.faults.push(Fault {
            severity,
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            message,
            hint: None,
        });
        Hint(self.faults.last_mut())
    }

    /// Adds the next step to the newest fault, unless it has one.
    pub fn explain_last(&mut self, hint: &str) {
        if let Some(fault) = self.faults.last_mut() {
            fault.hint.get_or_insert_with(|| hint.to_owned());
        }
    }

    /// How many there are: to see whether a part was read without any.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    pub fn has_errors(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// In the order of their places.
    pub fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults
    }
}

/// Adds the next step to the fault that was just reported.
pub struct Hint<'a>(Option<&'a mut Fault>);

impl Hint<'_> {
    pub fn hint(self, hint: impl Into<String>) {
        if let Some(fault) = self.0 {
            fault.hint = Some(hint.into());
        }
    }

    /// "did you mean …", or else what there is.
    pub fn one_of<'n>(self, wrong: &str, known: impl IntoIterator<Item = &'n str>) {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(wrong, &known) {
            Some(near) => self.hint(format!("did you mean {near}?")),
            None if known.is_empty() => {}
            None => self.hint(format!("known here: {}", known.join(", "))),
        }
    }
}

/// A map whose keys are known; whoever reads it names what it is.
pub struct Fields<'a> {
    what: String,
    at: Place,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Reports what is no map, and keys that are not among `known`.
    pub fn of(node: &'a Node, what: impl Into<String>, known: &[&str], report: &mut Report) -> Option<Self> {
        Self::within(node, what, known, &[], report)
    }

    /// As [`Self::of`], where some keys ask for what is not offered: those are
    /// told with the limit that they meet.
    pub fn within(
        node: &'a Node,
        what: impl Into<String>,
        known: &[&str],
        limits: &[&'static [Limit]],
        report: &mut Report,
    ) -> Option<Self> {
        let what = what.into();
        let entries = map(node, &what, report)?;
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            match limits::met(limits, &entry.key) {
                Some(limit) => report
                    .error(entry.key_at, format!("{what}: {}: {}", entry.key, limit.why))
                    .hint(limit.instead),
                None => report
                    .error(entry.key_at, format!("{what} has no key {:?}", entry.key))
                    .one_of(&entry.key, known.iter().copied()),
            }
        }
        Some(Self {
            what,
            at: node.at,
            entries,
        })
    }

    /// The value of a key that may be missing. A key with nothing behind it counts as missing.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
            .filter(|node| !node.is_null())
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, report: &mut Report) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let empty = self.entries.iter().find(|entry| entry.key == key);
            let at = empty.map_or(self.at, |entry| entry.key_at);
            let what = &self.what;
            match empty {
                Some(_) => report.error(at, format!("{what}: {key} is empty")),
                None => report.error(at, format!("{what} lacks {key}")),
            };
        }
        found
    }
}

/// The entries of a map.
pub fn map<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a [Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        _ => wrong_kind(node, what, "a map", report),
    }
}

/// The items of a list.
pub fn list<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a [Node]> {
    match &node.kind {
        Kind::List(items) => Some(items),
        _ => wrong_kind(node, what, "a list", report),
    }
}

/// A scalar's text as it was written: `1.0` stays `1.0`.
pub fn text<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a str> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(text),
        _ => wrong_kind(node, what, "a text", report),
    }
}

/// A scalar that YAML itself reads as a text. A number or a boolean has to be
/// quoted: other tools lose the zeros of 012345678901 and of 1.10.
pub fn strict_text<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a str> {
    let text = text(node, what, report)?;
    if matches!(node.kind, Kind::Scalar { quoted: false, .. }) && is_number_or_boolean(text) {
        report
            .error(node.at, format!("{what} must be a text, and {text} is none"))
            .hint(format!("write \"{text}\""));
        return None;
    }
    Some(text)
}

/// A name, or another text that parses.
pub fn parsed<T: std::str::FromStr>(node: &Node, what: &str, report: &mut Report) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    match strict_text(node, what, report)?.parse() {
        Ok(value) => Some(value),
        Err(fault) => {
            report.error(node.at, format!("{what}: {fault}"));
            None
        }
    }
}

/// As YAML's core schema (1.2.2, section 10.3.2) reads a plain scalar.
fn is_number_or_boolean(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let digits = word.trim_start_matches(['+', '-']);
    let prefixed = word
        .strip_prefix("0x")
        .is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit()))
        || word
            .strip_prefix("0o")
            .is_some_and(|it| it.bytes().all(|b| (b'0'..=b'7').contains(&b)));
    let decimal =
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok();
    matches!(word.as_str(), "true" | "false" | ".nan") || digits == ".inf" || prefixed || decimal
}

/// `true` or `false`, not quoted.
pub fn boolean(node: &Node, what: &str, report: &mut Report) -> Option<bool> {
    match &node.kind {
        Kind::Scalar { text, quoted: false } if text == "true" => Some(true),
        Kind::Scalar { text, quoted: false } if text == "false" => Some(false),
        _ => {
            report.error(node.at, format!("{what} must be true or false"));
            None
        }
    }
}

/// A whole number in a range, not quoted.
pub fn number(
    node: &Node,
    what: &str,
    range: std::ops::RangeInclusive<u32>,
    report: &mut Report,
) -> Option<u32> {
    if let Kind::Scalar { text, quoted: false } = &node.kind
        && text.bytes().all(|b| b.is_ascii_digit())
        && let Ok(number) = text.parse()
        && range.contains(&number)
    {
        return Some(number);
    }
    let (from, to) = (range.start(), range.end());
    let bounds = match *to {
        u32::MAX => format!("a whole number, at least {from}"),
        to => format!("a whole number from {from} to {to}"),
    };
    report.error(node.at, format!("{what} must be {bounds}"));
    None
}

fn wrong_kind<T>(node: &Node, what: &str, wanted: &str, report: &mut Report) -> Option<T> {
    report.error(
        node.at,
        format!("{what} must be {wanted}, and is {}", node.kind_name()),
    );
    None
}

/// The known word that was probably meant.
pub fn nearest<'n>(wrong: &str, known: &[&'n str]) -> Option<&'n str> {
    let allowed = (wrong.chars().count() / 3).clamp(1, 3);
    let near = known.iter().map(|word| (distance(wrong, word), *word)).min()?;
    (near.0 <= allowed).then_some(near.1)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().take(64).collect(), to.chars().take(64).collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replace = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}
