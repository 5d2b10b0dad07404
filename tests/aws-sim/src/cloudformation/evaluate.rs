//! The intrinsic functions: a template's values in, plain values out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    references::{self, Piece},
    template::{Template, invalid, scalar},
};
use crate::AwsError;

/// What `Ref` and `Fn::GetAtt` of resources are answered from.
pub trait Lookup {
    /// The resource's physical id as `Ref` gives it.
    fn reference(&self, logical_id: &str) -> Option<String>;
    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<String>;
}

/// The pseudo parameters.
#[derive(Clone, Debug)]
pub struct Pseudo {
    pub account: String,
    pub region: String,
    pub partition: String,
    pub stack_name: String,
    pub stack_id: String,
}

/// Where values are evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub template: &'a Template,
    pub parameters: &'a BTreeMap<String, String>,
    pub pseudo: &'a Pseudo,
    pub resources: &'a dyn Lookup,
}

type Evaluated<T> = Result<T, AwsError>;

/// Conditions may refer to conditions; deeper than this is a circle.
const DEEPEST: usize = 32;

impl Scope<'_> {
    /// The members of an object, those that come to `AWS::NoValue` left out.
    ///
    /// # Errors
    /// `ValidationError` when a function is used wrongly.
    pub fn members(&self, members: &Map<String, Value>) -> Evaluated<Map<String, Value>> {
        let mut plain = Map::new();
        for (name, value) in members {
            if let Some(value) = self.value(value)? {
                plain.insert(name.clone(), value);
            }
        }
        Ok(plain)
    }

    /// One value; `None` is `AWS::NoValue`.
    ///
    /// # Errors
    /// `ValidationError` when a function is used wrongly.
    pub fn value(&self, value: &Value) -> Evaluated<Option<Value>> {
        match value {
            Value::Array(items) => {
                let mut plain = Vec::new();
                for item in items {
                    plain.extend(self.value(item)?);
                }
                Ok(Some(Value::Array(plain)))
            }
            Value::Object(members) => match references::single(value) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.function(name, argument)
                }
                _ => Ok(Some(Value::Object(self.members(members)?))),
            },
            plain => Ok(Some(plain.clone())),
        }
    }

    /// Whether the condition of this name holds; no name always does.
    ///
    /// # Errors
    /// `ValidationError` for a condition that is not declared.
    pub fn holds(&self, name: Option<&str>) -> Evaluated<bool> {
        name.map_or(Ok(true), |name| self.condition(name, 0))
    }

    fn function(&self, name: &str, argument: &Value) -> Evaluated<Option<Value>> {
        match name {
            "Ref" => self.reference(argument.as_str().unwrap_or_default()),
            "Fn::GetAtt" => self.attribute(argument).map(|text| Some(Value::String(text))),
            "Fn::Sub" => self.sub(argument).map(|text| Some(Value::String(text))),
            "Fn::Join" => self.join(argument).map(|text| Some(Value::String(text))),
            "Fn::Split" => self.split(argument).map(Some),
            "Fn::Select" => self.select(argument).map(Some),
            "Fn::FindInMap" => self.find_in_map(argument).map(Some),
            "Fn::If" => self.choose(argument),
            other => Err(invalid(format!(
                "Template error: {other} is not simulated by aws-sim"
            ))),
        }
    }

    fn reference(&self, name: &str) -> Evaluated<Option<Value>> {
        let pseudo = self.pseudo;
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => pseudo.region.clone(),
            "AWS::AccountId" => pseudo.account.clone(),
            "AWS::Partition" => pseudo.partition.clone(),
            "AWS::StackName" => pseudo.stack_name.clone(),
            "AWS::StackId" => pseudo.stack_id.clone(),
            "AWS::URLSuffix" if pseudo.partition == "aws-cn" => "amazonaws.com.cn".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::NotificationARNs" => return Ok(Some(Value::Array(Vec::new()))),
            name => match self.parameters.get(name) {
                Some(value) => return Ok(Some(self.parameter(name, value))),
                None => self
                    .resources
                    .reference(name)
                    .ok_or_else(|| invalid(format!("Template error: {name} is not available yet")))?,
            },
        };
        Ok(Some(Value::String(text)))
    }

    fn parameter(&self, name: &str, value: &str) -> Value {
        let kind = self
            .template
            .parameter(name)
            .map_or("String", |declared| declared.kind.as_str());
        let is_list = kind == "CommaDelimitedList" || kind.contains("List<");
        if !is_list {
            return Value::String(value.to_owned());
        }
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
    }

    fn attribute(&self, argument: &Value) -> Evaluated<String> {
        let (name, attribute) = references::attribute_of(argument).ok_or_else(|| {
            invalid("Template error: every Fn::GetAtt object requires two non-empty parameters")
        })?;
        self.attribute_of(&name, &attribute)
    }

    fn attribute_of(&self, name: &str, attribute: &str) -> Evaluated<String> {
        self.resources
            .attribute(name, attribute)
            .ok_or_else(|| invalid(format!("Template error: {name}.{attribute} is not available yet")))
    }

    fn sub(&self, argument: &Value) -> Evaluated<String> {
        let (text, own) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(pair) => (
                pair.first().and_then(Value::as_str).unwrap_or_default(),
                pair.get(1).and_then(Value::as_object),
            ),
            _ => {
                return Err(invalid(
                    "Template error: every Fn::Sub object must be a string or a list",
                ));
            }
        };
        let mut whole = String::new();
        for piece in references::pieces(text) {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Literal(text) => {
                    whole.push_str("${");
                    whole.push_str(text);
                    whole.push('}');
                }
                Piece::Name(name) => whole.push_str(&self.substituted(name, own)?),
            }
        }
        Ok(whole)
    }

    fn substituted(&self, name: &str, own: Option<&Map<String, Value>>) -> Evaluated<String> {
        if let Some(value) = own.and_then(|own| own.get(name)) {
            return self.text(value);
        }
        match name.split_once('.') {
            Some((resource, attribute)) => self.attribute_of(resource, attribute),
            None => match self.reference(name)? {
                Some(Value::Array(items)) => {
                    let items: Vec<String> = items.iter().filter_map(scalar).collect();
                    Ok(items.join(","))
                }
                other => Ok(other.as_ref().and_then(scalar).unwrap_or_default()),
            },
        }
    }

    fn join(&self, argument: &Value) -> Evaluated<String> {
        let [delimiter, items] = pair(argument, "Fn::Join")?;
        let delimiter = self.text(delimiter)?;
        let items = match self.value(items)? {
            Some(Value::Array(items)) => items,
            _ => {
                return Err(invalid(
                    "Template error: every Fn::Join object requires two parameters",
                ));
            }
        };
        let items: Vec<String> = items.iter().filter_map(scalar).collect();
        Ok(items.join(&delimiter))
    }

    fn split(&self, argument: &Value) -> Evaluated<Value> {
        let [delimiter, text] = pair(argument, "Fn::Split")?;
        let (delimiter, text) = (self.text(delimiter)?, self.text(text)?);
        let pieces = text.split(&delimiter);
        Ok(pieces.map(|piece| Value::String(piece.to_owned())).collect())
    }

    fn select(&self, argument: &Value) -> Evaluated<Value> {
        let [index, items] = pair(argument, "Fn::Select")?;
        let index: Option<usize> = self.text(index)?.parse().ok();
        let items = self.value(items)?;
        index
            .zip(items.as_ref().and_then(Value::as_array))
            .and_then(|(index, items)| items.get(index))
            .cloned()
            .ok_or_else(|| invalid("Template error: Fn::Select cannot select nonexistent value at index"))
    }

    fn find_in_map(&self, argument: &Value) -> Evaluated<Value> {
        let mut found = &self.template.mappings;
        for key in argument.as_array().into_iter().flatten() {
            let key = self.text(key)?;
            found = found
                .get(&key)
                .ok_or_else(|| invalid(format!("Template error: Unable to get mapping for {key}")))?;
        }
        Ok(found.clone())
    }

    fn choose(&self, argument: &Value) -> Evaluated<Option<Value>> {
        match argument.as_array().map(Vec::as_slice) {
            Some([Value::String(name), yes, no]) => {
                let chosen = if self.condition(name, 0)? { yes } else { no };
                self.value(chosen)
            }
            _ => Err(invalid(
                "Template error: Fn::If requires a list argument with three elements",
            )),
        }
    }

    fn condition(&self, name: &str, depth: usize) -> Evaluated<bool> {
        if depth > DEEPEST {
            return Err(invalid(format!(
                "Template error: Found circular condition dependency on {name}"
            )));
        }
        let expression = self
            .template
            .conditions
            .get(name)
            .ok_or_else(|| invalid(format!("Template error: unresolved condition dependency {name}")))?;
        self.decide(expression, depth)
    }

    fn decide(&self, expression: &Value, depth: usize) -> Evaluated<bool> {
        let (name, argument) = references::single(expression)
            .ok_or_else(|| invalid("Template error: Conditions can only be boolean operations"))?;
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name, parts) {
            ("Condition", _) => self.condition(argument.as_str().unwrap_or_default(), depth + 1),
            ("Fn::Equals", [left, right]) => Ok(self.comparable(left)? == self.comparable(right)?),
            ("Fn::Not", [inner]) => Ok(!self.decide(inner, depth + 1)?),
            ("Fn::And", _) => self.all(parts, depth, true),
            ("Fn::Or", _) => Ok(!self.all(parts, depth, false)?),
            _ => Err(invalid(format!(
                "Template error: {name} is not a condition function"
            ))),
        }
    }

    /// Whether every part comes to `wanted`.
    fn all(&self, parts: &[Value], depth: usize, wanted: bool) -> Evaluated<bool> {
        for part in parts {
            if self.decide(part, depth + 1)? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn comparable(&self, value: &Value) -> Evaluated<Option<Value>> {
        let value = self.value(value)?;
        Ok(value.map(|value| scalar(&value).map_or(value, Value::String)))
    }

    fn text(&self, value: &Value) -> Evaluated<String> {
        let value = self.value(value)?;
        Ok(value.as_ref().and_then(scalar).unwrap_or_default())
    }
}

fn pair<'a>(argument: &'a Value, function: &str) -> Evaluated<[&'a Value; 2]> {
    match argument.as_array().map(Vec::as_slice) {
        Some([first, second]) => Ok([first, second]),
        _ => Err(invalid(format!(
            "Template error: every {function} object requires two parameters"
        ))),
    }
}

#[cfg(test)]
mod tests;
