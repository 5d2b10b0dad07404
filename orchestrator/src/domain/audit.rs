//! The audit log: who changed what, when, and how it ended. Start with
//! [`Entry`]; [`Verifier`] finds the first entry that is not as it was written.
//!
//! What always holds: an entry's hash is SHA-256 over the hash of the entry
//! before (in hex), a line feed, and the entry as canonical JSON (keys sorted,
//! no spaces, without `previous` and `hash`), so that
//! `jq -cS 'del(.previous, .hash)'` and `sha256sum` are enough to check one;
//! and no entry carries a secret ([`shown`]).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Texts longer than this stand in an entry by their hash.
const LONGEST_TEXT: usize = 2000;

/// Members of requests that no entry shows.
const HIDDEN: [&str; 4] = ["secret", "token", "join_token", "password"];

/// Members that always stand in an entry by their hash.
const HASHED: [&str; 2] = ["definition", "certificate_request"];

/// One call that changed something, or wanted to.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// From 1, without a gap.
    pub number: i64,
    pub at: Timestamp,
    /// "operator ann".
    pub identity: String,
    /// "ReleaseService/PromoteRelease".
    pub rpc: String,
    pub request: Value,
    pub outcome: Outcome,
    pub result: Value,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was asked is stored.
    Done,
    /// Nothing had to change: it was so already, or it was only tried.
    Unchanged,
    /// Nothing was changed: it is not allowed, not right, or could not be done.
    Refused,
}

impl Outcome {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// SHA-256; shown in hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands for the hash of an entry before the first.
    pub const NONE: Self = Self([0; 32]);

    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(hex, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Entry {
    /// The hash that binds this entry to the one before it.
    pub fn hash(&self, previous: Hash) -> Hash {
        chained(previous, &self.json())
    }

    /// The line of an export: canonical JSON, with both hashes.
    pub fn line(&self, previous: Hash, hash: Hash) -> String {
        let mut json = self.json();
        if let Value::Object(members) = &mut json {
            members.insert("previous".to_owned(), previous.to_string().into());
            members.insert("hash".to_owned(), hash.to_string().into());
        }
        canonical(&json)
    }

    fn json(&self) -> Value {
        json!({
            "number": self.number,
            "at": self.at.to_string(),
            "identity": self.identity,
            "rpc": self.rpc,
            "request": self.request,
            "outcome": self.outcome.as_str(),
            "result": self.result,
        })
    }
}

fn chained(previous: Hash, entry: &Value) -> Hash {
    Hash::of(format!("{previous}\n{}", canonical(entry)).as_bytes())
}

/// JSON with sorted keys and no spaces: the same bytes for the same value.
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            let member = |key: &String| (key.clone(), sorted(&members[key]));
            Value::Object(keys.into_iter().map(member).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A request as an entry shows it: without secrets, long texts by their hash,
/// and of a URL no more than whose it is.
pub fn shown(request: Value) -> Value {
    match request {
        Value::Object(members) => {
            let member = |(key, value): (String, Value)| {
                let value = member_shown(&key, value);
                (key, value)
            };
            Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(shown).collect()),
        Value::String(text) if text.len() > LONGEST_TEXT => hashed(&text),
        other => other,
    }
}

fn member_shown(key: &str, value: Value) -> Value {
    match value {
        Value::String(_) if HIDDEN.contains(&key) => "(not shown)".into(),
        Value::String(text) if HASHED.contains(&key) => hashed(&text),
        Value::String(url) if key == "url" => origin(&url).into(),
        other => shown(other),
    }
}

fn hashed(text: &str) -> Value {
    json!({ "sha256": Hash::of(text.as_bytes()).to_string(), "bytes": text.len() })
}

/// Scheme, host and port of a URL: its path may be a secret.
pub fn origin(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not shown)".to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let more = if path.is_empty() || path == "/" {
        path
    } else {
        "/…"
    };
    format!("{scheme}://{host}{more}")
}

/// Follows a chain of entries, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    first: Option<i64>,
    last: Option<(i64, Hash)>,
    entries: i64,
}

/// The first entry that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The entry's number; where it cannot be read, the one that was to come.
    pub number: i64,
    pub reason: String,
}

impl Verifier {
    /// Takes the next line of a log or of an export.
    ///
    /// # Errors
    /// What is wrong with it. Whatever comes after it proves nothing.
    pub fn take(&mut self, line: &str) -> Result<(), Broken> {
        let next = self.last.map_or(1, |(number, _)| number + 1);
        let broken = |number, reason: String| Err(Broken { number, reason });
        let Ok(Value::Object(mut entry)) = serde_json::from_str(line) else {
            return broken(next, "it is no JSON object".to_owned());
        };
        let number = entry.get("number").and_then(Value::as_i64).unwrap_or(next);
        let mut hash = |name: &str| {
            let text = entry.remove(name);
            text.as_ref().and_then(Value::as_str).and_then(Hash::parse)
        };
        let (Some(previous), Some(hash)) = (hash("previous"), hash("hash")) else {
            return broken(number, "it has no hashes".to_owned());
        };
        if self.last.is_some() && number != next {
            return broken(next, format!("it is missing: entry {number} stands in its place"));
        }
        let known = self.last.map(|(_, hash)| hash);
        let known = known.or((number == 1).then_some(Hash::NONE));
        if known.is_some_and(|known| known != previous) {
            return broken(
                number,
                format!(
                    "it does not follow entry {}: that one was altered or replaced",
                    number - 1
                ),
            );
        }
        if chained(previous, &Value::Object(entry)) != hash {
            return broken(number, "it was altered: its hash is another".to_owned());
        }
        self.first = self.first.or(Some(number));
        self.last = Some((number, hash));
        self.entries += 1;
        Ok(())
    }

