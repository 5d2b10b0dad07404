//! Through an HTTP CONNECT proxy (RFC 9110, 9.3.6).

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::seams::{Network, Stream};

const LONGEST_ANSWER: usize = 8 * 1024;

/// A proxy's URL, read.
#[derive(Debug, PartialEq, Eq)]
struct Proxy {
    address: String,
    authorization: Option<String>,
}

impl Proxy {
    fn parse(url: &str) -> Result<Self, String> {
        let rest = match url.split_once("://") {
            None => url,
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(format!("`{scheme}://` is not supported, only `http://`")),
        };
        let rest = rest.trim_end_matches('/');
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        Ok(Self {
            address: if has_port {
                host.to_owned()
            } else {
                format!("{host}:80")
            },
            authorization: user.map(|user| format!("Basic {}", STANDARD.encode(user))),
        })
    }
}

/// For logs and errors.
pub(crate) fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

/// Connects to `address` through the proxy. The error is for people.
pub(crate) async fn connect(network: &Network, url: &str, address: &str) -> Result<Stream, String> {
    let proxy = Proxy::parse(url)?;
    let mut stream = network
        .connect(&proxy.address)
        .await
        .map_err(|error| format!("it cannot be reached: {error}"))?;
    let answer = ask(&mut stream, &proxy, address)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') && answer.starts_with("HTTP/1.") {
        Ok(stream)
    } else {
        Err(format!("it answered `{answer}`"))
    }
}

/// Sends the request and returns the answer's first line.
async fn ask(stream: &mut Stream, proxy: &Proxy, address: &str) -> io::Result<String> {
    let authorization = match &proxy.authorization {
        Some(value) => format!("Proxy-Authorization: {value}\r\n"),
        None => String::new(),
    };
    let request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the empty line belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LONGEST_ANSWER {
            return Err(io::Error::other("its answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_named_as_in_https_proxy() {
        let plain = Proxy::parse("http://proxy.corp:3128").unwrap();
        assert_eq!(plain.address, "proxy.corp:3128");
        assert_eq!(plain.authorization, None);
        let full = Proxy::parse("http://ann:secret@proxy.corp/").unwrap();
        assert_eq!(full.address, "proxy.corp:80");
        assert_eq!(full.authorization.as_deref(), Some("Basic YW5uOnNlY3JldA=="));
        assert!(Proxy::parse("socks5://proxy.corp").is_err());
        assert!(Proxy::parse("http://").is_err());
    }
}
