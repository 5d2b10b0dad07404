//! Members that may be left out. One that is wrong is reported and then left
//! out as well: the file is refused anyway.

use jiff::SignedDuration;

use super::{Reading, word};
use crate::domain::project::{
    check::{Allowed, Use, Wants},
    forms::Form,
    report::{self, Fields},
    template::{Amount, Switch, Template, Texts},
    yaml::{Kind, Node},
};

fn has_hole(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar { text, .. } if text.contains("${"))
}

impl<'a> Reading<'a> {
    /// A whole number, here or from a value.
    pub(super) fn amount(&mut self, node: &Node, what: &str, allowed: Allowed) -> Option<Amount> {
        if has_hole(node) {
            let amount = Amount::Of(self.unchecked_template(node, what)?);
            self.uses.push(Use {
                at: node.at,
                wants: Wants::Amount {
                    what: what.to_owned(),
                    amount: amount.clone(),
                    allowed,
                },
            });
            return Some(amount);
        }
        let (from, to) = match allowed {
            Allowed::Range(from, to) => (from, to),
            Allowed::Any | Allowed::OneOf(_) => (0, u32::MAX),
        };
        let number = report::number(node, what, from..=to, &mut self.report)?;
        if !allowed.allows(number) {
            self.report
                .error(node.at, format!("{what} must be {}", allowed.words()));
            return None;
        }
        Some(Amount::Fixed(number))
    }

    pub(super) fn optional_amount(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
        allowed: Allowed,
    ) -> Option<Amount> {
        let node = fields.get(key)?;
        self.amount(node, &format!("{what}: {key}"), allowed)
    }

    /// A number that stands in the file itself.
    pub(super) fn optional_number(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
        from: u32,
        to: u32,
    ) -> Option<u32> {
        let node = fields.get(key)?;
        report::number(node, &format!("{what}: {key}"), from..=to, &mut self.report)
    }

    /// On or off, here or from a value.
    pub(super) fn optional_switch(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> Option<Switch> {
        let node = fields.get(key)?;
        let what = format!("{what}: {key}");
        if !has_hole(node) {
            return report::boolean(node, &what, &mut self.report).map(Switch::Fixed);
        }
        let switch = Switch::Of(self.unchecked_template(node, &what)?);
        self.uses.push(Use {
            at: node.at,
            wants: Wants::Switch(switch.clone()),
        });
        Some(switch)
    }

    /// True or false in the file itself.
    pub(super) fn optional_boolean(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> Option<bool> {
        let node = fields.get(key)?;
        report::boolean(node, &format!("{what}: {key}"), &mut self.report)
    }

    pub(super) fn optional_word<T: Copy>(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let node = fields.get(key)?;
        word(node, &format!("{what}: {key}"), words, &mut self.report)
    }

    /// A time span of more than nothing, such as 45m.
    pub(super) fn optional_span(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
        longest: SignedDuration,
    ) -> Option<SignedDuration> {
        let node = fields.get(key)?;
        let what = format!("{what}: {key}");
        let text = report::text(node, &what, &mut self.report)?;
        match text.parse::<SignedDuration>() {
            Ok(span) if span > SignedDuration::ZERO && span <= longest => Some(span),
            Ok(_) => {
                let most = match longest.as_hours() {
                    hours if hours > 48 => format!("{} days", hours / 24),
                    hours => format!("{hours} hours"),
                };
                let message = format!("{what} must be more than nothing and at most {most}");
                self.report.error(node.at, message);
                None
            }
            Err(_) => {
                self.report
                    .error(node.at, format!("{what}: {text:?} is not a time span"))
                    .hint("such as 45m or 1h30m");
                None
            }
        }
    }

    /// A name that parses, in the file itself.
    pub(super) fn optional_name<T>(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let node = fields.get(key)?;
        report::parsed(node, &format!("{what}: {key}"), &mut self.report)
    }

    /// A list of texts with at least one, or one hole that brings the list.
    pub(super) fn texts(&mut self, node: &'a Node, what: &str) -> Option<Texts> {
        if !has_hole(node) {
            let items = report::list(node, what, &mut self.report)?;
            if items.is_empty() {
                self.report.error(node.at, format!("{what} is empty"));
            }
            return Some(Texts::Items(self.templates(Some(node), what)));
        }
        let texts = Texts::Whole(self.unchecked_template(node, what)?);
        self.uses.push(Use {
            at: node.at,
            wants: Wants::Texts(texts.clone()),
        });
        Some(texts)
    }

    pub(super) fn optional_texts(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> Option<Texts> {
        let node = fields.get(key)?;
        self.texts(node, &format!("{what}: {key}"))
    }

    /// A template whose filled text has a form.
    pub(super) fn formed(&mut self, node: &Node, what: &str, form: Form) -> Option<Template> {
        let template = self.template(node, what)?;
        self.has_form(node, what, Texts::Items(vec![template.clone()]), form);
        Some(template)
    }

    pub(super) fn optional_formed(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
        form: Form,
    ) -> Option<Template> {
        let node = fields.get(key)?;
        self.formed(node, &format!("{what}: {key}"), form)
    }

    /// Notes that filled texts have a form.
    pub(super) fn has_form(&mut self, node: &Node, what: &str, texts: Texts, form: Form) {
        self.uses.push(Use {
            at: node.at,
            wants: Wants::Form {
                what: what.to_owned(),
                texts,
                form,
            },
        });
    }

    /// A list of texts that have a form, or one hole that brings the list.
    pub(super) fn formed_texts(&mut self, node: &'a Node, what: &str, form: Form) -> Option<Texts> {
        let texts = self.texts(node, what)?;
        match (&texts, &node.kind) {
            (Texts::Items(templates), Kind::List(nodes)) if templates.len() == nodes.len() => {
                for (template, node) in templates.iter().zip(nodes) {
                    self.has_form(node, what, Texts::Items(vec![template.clone()]), form);
                }
            }
            _ => self.has_form(node, what, texts.clone(), form),
        }
        Some(texts)
    }

    /// The items of a list that may be left out.
    pub(super) fn items(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> &'a [Node] {
        let node = fields.get(key);
        node.and_then(|node| report::list(node, &format!("{what}: {key}"), &mut self.report))
            .unwrap_or_default()
    }
}