    /// The number of the first entry; what was before it is not known here.
    pub fn first(&self) -> Option<i64> {
        self.first
    }

    /// The last whole entry: its number and hash.
    pub fn last(&self) -> Option<(i64, Hash)> {
        self.last
    }

    /// How many entries are whole.
    pub fn entries(&self) -> i64 {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<String> {
        let mut previous = Hash::NONE;
        (1..=4)
            .map(|number| {
                let entry = Entry {
                    number,
                    at: "2026-11-25T05:00:00.25Z".parse().unwrap(),
                    identity: "operator ann".to_owned(),
                    rpc: "ReleaseService/PromoteRelease".to_owned(),
                    request: json!({ "version": format!("1.{number}.0"), "project": "shop" }),
                    outcome: Outcome::Done,
                    result: json!({ "events": [number, number] }),
                };
                let hash = entry.hash(previous);
                let line = entry.line(previous, hash);
                previous = hash;
                line
            })
            .collect()
    }

    fn verify(lines: &[String]) -> Result<Verifier, Broken> {
        let mut verifier = Verifier::default();
        lines.iter().try_for_each(|line| verifier.take(line))?;
        Ok(verifier)
    }

    #[test]
    fn a_log_as_it_was_written_is_whole() {
        let whole = verify(&log()).unwrap();
        assert_eq!((whole.first(), whole.entries()), (Some(1), 4));
        let part = verify(&log()[2..]).unwrap();
        assert_eq!((part.first(), part.entries()), (Some(3), 2));
        assert_eq!(part.last(), whole.last());
    }

    #[test]
    fn the_first_altered_missing_or_moved_entry_is_named() {
        let broken = |lines: &[String]| verify(lines).unwrap_err().number;
        let mut altered = log();
        altered[1] = altered[1].replace("1.2.0", "1.2.1");
        assert_eq!(broken(&altered), 2);
        let mut missing = log();
        missing.remove(1);
        assert_eq!(broken(&missing), 2);
        let mut moved = log();
        moved.swap(1, 2);
        assert_eq!(broken(&moved), 2);
        let mut added = log();
        added[2] = added[2].replace(r#""at""#, r#""added":1,"at""#);
        assert_eq!(broken(&added), 3);
        let mut torn = log();
        torn[3].truncate(20);
        assert_eq!(broken(&torn), 4);
        let mut no_start = log();
        no_start[0] = no_start[0].replace(&Hash::NONE.to_string(), &Hash::of(b"other").to_string());
        assert_eq!(broken(&no_start), 1);
    }

    #[test]
    fn an_entry_that_was_made_anew_with_its_hash_is_found_at_the_next() {
        let lines = log();
        let Value::Object(mut entry) = serde_json::from_str(&lines[1]).unwrap() else {
            panic!("an object")
        };
        let previous = Hash::parse(entry["previous"].as_str().unwrap()).unwrap();
        entry.insert("identity".to_owned(), "operator eve".into());
        entry.remove("hash");
        entry.remove("previous");
        let hash = chained(previous, &Value::Object(entry.clone()));
        entry.insert("hash".to_owned(), hash.to_string().into());
        entry.insert("previous".to_owned(), previous.to_string().into());
        let mut forged = lines;
        forged[1] = canonical(&Value::Object(entry));
        let broken = verify(&forged).unwrap_err();
        assert_eq!(broken.number, 3);
        assert!(broken.reason.contains("entry 2"), "{}", broken.reason);
    }

    #[test]
    fn a_line_is_what_jq_and_sha256sum_check() {
        let first = &log()[0];
        assert!(
            first.starts_with(r#"{"at":"2026-11-25T05:00:00.25Z","hash":""#),
            "{first}"
        );
        let entry = r#"{"at":"2026-11-25T05:00:00.25Z","identity":"operator ann","number":1,"outcome":"done","request":{"project":"shop","version":"1.1.0"},"result":{"events":[1,1]},"rpc":"ReleaseService/PromoteRelease"}"#;
        let hash = Hash::of(format!("{}\n{entry}", "0".repeat(64)).as_bytes());
        assert!(first.contains(&hash.to_string()), "{first}");
    }

    #[test]
    fn no_secret_and_no_long_text_gets_into_an_entry() {
        let request = json!({
            "secret": "s3cr3t",
            "definition": "project: shop\n",
            "url": "https://me:pw@hooks.slack.com/services/T0/B0/XYZ",
            "note": "x".repeat(3000),
            "plain": "stays",
            "nested": [{ "join_token": "tl1-abc" }],
        });
        let text = canonical(&shown(request));
        for secret in ["s3cr3t", "shop", "XYZ", "pw@", "xxx", "tl1-"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains(r#""url":"https://hooks.slack.com/…""#), "{text}");
        assert!(
            text.contains(r#""plain":"stays""#) && text.contains(r#""bytes":3000"#),
            "{text}"
        );
    }
}
