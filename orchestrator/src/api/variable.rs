//! `VariableService`: which value wins where.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, variable_service_server::VariableService};

use super::{Api, error::status, page};
use crate::engine::{VariableQuestion, VariableValueView, VariableView};

#[tonic::async_trait]
impl VariableService for Api {
    async fn list_variables(
        &self,
        request: Request<pb::ListVariablesRequest>,
    ) -> Result<Response<pb::ListVariablesResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let question = VariableQuestion {
            project: asked.project,
            release: asked.release,
            environment: asked.environment,
            target: asked.target,
            service: asked.service,
            channel: asked.channel,
            name: asked.name,
        };
        let paged = self.engine.variables(&question, page).await.map_err(status)?;
        Ok(Response::new(pb::ListVariablesResponse {
            variables: paged.items.into_iter().map(variable).collect(),
            next_page_token: paged.next,
        }))
    }
}

fn variable(view: VariableView) -> pb::Variable {
    pb::Variable {
        name: view.name,
        environment: view.environment,
        target: view.target,
        service: view.service,
        channel: view.channel,
        value: view.value.map(value),
        others: view.others.into_iter().map(value).collect(),
        why: view.why,
    }
}

fn value(view: VariableValueView) -> pb::VariableValue {
    pb::VariableValue {
        texts: view.texts,
        parameter: view.parameter,
        stack: view.stack,
        output: view.output,
        environment: view.environment,
        target: view.target,
        service: view.service,
        channel: view.channel,
        line: view.line,
    }
}
