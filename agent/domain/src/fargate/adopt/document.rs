//! A template as CloudFormation gives it back, JSON or YAML, as JSON. YAML's short
//! forms become the long ones: `!Ref X` is `{"Ref": "X"}`. Scalars stay texts.

use saphyr_parser::{Event, Parser, StrInput, Tag};
use serde_json::{Map, Value};

/// The deepest that is read.
const MAX_DEPTH: usize = 64;

/// Why a template cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::fargate) enum Unreadable {
    #[error("line {line}: {words}")]
    Syntax { line: usize, words: String },
    #[error("it has anchors, which CloudFormation does not know")]
    Anchors,
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("it is empty")]
    Empty,
}

pub(in crate::fargate) fn parse(text: &str) -> Result<Value, Unreadable> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    let mut parser = Parser::new(StrInput::new(text));
    let mut reader = Reader::default();
    while let Some(next) = parser.next_event() {
        let (event, _) = next.map_err(|fault| Unreadable::Syntax {
            line: fault.marker().line(),
            words: fault.info().to_owned(),
        })?;
        reader.take(event)?;
    }
    reader.root.ok_or(Unreadable::Empty)
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    root: Option<Value>,
}

/// A collection whose end has not come yet.
struct Open {
    function: Option<String>,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Value>),
    Map {
        members: Map<String, Value>,
        key: Option<String>,
    },
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), Unreadable> {
        match event {
            Event::Alias(_) => return Err(Unreadable::Anchors),
            Event::Scalar(text, _, _, tag) => {
                let function = tag.as_deref().and_then(function);
                let value = match function.as_deref() {
                    Some("Fn::GetAtt") => text.splitn(2, '.').map(Value::from).collect(),
                    _ => Value::from(text.into_owned()),
                };
                self.put(wrapped(function, value));
            }
            Event::SequenceStart(_, tag) => self.begin(tag.as_deref(), OpenKind::List(Vec::new()))?,
            Event::MappingStart(_, tag) => {
                self.begin(
                    tag.as_deref(),
                    OpenKind::Map {
                        members: Map::new(),
                        key: None,
                    },
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { function, kind }) = self.open.pop() {
                    let value = match kind {
                        OpenKind::List(items) => Value::Array(items),
                        OpenKind::Map { members, .. } => Value::Object(members),
                    };
                    self.put(wrapped(function, value));
                }
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, tag: Option<&Tag>, kind: OpenKind) -> Result<(), Unreadable> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        self.open.push(Open {
            function: tag.and_then(function),
            kind,
        });
        Ok(())
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => {
                self.root.get_or_insert(value);
            }
            Some(OpenKind::List(items)) => items.push(value),
            Some(OpenKind::Map { members, key }) => match key.take() {
                Some(name) => {
                    members.insert(name, value);
                }
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            },
        }
    }
}

/// `!Ref` → `Ref`, `!Condition` → `Condition`, `!Sub` → `Fn::Sub`. YAML's own tags are none.
fn function(tag: &Tag) -> Option<String> {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "") => None,
        ("!", plain @ ("Ref" | "Condition")) => Some(plain.to_owned()),
        ("!", name) => Some(format!("Fn::{name}")),
        _ => None,
    }
}

fn wrapped(function: Option<String>, value: Value) -> Value {
    match function {
        Some(name) => Value::Object([(name, value)].into_iter().collect()),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_and_its_short_forms_become_json() {
        let text = "Resources:\n  A:\n    Ref1: !Ref X\n    Att: !GetAtt Role.Arn\n    List: [!Sub '${A}-b', c]\n    \
                    Join: !Join ['', [a, b]]\n    If: !If\n      - C\n      - x\n      - !Ref AWS::NoValue\n";
        let read = parse(text).unwrap();
        let expected = json!({"Resources": {"A": {
            "Ref1": {"Ref": "X"},
            "Att": {"Fn::GetAtt": ["Role", "Arn"]},
            "List": [{"Fn::Sub": "${A}-b"}, "c"],
            "Join": {"Fn::Join": ["", ["a", "b"]]},
            "If": {"Fn::If": ["C", "x", {"Ref": "AWS::NoValue"}]},
        }}});
        assert_eq!(read, expected);
        assert_eq!(parse(&expected.to_string()).unwrap(), expected);
        assert!(parse("a: [").is_err() && parse("").is_err());
    }
}
