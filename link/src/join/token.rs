use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    Fingerprint,
    identity::{Identity, NameError},
    seams::Random,
};

const PREFIX: &str = "tl1-";
const CHECK_BYTES: usize = 4;

/// What a token's holder becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    Agent,
    Operator,
}

/// The one-time secret of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret([u8; 32]);

impl JoinSecret {
    /// A new secret.
    pub fn generate(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// The text that travels in `EnrolRequest.secret`.
    pub fn text(&self) -> String {
        hex::encode(self.0)
    }

    /// What is stored instead of the secret: [`hash_secret`] of its text.
    pub fn hash(&self) -> String {
        hash_secret(&self.text())
    }
}

/// What is stored instead of a secret that arrived as text: hex of its SHA-256.
/// A secret has 256 random bits, so that a slow hash would add nothing.
pub fn hash_secret(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Never shows the secret.
impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(..)")
    }
}

/// Everything that is needed to enrol, as one text `tl1-…`: base64 of kind (1
/// byte), CA fingerprint (32), secret (32), name and address (each after its
/// length in 2 bytes), and 4 bytes of SHA-256 against slips of the hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// `host:port`.
    pub orchestrator: String,
    /// Of the orchestrator's CA.
    pub ca: Fingerprint,
    pub secret: JoinSecret,
    pub kind: JoinKind,
    /// The agent's or operator's name.
    pub name: String,
}

impl JoinToken {
    /// Who the token's holder becomes.
    pub fn identity(&self) -> Result<Identity, NameError> {
        Ok(match self.kind {
            JoinKind::Agent => Identity::Agent(self.name.parse()?),
            JoinKind::Operator => Identity::Operator(self.name.parse()?),
        })
    }
}

/// Why a text is no join token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: {0}\nhint: copy the whole text that `invite` printed, from `tl1-` on")]
pub struct TokenError(&'static str);

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            JoinKind::Agent => 1,
            JoinKind::Operator => 2,
        };
        let mut bytes = vec![kind];
        bytes.extend(self.ca.as_bytes());
        bytes.extend(self.secret.0);
        for text in [&self.name, &self.orchestrator] {
            let length = u16::try_from(text.len()).map_err(|_| fmt::Error)?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(check_of(&bytes));
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(TokenError("it does not start with `tl1-`"))?;
        let damaged = TokenError("it is cut off or damaged");
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| damaged.clone())?;
        let (bytes, check) = bytes
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or_else(|| damaged.clone())?;
        if check_of(bytes) != *check {
            return Err(damaged);
        }
        parse(bytes).ok_or(TokenError("it was made by another version of Towline"))
    }
}

fn parse(bytes: &[u8]) -> Option<JoinToken> {
    let (kind, rest) = bytes.split_first()?;
    let (ca, rest) = rest.split_first_chunk()?;
    let (secret, rest) = rest.split_first_chunk()?;
    let (name, rest) = text(rest)?;
    let (orchestrator, rest) = text(rest)?;
    let token = JoinToken {
        orchestrator,
        ca: Fingerprint::from_bytes(*ca),
        secret: JoinSecret(*secret),
        kind: match kind {
            1 => JoinKind::Agent,
            2 => JoinKind::Operator,
            _ => return None,
        },
        name,
    };
    (rest.is_empty() && token.identity().is_ok()).then_some(token)
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

fn check_of(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(bytes);
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            orchestrator: "towline.example.com:7443".to_owned(),
            ca: Fingerprint::of(b"a certificate"),
            secret: JoinSecret::generate(&Random::seeded(1)),
            kind: JoinKind::Agent,
            name: "dev".to_owned(),
        }
    }

    #[test]
    fn a_token_survives_its_text() {
        let token = token();
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(format!(" {token}\n").parse(), Ok(token));
    }

    #[test]
    fn a_slip_of_the_hand_is_noticed() {
        let text = token().to_string();
        for damaged in [
            &text[..text.len() - 1],
            &text[4..],
            &text.replacen('A', "B", 1),
            "tl1-",
            "",
        ] {
            assert!(damaged.parse::<JoinToken>().is_err(), "{damaged}");
        }
    }

    #[test]
    fn a_token_never_shows_its_secret_by_accident() {
        let token = token();
        assert!(!format!("{token:?}").contains(&token.secret.text()));
        assert_ne!(token.secret.hash(), token.secret.text());
    }
}
