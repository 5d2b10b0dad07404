//! One element of a change set's `Changes`: in short, or with every place and
//! its values when the client asks for them (`IncludePropertyValues`).

use super::maybe;
use crate::{
    cloudformation::{
        diff::{Action, Detail, ResourceChange, Source},
        kind::Recreation,
    },
    wire::query,
};

pub fn change(change: &ResourceChange, has_values: bool) -> String {
    let mut scope: Vec<String> = Vec::new();
    for detail in &change.details {
        if !scope.iter().any(|known| known == detail.attribute) {
            scope.push(detail.attribute.to_owned());
        }
    }
    let replacement = (change.action == Action::Modify).then_some(match change.replacement {
        Recreation::Always => "True",
        Recreation::Conditionally => "Conditional",
        Recreation::Never => "False",
    });
    let context = |of: &Option<String>| if has_values { of.clone() } else { None };
    let inner = [
        maybe("PolicyAction", change.policy_action),
        query::element("Action", change.action.word()),
        query::element("LogicalResourceId", &change.logical_id),
        maybe("PhysicalResourceId", change.physical_id.as_deref()),
        query::element("ResourceType", change.kind.name()),
        maybe("Replacement", replacement),
        query::members("Scope", scope),
        query::members("Details", details(change, has_values)),
        maybe("BeforeContext", context(&change.before).as_deref()),
        maybe("AfterContext", context(&change.after).as_deref()),
    ];
    query::element("Type", "Resource") + &query::wrap("ResourceChange", &inner.concat())
}

fn details(change: &ResourceChange, has_values: bool) -> Vec<String> {
    if has_values {
        return change.details.iter().map(|one| detail(one, true)).collect();
    }
    let mut shown: Vec<String> = Vec::new();
    for one in &change.details {
        let mut rows = vec![detail(one, false)];
        if matches!(one.source, Source::Parameter(_)) {
            // The template's own value is the other half of a parameter's change.
            rows.push(body(one, false, "Dynamic", "DirectModification", None));
        }
        for row in rows {
            if !shown.contains(&row) {
                shown.push(row);
            }
        }
    }
    shown
}

fn detail(detail: &Detail, has_values: bool) -> String {
    let (source, cause) = match &detail.source {
        Source::Parameter(name) => ("ParameterReference", Some(name.as_str())),
        Source::Resource(name) => ("ResourceReference", Some(name.as_str())),
        Source::ResourceAttribute(name) => ("ResourceAttribute", Some(name.as_str())),
        Source::Direct => ("DirectModification", None),
    };
    let evaluation = if detail.is_static() { "Static" } else { "Dynamic" };
    body(detail, has_values, evaluation, source, cause)
}

fn body(detail: &Detail, has_values: bool, evaluation: &str, source: &str, cause: Option<&str>) -> String {
    let recreation = match detail.recreation {
        Recreation::Always => "Always",
        Recreation::Conditionally => "Conditionally",
        Recreation::Never => "Never",
    };
    let target = [
        query::element("Attribute", detail.attribute),
        maybe("Name", detail.property.as_deref()),
        query::element("RequiresRecreation", recreation),
        if has_values { values(detail) } else { String::new() },
    ];
    [
        query::wrap("Target", &target.concat()),
        query::element("Evaluation", evaluation),
        query::element("ChangeSource", source),
        maybe("CausingEntity", cause),
    ]
    .concat()
}

fn values(detail: &Detail) -> String {
    let Some(leaf) = &detail.leaf else {
        return String::new();
    };
    let kind = match (&leaf.before, &leaf.after) {
        (None, _) => "Add",
        (_, None) => "Remove",
        _ => "Modify",
    };
    [
        maybe("Path", detail.path().as_deref()),
        maybe("BeforeValue", leaf.before.as_deref()),
        maybe("AfterValue", leaf.after.as_deref()),
        query::element("AttributeChangeType", kind),
    ]
    .concat()
}
