//! Amazon S3, as far as somebody puts a template there for CloudFormation: buckets,
//! each of one account and one region, and the objects in them. Names are one
//! space for the whole world, as they are in AWS. Only `/BUCKET/KEY` is spoken.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use sha2::{Digest as _, Sha256};

use crate::{AwsError, wire::query::element, world::Region};

/// The largest template that CloudFormation reads from a bucket, in bytes.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
const LARGEST_TEMPLATE: usize = 1_000_000;

/// One bucket.
#[derive(Debug)]
pub struct Bucket {
    /// 12 digits.
    pub owner: String,
    pub region: String,
    objects: BTreeMap<String, Bytes>,
}

/// The buckets of all accounts.
#[derive(Clone, Debug, Default)]
pub struct Buckets(Arc<Mutex<BTreeMap<String, Bucket>>>);

impl Buckets {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a bucket, unless there is one of this name.
    pub fn make(&self, name: &str, owner: &str, region: &str) {
        self.lock().entry(name.to_owned()).or_insert_with(|| Bucket {
            owner: owner.to_owned(),
            region: region.to_owned(),
            objects: BTreeMap::new(),
        });
    }

    /// `BUCKET/KEY` of everything that an account has in a region.
    pub fn objects(&self, owner: &str, region: &str) -> Vec<String> {
        let buckets = self.lock();
        let of_place = buckets
            .iter()
            .filter(|(_, bucket)| bucket.owner == owner && bucket.region == region);
        of_place
            .flat_map(|(name, bucket)| bucket.objects.keys().map(move |key| format!("{name}/{key}")))
            .collect()
    }
}

/// A request as S3 gets it: what elsewhere is a form is here path and headers.
#[derive(Clone, Debug)]
pub struct Request {
    /// `PutObject`, `GetObject`, or what was tried instead.
    pub action: String,
    bucket: String,
    key: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    pub fn read(parts: &Parts, body: &Bytes) -> Self {
        let path = parts.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let bare = parts.uri.query().is_none_or(|query| query.starts_with("x-id="));
        let action = match &parts.method {
            &Method::PUT if bare && !key.is_empty() => "PutObject".to_owned(),
            &Method::GET if bare && !key.is_empty() => "GetObject".to_owned(),
            other => format!("{other}"),
        };
        Self {
            action,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            headers: parts.headers.clone(),
            body: body.clone(),
        }
    }

