//! What ECS resolved the images of a service to, when it deployed them.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-revision.html>

use towline_agent_domain::observed::{ClusterRef, TaskDefinitionArn};
use towline_agent_domain::outside::Answer;
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::answer;

impl Aws {
    pub(crate) async fn digests_of(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> Answer<Vec<(String, String)>> {
        let ecs = self.inner.clients.ecs(&at.region);
        let describe = ecs.describe_services().cluster(&at.cluster).services(service);
        let sent = self
            .budgets()
            .read(&at.region, Group::ServiceReads, Purpose::Acting, || {
                describe.clone().send()
            });
        let described = answer(sent.await, &format!("cluster {}", at.cluster))?;
        let current = described
            .services()
            .iter()
            .flat_map(|service| service.current_service_revisions());
        let arns: Vec<String> = current
            .filter_map(|revision| revision.arn().map(str::to_owned))
            .collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let revisions = ecs
            .describe_service_revisions()
            .set_service_revision_arns(Some(arns));
        let sent = self
            .budgets()
            .read(&at.region, Group::ServiceRevisions, Purpose::Acting, || {
                revisions.clone().send()
            });
        let described = answer(sent.await, "the service's revisions")?;
        let wanted = described
            .service_revisions()
            .iter()
            .filter(|revision| revision.task_definition() == Some(&task_definition.0));
        let images = wanted.flat_map(|revision| revision.container_images());
        Ok(images
            .filter_map(|image| {
                let digest = image.image_digest()?;
                Some((image.container_name()?.to_owned(), digest.to_owned()))
            })
            .collect())
    }
}
