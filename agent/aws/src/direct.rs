//! Services whose protocol is spoken here, and not by an SDK of their own:
//! EC2, IAM, CloudWatch and Systems Manager, of which this agent reads a few members
//! of a few answers, and S3, in which it stores an object now and then. Signing,
//! credentials, retries, timeouts and connections are still the SDK's, through its
//! generic operation.
//!
//! Why: the time that their crates take to compile. Measured in November 2026
//! on a 2-core machine, seconds of one core for `cargo check` + `cargo build`
//! of that crate alone: secretsmanager 2 + 5, ecr 7 + 13 (both are used),
//! elasticloadbalancingv2 5 + 10 (for comparison), iam 14 + 30, ssm 26 + 50,
//! ec2 97 + more than the check. `scripts/test` pays for both. S3's SDK brings
//! checksums, event streams and its own signer besides; not measured.

use std::error::Error;
use std::fmt;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use serde_json::Value;
use towline_agent_domain::outside::{Answer, CallError};

use crate::call;
use crate::operation::OperationHeader;

/// A service that is spoken to directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    Iam,
    /// CloudWatch.
    Monitoring,
    S3,
    Ssm,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Monitoring => "monitoring",
            Self::S3 => "s3",
            Self::Ssm => "ssm",
        }
    }

    /// The version of the query protocol's API.
    fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Iam => "2010-05-08",
            Self::Monitoring => "2010-08-01",
            Self::S3 | Self::Ssm => "",
        }
    }

    /// The URL, and the region that requests are signed for. IAM is one for all
    /// regions of a partition.
    /// <https://docs.aws.amazon.com/general/latest/gr/iam-service.html>
    fn endpoint(self, region: &str, fips: bool) -> (String, String) {
        let name = match fips {
            true => format!("{}-fips", self.name()),
            false => self.name().to_owned(),
        };
        let in_china = region.starts_with("cn-");
        let suffix = if in_china {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let (host, signed_for) = match self {
            Self::Ec2 | Self::Monitoring | Self::S3 | Self::Ssm => {
                (format!("{name}.{region}.{suffix}"), region)
            }
            Self::Iam if in_china => (format!("iam.cn-north-1.{suffix}"), "cn-north-1"),
            Self::Iam if region.starts_with("us-gov-") => (format!("iam.us-gov.{suffix}"), "us-gov-west-1"),
            Self::Iam => (format!("{name}.{suffix}"), "us-east-1"),
        };
        (format!("https://{host}"), signed_for.to_owned())
    }

    /// S3 signs the path as it is sent, and wants the body's hash in a header.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
    fn signing(self) -> SigningOptions {
        let is_s3 = self == Self::S3;
        let mut options = SigningOptions::default();
        options.double_uri_encode = !is_s3;
        options.normalize_uri_path = !is_s3;
        options.content_sha256_header = is_s3;
        options
    }
}

/// A client of one service in one region.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    service: Service,
    operation: Operation<Sent, String, Refusal>,
    /// Where another service of AWS finds this one.
    public_url: String,
}

/// A request: the body, and what says how to read it.
#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    /// Begins with a slash; nothing in it needs to be escaped.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Sent {
    fn post(content_type: &str, body: String) -> Self {
        Self {
            method: "POST",
            path: "/".to_owned(),
            headers: vec![("content-type", content_type.to_owned())],
            body,
        }
    }
}

/// What AWS answered instead, by its own code and words.
#[derive(Debug)]
pub(crate) struct Refusal(ErrorMetadata);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Refusal {}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Direct {
    pub(crate) fn new(config: &SdkConfig, service: Service, region: &str) -> Self {
        let fips = config.use_fips().unwrap_or(false);
        let (url, signed_for) = service.endpoint(region, fips);
        let retries = config.retry_config().cloned();
        let (public_url, _) = service.endpoint(region, false);
        let elsewhere = config
            .endpoint_url()
            .map(|url| url.trim_end_matches('/').to_owned());
        let public_url = elsewhere.clone().unwrap_or(public_url);
        let url = elsewhere.unwrap_or(url);
        let mut builder = Operation::builder()
            .service_name(service.name())
            .operation_name("Call")
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&url)
            .standard_retry(&retries.unwrap_or_else(RetryConfig::standard))
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .interceptor(OperationHeader)
            .runtime_plugin(signed(config, service, signed_for));
        if let Some(timeouts) = config.timeout_config() {
            builder = builder.timeout_config(timeouts.clone());
        }
        if let Some(http) = config.http_client() {
            builder = builder.http_client(http);
        }
        let operation = builder.serializer(request).deserializer(read).build();
        Self {
            service,
            operation,
            public_url,
        }
    }

    /// An action of the query protocol; the answer's XML.
    pub(crate) async fn query(&self, action: &str, members: &[(String, &str)], what: &str) -> Answer<String> {
        call::answer(self.query_once(action, members).await, what)
    }

    /// The same as the SDK answers it, for whoever tries again by itself.
    pub(crate) async fn query_once(
        &self,
        action: &str,
        members: &[(String, &str)],
    ) -> Result<String, SdkError<Refusal, HttpResponse>> {
        let mut body = format!("Action={action}&Version={}", self.service.version());
        for (name, value) in members {
            body.push_str(&format!("&{name}={}", form_encoded(value)));
        }
        let sent = Sent::post("application/x-www-form-urlencoded", body);
        self.operation.invoke(sent).await
    }

    /// An action of the JSON protocol; `target` is its name after the service's prefix.
    pub(crate) async fn json(&self, target: &str, members: &Value, what: &str) -> Answer<Value> {
        let mut sent = Sent::post("application/x-amz-json-1.1", members.to_string());
        sent.headers.push(("x-amz-target", target.to_owned()));
        let body = call::answer(self.operation.invoke(sent).await, what)?;
        serde_json::from_str(&body).map_err(|error| CallError::Unknown {
            message: format!("AWS's answer is no JSON: {error}"),
        })
    }

    /// Stores a body under a path of which nothing needs to be escaped; the URL that
    /// another service of AWS reads it by.
    pub(crate) async fn put(
        &self,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: String,
        what: &str,
    ) -> Answer<String> {
        let sent = Sent {
            method: "PUT",
            path: path.to_owned(),
            headers,
            body,
        };
        call::answer(self.operation.invoke(sent).await, what)?;
        Ok(format!("{}{path}", self.public_url))
    }
}