    /// What the effect log names as the subject.
    pub fn subject(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// One request; the body of its answer.
///
/// # Errors
/// In S3's words.
pub fn call(region: &Region, request: &Request) -> Result<String, AwsError> {
    match request.action.as_str() {
        "PutObject" => put(region, request),
        "GetObject" => get(region, request),
        other => Err(AwsError::with_status(
            "NotImplemented",
            format!("{other} is not simulated by aws-sim"),
            501,
        )),
    }
}

fn put(region: &Region, request: &Request) -> Result<String, AwsError> {
    check_hash(request)?;
    let mut buckets = region.buckets.lock();
    let bucket = opened(&mut buckets, region, &request.bucket)?;
    check_owner(request, bucket)?;
    bucket.objects.insert(request.key.clone(), request.body.clone());
    Ok(String::new())
}

fn get(region: &Region, request: &Request) -> Result<String, AwsError> {
    let mut buckets = region.buckets.lock();
    let bucket = opened(&mut buckets, region, &request.bucket)?;
    check_owner(request, bucket)?;
    text_of(bucket, &request.key)
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
fn check_hash(request: &Request) -> Result<(), AwsError> {
    let said = request.header("x-amz-content-sha256").ok_or_else(|| {
        AwsError::client(
            "InvalidRequest",
            "Missing required header for this request: x-amz-content-sha256",
        )
    })?;
    if said != "UNSIGNED-PAYLOAD" && said != hex::encode(Sha256::digest(&request.body)) {
        return Err(AwsError::client(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
fn check_owner(request: &Request, bucket: &Bucket) -> Result<(), AwsError> {
    match request.header("x-amz-expected-bucket-owner") {
        Some(expected) if expected != bucket.owner => Err(denied()),
        _ => Ok(()),
    }
}

/// The bucket, if the caller's account has it in this region.
fn opened<'b>(
    buckets: &'b mut BTreeMap<String, Bucket>,
    region: &Region,
    name: &str,
) -> Result<&'b mut Bucket, AwsError> {
    let bucket = buckets
        .get_mut(name)
        .ok_or_else(|| AwsError::with_status("NoSuchBucket", "The specified bucket does not exist", 404))?;
    if bucket.region != region.name {
        return Err(AwsError::with_status(
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint. \
             Please send all future requests to this endpoint.",
            301,
        ));
    }
    if bucket.owner != region.account {
        return Err(denied());
    }
    Ok(bucket)
}

fn denied() -> AwsError {
    AwsError::with_status("AccessDenied", "Access Denied", 403)
}

fn text_of(bucket: &Bucket, key: &str) -> Result<String, AwsError> {
    let body = bucket
        .objects
        .get(key)
        .ok_or_else(|| AwsError::with_status("NoSuchKey", "The specified key does not exist.", 404))?;
    Ok(String::from_utf8_lossy(body).into_owned())
}

/// The template that a URL leads to, as CloudFormation fetches it for its caller.
///
/// # Errors
/// `ValidationError` in CloudFormation's words.
pub fn template(region: &Region, url: &str) -> Result<String, AwsError> {
    let invalid = |message: String| AwsError::client("ValidationError", message);
    let unsupported = || invalid("TemplateURL must be a supported URL.".to_owned());
    let (bucket, key) = place(url).ok_or_else(unsupported)?;
    let mut buckets = region.buckets.lock();
    let found = opened(&mut buckets, region, &bucket).and_then(|bucket| text_of(bucket, &key));
    let text = found.map_err(|error| {
        invalid(format!(
            "S3 error: {}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
            error.message
        ))
    })?;
    if text.len() > LARGEST_TEMPLATE {
        let limit = format!("Template may not exceed {LARGEST_TEMPLATE} bytes in size.");
        return Err(invalid(limit));
    }
    Ok(text)
}

/// Bucket and key of a URL, which may lead to AWS or to this simulator.
fn place(url: &str) -> Option<(String, String)> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://127.0.0.1:"))?;
    let (host, path) = rest.split_once('/')?;
    let path = path.split('?').next().unwrap_or(path);
    let here = host.bytes().all(|b| b.is_ascii_digit());
    let (bucket, key) = match host.split_once("s3.") {
        Some(("", _)) => path.split_once('/')?,
        Some((bucket, _)) => (bucket.strip_suffix('.')?, path),
        None if here => path.split_once('/')?,
        None => return None,
    };
    (!key.is_empty()).then(|| (bucket.to_owned(), key.to_owned()))
}

/// S3's error document.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
pub fn error_body(error: &AwsError, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{}{}{}{}</Error>",
        element("Code", &error.code),
        element("Message", &error.message),
        element("RequestId", request_id),
        element("HostId", "aws-sim")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_a_bucket_in_either_style() {
        let shop = Some(("shop".to_owned(), "towline/web/1.json".to_owned()));
        for url in [
            "https://s3.eu-west-1.amazonaws.com/shop/towline/web/1.json",
            "https://shop.s3.eu-west-1.amazonaws.com/towline/web/1.json",
            "http://127.0.0.1:4599/shop/towline/web/1.json",
        ] {
            assert_eq!(place(url), shop, "{url}");
        }
        for url in [
            "https://example.com/shop/x",
            "s3://shop/x",
            "https://s3.eu-west-1.amazonaws.com/shop",
        ] {
            assert_eq!(place(url), None, "{url}");
        }
    }
}
