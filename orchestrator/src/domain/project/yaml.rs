//! YAML as a tree that knows where everything stands. Scalars keep the text as
//! it was written, and whether it was quoted, so that no number is read into
//! what was meant as a name.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::report::Report;

/// Where something stands; both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(span: &Span) -> Self {
        Self {
            line: span.start.line().max(1),
            column: span.start.col() + 1,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar { text: String, quoted: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub key_at: Place,
    pub value: Node,
}

impl Node {
    /// What it is, for a person: "a list".
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::List(items) => items.iter().map(Node::size).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| 1 + entry.value.size()).sum(),
        }
    }
}

/// A project file is small; what is larger is a mistake or an attack.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest place of a valid file is at 7.
const MAX_DEPTH: usize = 32;
/// How many nodes aliases may bring in all.
const MAX_ALIASED_NODES: usize = 10_000;

/// What is said of a file that is longer than [`MAX_BYTES`].
pub fn too_long(bytes: usize) -> String {
    format!("the file has {bytes} bytes, and at most {MAX_BYTES} are read")
}

/// Reads the one document of a file. What is wrong goes into the report; `None`
/// when there is no tree at all.
pub fn read(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > MAX_BYTES {
        report.error(Place::START, too_long(text.len()));
        return None;
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new(StrInput::new(text));
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(next) => next,
            Err(fault) => {
                let at = Place {
                    line: fault.marker().line().max(1),
                    column: fault.marker().col() + 1,
                };
                report.error(at, format!("not YAML: {}", fault.info()));
                return None;
            }
        };
        builder.take(event, Place::of(&span), report)?;
    }
    if builder.root.is_none() {
        report
            .error(Place::START, "the file is empty")
            .hint("`towline schema` prints what belongs into it");
    }
    builder.root
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    root: Option<Node>,
}

/// A collection whose end has not come yet.
struct Open {
    at: Place,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Node> },
}

impl Builder {
    /// `None` stops the reading: the report says why.
    fn take(&mut self, event: Event<'_>, at: Place, report: &mut Report) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain || is_text_tag(tag.as_deref());
                refuse_tag(tag.as_deref(), at, report);
                self.add(
                    Node {
                        at,
                        kind: Kind::Scalar {
                            text: text.into_owned(),
                            quoted,
                        },
                    },
                    anchor,
                    report,
                )
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at, report);
                self.open(
                    Open {
                        at,
                        anchor,
                        kind: OpenKind::List(Vec::new()),
                    },
                    report,
                )
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at, report);
                self.open(
                    Open {
                        at,
                        anchor,
                        kind: OpenKind::Map {
                            entries: Vec::new(),
                            key: None,
                        },
                    },
                    report,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(report),
            Event::Alias(anchor) => self.alias(anchor, at, report),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Some(()),
        }
    }

    fn open(&mut self, open: Open, report: &mut Report) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            report.error(open.at, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn close(&mut self, report: &mut Report) -> Option<()> {
        let Open { at, anchor, kind } = self.open.pop()?;
        let kind = match kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { entries, .. } => Kind::Map(entries),
        };
        self.add(Node { at, kind }, anchor, report)
    }

    fn alias(&mut self, anchor: usize, at: Place, report: &mut Report) -> Option<()> {
        let Some(node) = self.anchors.get(&anchor) else {
            report.error(at, "an alias inside of what it stands for");
            return None;
        };
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED_NODES {
            report.error(at, format!("aliases bring more than {MAX_ALIASED_NODES} values"));
            return None;
        }
        let node = node.clone();
        self.add(node, 0, report)
    }

    fn add(&mut self, node: Node, anchor: usize, report: &mut Report) -> Option<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None if self.root.is_some() => {
                report.error(node.at, "a second document: a project file has one");
                return None;
            }
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => add_entry(entries, key, node, report),
            },
        }
        Some(())
    }
}

fn add_entry(entries: &mut Vec<Entry>, key: Node, value: Node, report: &mut Report) {
    let Kind::Scalar { text, .. } = key.kind else {
        report.error(key.at, format!("a key must be a text, not {}", key.kind_name()));
        return;
    };
    if let Some(first) = entries.iter().find(|entry| entry.key == text) {
        let line = first.key_at.line;
        report.error(
            key.at,
            format!("the key {text:?} is here twice; it is in line {line} already"),
        );
        return;
    }
    entries.push(Entry {
        key: text,
        key_at: key.at,
        value,
    });
}

fn is_text_tag(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str")
}

fn refuse_tag(tag: Option<&Tag>, at: Place, report: &mut Report) {
    if let Some(tag) = tag
        && !tag.is_yaml_core_schema()
    {
        report.error(
            at,
            format!("the tag {}{} means nothing here", tag.handle, tag.suffix),
        );
    }
}
