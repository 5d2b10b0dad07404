//! Which value a variable has where, and why.

use super::{
    Engine, EngineError, Page, Paged, VariableQuestion, VariableValueView, VariableView,
    commands::{find_release, no_project},
};
use crate::domain::{
    project::{Project, Scope, Unresolved},
    variable::{Place, ScopedValue, VariableValue, explain, places},
};

impl Engine {
    /// The variables of a project in every place that was asked about, in the
    /// order of the file.
    pub async fn variables(
        &self,
        question: &VariableQuestion,
        page: Page,
    ) -> Result<Paged<VariableView>, EngineError> {
        let project = self.definition(&question.project, &question.release).await?;
        let skip: usize = match page.token.as_str() {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| EngineError::invalid("page_token", "is not one that a list answered"))?,
        };
        question.check(&project)?;
        let limit = page.limit() as usize;
        let mut found = all(&project, question).skip(skip);
        let items: Vec<VariableView> = found.by_ref().take(limit).collect();
        let next = match found.next() {
            Some(_) => (skip + items.len()).to_string(),
            None => String::new(),
        };
        Ok(Paged { items, next })
    }

    /// As a release snapshotted it, or as it was applied last.
    async fn definition(&self, name: &str, release: &str) -> Result<std::sync::Arc<Project>, EngineError> {
        if release.is_empty() {
            let newest = self.0.store.newest_version(name).await?;
            return Ok(std::sync::Arc::new(
                newest.ok_or_else(|| no_project(name))?.parsed,
            ));
        }
        let mut view = self.0.store.read().await?;
        let stored = find_release(&mut view, name, release).await?;
        self.project_of(&mut view, &stored.release).await
    }
}

impl VariableQuestion {
    /// What is named is there.
    fn check(&self, project: &Project) -> Result<(), EngineError> {
        let keys = |what: &'static str, wanted: &str, known: Vec<String>| {
            if wanted.is_empty() || known.iter().any(|it| it == wanted) {
                return Ok(());
            }
            Err(EngineError::NotFound {
                what,
                name: format!("{wanted} in project {}", project.name),
                hint: format!("there are: {}", known.join(", ")),
            })
        };
        let targets = project.environments.values().flat_map(|it| &it.targets);
        keys(
            "environment",
            &self.environment,
            project.environments.keys().map(ToString::to_string).collect(),
        )?;
        keys(
            "target",
            &self.target,
            targets.map(|it| it.id().to_string()).collect(),
        )?;
        keys(
            "service",
            &self.service,
            project.services.keys().map(ToString::to_string).collect(),
        )?;
        keys(
            "channel",
            &self.channel,
            project.channels.keys().map(ToString::to_string).collect(),
        )?;
        keys(
            "variable",
            &self.name,
            project.variables.0.keys().cloned().collect(),
        )
    }

    fn covers(&self, place: &Place<'_>) -> bool {
        let is = |wanted: &str, there: &str| wanted.is_empty() || wanted == there;
        is(&self.environment, place.environment.as_str())
            && is(&self.target, place.target.as_str())
            && place.service.is_none_or(|it| is(&self.service, it.as_str()))
            && place.channel.is_none_or(|it| is(&self.channel, it.as_str()))
    }
}

/// Every variable in every place that is asked about.
fn all<'a>(project: &'a Project, question: &'a VariableQuestion) -> impl Iterator<Item = VariableView> + 'a {
    places(project)
        .into_iter()
        .flat_map(move |(environment, target, service, channel)| {
            let place = Place {
                environment,
                target: &target,
                channel: Some(channel),
                service: Some(service),
            };
            let names = project.variables.0.keys();
            let wanted = names.filter(|name| question.name.is_empty() || question.name == **name);
            let here: Vec<VariableView> = match question.covers(&place) {
                true => wanted.map(|name| in_place(project, name, &place)).collect(),
                false => Vec::new(),
            };
            here
        })
}

fn in_place(project: &Project, name: &str, place: &Place<'_>) -> VariableView {
    let told = explain(&project.variables, name, place);
    let show = |value: &ScopedValue| shown(project, value, place);
    let (value, why) = match told.winner.map(show).transpose() {
        Ok(value) => (value, told.why),
        Err(why) => (None, why.to_string()),
    };
    VariableView {
        name: name.to_owned(),
        environment: place.environment.to_string(),
        target: place.target.to_string(),
        service: place.service.map(ToString::to_string).unwrap_or_default(),
        channel: place.channel.map(ToString::to_string).unwrap_or_default(),
        value,
        others: told.others.into_iter().filter_map(|it| show(it).ok()).collect(),
        why,
    }
}

/// A value as it is in a place.
fn shown(project: &Project, value: &ScopedValue, place: &Place<'_>) -> Result<VariableValueView, Unresolved> {
    let named = |name: Option<String>| name.unwrap_or_default();
    let scope = &value.scope;
    let mut view = VariableValueView {
        environment: named(scope.environment.as_ref().map(ToString::to_string)),
        target: named(scope.target.as_ref().map(ToString::to_string)),
        service: named(scope.service.as_ref().map(ToString::to_string)),
        channel: named(scope.channel.as_ref().map(ToString::to_string)),
        line: value.line,
        ..VariableValueView::default()
    };
    let environment = project.environments.get(place.environment);
    let target = environment.and_then(|it| it.targets.iter().find(|it| it.id() == *place.target));
    let (Some(environment), Some(target)) = (environment, target) else {
        return Ok(view);
    };
    let fills = Scope {
        environment: &environment.values,
        target: &target.values,
        variables: None,
    };
    match &value.value {
        VariableValue::Text(text) => view.texts = vec![text.resolve(fills)?],
        VariableValue::List(items) => {
            let items = items.iter().map(|item| item.resolve(fills));
            view.texts = items.collect::<Result<_, _>>()?;
        }
        VariableValue::Parameter { name, .. } => view.parameter = name.resolve(fills)?,
        VariableValue::StackOutput { stack, output, .. } => {
            view.stack = stack.resolve(fills)?;
            view.output = output.resolve(fills)?;
        }
    }
    Ok(view)
}