/// Signs requests with the account's credentials.
fn signed(config: &SdkConfig, service: Service, region: String) -> StaticRuntimePlugin {
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(Region::new(region))),
        name: Some(SigningName::from_static(service.name())),
        signing_options: service.signing(),
        ..SigV4OperationSigningConfig::default()
    });
    let mut components = RuntimeComponentsBuilder::new("signing");
    components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
        StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
    )));
    components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
    components.set_identity_cache(config.identity_cache());
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, credentials);
    }
    StaticRuntimePlugin::new()
        .with_config(layer.freeze())
        .with_runtime_components(components)
}

fn request(sent: Sent) -> Result<HttpRequest, BoxError> {
    let length = sent.body.len();
    let mut request = HttpRequest::new(SdkBody::from(sent.body));
    request.set_method(sent.method)?;
    request.set_uri(sent.path)?;
    let headers = request.headers_mut();
    headers.try_insert("content-length", length.to_string())?;
    for (name, value) in sent.headers {
        headers.try_insert(name, value)?;
    }
    Ok(request)
}

fn read(response: &HttpResponse) -> Result<String, OrchestratorError<Refusal>> {
    let body = response.body().bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(body).into_owned();
    if response.status().is_success() {
        return Ok(text);
    }
    let (code, message) = refusal(&text).unwrap_or_default();
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    Err(OrchestratorError::operation(Refusal(metadata)))
}

/// Code and message of an error, in JSON or in one of the two XML dialects.
fn refusal(text: &str) -> Option<(String, String)> {
    if let Ok(error) = serde_json::from_str::<Value>(text) {
        let member = |name: &str| error.get(name).and_then(Value::as_str);
        let code = member("__type")?.rsplit('#').next()?.to_owned();
        let message = member("message")
            .or_else(|| member("Message"))
            .unwrap_or_default();
        return Some((code, message.to_owned()));
    }
    let document = roxmltree::Document::parse(text).ok()?;
    let error = document.descendants().find(|node| node.has_tag_name("Error"))?;
    Some((child_text(error, "Code"), child_text(error, "Message")))
}

/// The XML of an answer.
///
/// # Errors
/// `Unknown`, for what is none.
pub(crate) fn xml(text: &str) -> Answer<roxmltree::Document<'_>> {
    roxmltree::Document::parse(text).map_err(|error| CallError::Unknown {
        message: format!("AWS's answer is no XML: {error}"),
    })
}

/// The child element of this name, in whatever namespace.
pub(crate) fn child<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    name: &str,
) -> Option<roxmltree::Node<'a, 'input>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// The text of a child element; empty when there is none.
pub(crate) fn child_text(node: roxmltree::Node<'_, '_>, name: &str) -> String {
    child(node, name)
        .and_then(|child| child.text())
        .unwrap_or_default()
        .to_owned()
}

fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iam_is_asked_at_its_partitions_one_endpoint() {
        let at = |region| Service::Iam.endpoint(region, false);
        let of = |url: &str, region: &str| (url.to_owned(), region.to_owned());
        assert_eq!(at("eu-west-1"), of("https://iam.amazonaws.com", "us-east-1"));
        assert_eq!(
            at("cn-northwest-1"),
            of("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")
        );
        assert_eq!(
            at("us-gov-east-1"),
            of("https://iam.us-gov.amazonaws.com", "us-gov-west-1")
        );
    }

    #[test]
    fn a_bucket_is_spoken_to_in_its_region() {
        let (url, signed_for) = Service::S3.endpoint("eu-west-1", false);
        assert_eq!(
            (url.as_str(), signed_for.as_str()),
            ("https://s3.eu-west-1.amazonaws.com", "eu-west-1")
        );
        let (url, _) = Service::S3.endpoint("us-gov-west-1", true);
        assert_eq!(url, "https://s3-fips.us-gov-west-1.amazonaws.com");
    }

    #[test]
    fn errors_are_read_in_each_dialect() {
        let expected = Some(("Throttling".to_owned(), "Rate exceeded".to_owned()));
        let iam = "<ErrorResponse xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
        let ec2 = "<Response><Errors><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></Errors></Response>";
        let ssm = r#"{"__type":"com.amazonaws.ssm#Throttling","Message":"Rate exceeded"}"#;
        let s3 =
            "<?xml version=\"1.0\"?><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>";
        for text in [iam, ec2, ssm, s3] {
            assert_eq!(refusal(text), expected, "{text}");
        }
    }
}
