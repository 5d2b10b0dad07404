//! awsQuery: a form in, XML out.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::AwsError;

/// Parses `application/x-www-form-urlencoded`.
pub fn parse_form(body: &str) -> BTreeMap<String, String> {
    body.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair: Vec<u8> = rest.by_ref().take(2).collect();
                let code = std::str::from_utf8(&pair)
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.push(code.unwrap_or(b'%'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The values of `NAME.member.1`, `NAME.member.2` … in order (also `NAME.1`, as EC2 says it).
pub fn list(params: &BTreeMap<String, String>, name: &str) -> Vec<String> {
    let at = |index: usize| {
        params
            .get(&format!("{name}.member.{index}"))
            .or_else(|| params.get(&format!("{name}.{index}")))
    };
    (1..).map_while(at).cloned().collect()
}

/// The structures of `NAME.member.N.FIELD`, each as field → value, in order.
pub fn structures(params: &BTreeMap<String, String>, name: &str) -> Vec<BTreeMap<String, String>> {
    let at = |index: usize| {
        let prefix = format!("{name}.member.{index}.");
        let fields: BTreeMap<String, String> = params
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())))
            .collect();
        (!fields.is_empty()).then_some(fields)
    };
    (1..).map_while(at).collect()
}

/// Text made safe for XML.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\r' => safe.push_str("&#xD;"),
            other => safe.push(other),
        }
    }
    safe
}

/// `<name>escaped text</name>`.
pub fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// `<name>inner XML</name>`.
pub fn wrap(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}

/// `<name><member>…</member>…</name>` of inner XML pieces.
pub fn members(name: &str, pieces: impl IntoIterator<Item = String>) -> String {
    let mut inner = String::new();
    for piece in pieces {
        let _infallible = write!(inner, "<member>{piece}</member>");
    }
    wrap(name, &inner)
}

/// Actions whose answer holds nothing at all, by AWS's service models.
const WITHOUT_RESULT: [&str; 2] = ["CancelUpdateStack", "DeleteStack"];

/// The whole answer of an awsQuery action around its result's inner XML.
pub fn response(namespace: &str, action: &str, result: &str, request_id: &str) -> String {
    let result = if WITHOUT_RESULT.contains(&action) {
        String::new()
    } else {
        wrap(&format!("{action}Result"), result)
    };
    format!(
        "<{action}Response xmlns=\"{namespace}\">{result}\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    )
}

/// The error document of awsQuery.
pub fn error_body(namespace: &str, error: &AwsError, request_id: &str) -> String {
    let fault = if error.http_status >= 500 {
        "Receiver"
    } else {
        "Sender"
    };
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type>{}{}</Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>",
        element("Code", &error.code),
        element("Message", &error.message)
    )
}

/// The whole answer of EC2's dialect: no result element.
pub fn flat_response(namespace: &str, action: &str, result: &str, request_id: &str) -> String {
    format!(
        "<{action}Response xmlns=\"{namespace}\"><requestId>{request_id}</requestId>{result}</{action}Response>"
    )
}

/// The error document of EC2's dialect.
pub fn flat_error_body(error: &AwsError, request_id: &str) -> String {
    format!(
        "<Response><Errors><Error>{}{}</Error></Errors><RequestID>{request_id}</RequestID></Response>",
        element("Code", &error.code),
        element("Message", &error.message)
    )
}
