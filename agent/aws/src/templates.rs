//! Amazon S3, as far as templates pass through it on their way to CloudFormation.
//!
//! Paths are `/BUCKET/KEY`, for the request and for CloudFormation alike: a
//! bucket's name with dots would not match S3's certificate as a host.

use towline_agent_domain::outside::{Answer, TemplateStore, TemplateUpload};

use crate::Aws;

impl TemplateStore for Aws {
    async fn store_template(&self, upload: &TemplateUpload) -> Answer<String> {
        let TemplateUpload {
            region,
            bucket,
            key,
            text,
        } = upload;
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            // A bucket that was deleted may be made again by anybody, who would then
            // say what CloudFormation makes here.
            ("x-amz-expected-bucket-owner", self.account_id().to_owned()),
        ];
        let s3 = self.inner.clients.s3(region);
        s3.put(
            &format!("/{bucket}/{key}"),
            headers,
            text.clone(),
            &format!("bucket {bucket}"),
        )
        .await
    }
}
