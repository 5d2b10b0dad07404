//! One HTTP POST to a receiver of notifications, over a connection of its own:
//! [`Poster::post`].
//!
//! What always holds: https, or http to this very machine; a redirect is not
//! followed; an answer is waited for a bounded time and read up to a bounded
//! length; and no error tells a URL, which may be a secret.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use towline_link::seams::Seams;

use crate::tasks::Tasks;

/// How long a receiver may take, from the connection to its whole answer.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// So much of an answer is read; of it, so much is told.
const LONGEST_ANSWER: usize = 64 << 10;
const LONGEST_TOLD: usize = 200;

/// Where to post: checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    path: String,
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}/…", self.host, self.port)
    }
}

impl Url {
    /// # Errors
    /// What is wrong with it; the text itself is not told.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text.parse().map_err(|_| "is no URL".to_owned())?;
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("must not carry a user name or password".to_owned());
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_this_machine(&host) => false,
            Some("http") => {
                return Err("is not encrypted: http is for this machine only, use https".to_owned());
            }
            _ => return Err("has to begin with https://".to_owned()),
        };
        Ok(Self {
            secure,
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            host,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// Not on this very machine.
    pub fn is_elsewhere(&self) -> bool {
        !is_this_machine(&self.host)
    }

    fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What is posted.
#[derive(Debug)]
pub struct Parcel {
    pub url: Url,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// How long it asked to wait, where it did.
    pub retry_after: Option<Duration>,
    /// The start of what it said.
    pub text: String,
}

impl Answer {
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the answer was, for a person.
    pub fn problem(&self) -> String {
        let said = match self.text.as_str() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        format!("the receiver answered {}{said}", self.status)
    }
}

/// Posts.
pub struct Poster {
    seams: Seams,
    ca_file: Option<PathBuf>,
    tls: OnceLock<Arc<ClientConfig>>,
    tasks: Tasks,
}

impl Poster {
    pub fn new(seams: Seams, ca_file: Option<PathBuf>, tasks: Tasks) -> Self {
        Self {
            seams,
            ca_file,
            tls: OnceLock::new(),
            tasks,
        }
    }

    /// # Errors
    /// Why there is no answer, for a person. Whether the receiver took it is
    /// not known then.
    pub async fn post(&self, parcel: Parcel) -> Result<Answer, String> {
        let answer = self.seams.clock.timeout(PATIENCE, self.try_to(parcel));
        let late = || format!("the receiver did not answer within {} s", PATIENCE.as_secs());
        answer.await.unwrap_or_else(|| Err(late()))
    }

    async fn try_to(&self, parcel: Parcel) -> Result<Answer, String> {
        let address = parcel.url.address();
        let stream = self.seams.network.connect(&address).await;
        let stream = stream.map_err(|error| format!("{address} cannot be reached: {error}"))?;
        if !parcel.url.secure {
            return self.exchange(stream, parcel).await;
        }
        let name = ServerName::try_from(parcel.url.host.clone())
            .map_err(|_| format!("{} is no name that a certificate can have", parcel.url.host))?;
        let connector = TlsConnector::from(self.tls()?);
        let secured = connector.connect(name, stream).await;
        let secured = secured.map_err(|error| format!("no secure connection to {address}: {error}"))?;
        self.exchange(secured, parcel).await
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        parcel: Parcel,
    ) -> Result<Answer, String> {
        let lost = |error: &dyn std::fmt::Display| format!("the connection was lost: {error}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
        // It ends with the sender, or with the receiver's end.
        self.tasks.spawn(async move { drop(connection.await) });
        let mut request = http::Request::post(parcel.url.path.as_str())
            .header(http::header::HOST, parcel.url.address())
            .header(http::header::CONTENT_TYPE, parcel.content_type)
            .header(
                http::header::USER_AGENT,
                concat!("towline/", env!("CARGO_PKG_VERSION")),
            )
            .header(http::header::CONNECTION, "close");
        for (name, value) in parcel.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(parcel.body)))
            .map_err(|error| format!("the request cannot be made: {error}"))?;
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        // The status is the answer: what is said beside it may be cut off.
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
        let text = body.map_or_else(|_| String::new(), |body| told(&body.to_bytes()));
        Ok(Answer {
            status,
            retry_after,
            text,
        })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = &self.ca_file {
            let cannot = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| cannot(&error))? {
                let certificate = certificate.map_err(|error| cannot(&error))?;
                roots.add(certificate).map_err(|error| cannot(&error))?;
            }
        }
        if roots.is_empty() {
            return Err(
                "this machine trusts no certificate authority: install ca-certificates, or set \
                 ca_file under [notifications]"
                    .to_owned(),
            );
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}

/// One line, not too long.
fn told(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(LONGEST_TOLD) {
        words.truncate(at);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine_is_posted_to() {
        let parse = |text: &str| Url::parse(text).map(|url| url.address());
        assert_eq!(
            parse("https://ops.example/hook?x=1"),
            Ok("ops.example:443".to_owned())
        );
        assert_eq!(parse("http://127.0.0.1:8080/"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(parse("http://[::1]:8080/"), Ok("[::1]:8080".to_owned()));
        for wrong in [
            "http://ops.example/",
            "ftp://ops.example/",
            "ops.example",
            "https://me:pw@ops.example/",
            "",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let url = Url::parse("https://hooks.slack.com/services/T0/B0/XYZ").unwrap();
        assert!(!format!("{url:?}").contains("XYZ"));
    }
}
