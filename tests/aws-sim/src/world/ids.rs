//! Identifiers that look like AWS's and are the same in every run: each is
//! drawn from the account, the region, what it is for, and a counter.

use sha2::{Digest as _, Sha256};

/// The source of one region's identifiers.
#[derive(Clone, Debug)]
pub struct Ids {
    scope: String,
    drawn: u64,
}

impl Ids {
    pub fn new(account: &str, region: &str) -> Self {
        Self {
            scope: format!("{account}/{region}"),
            drawn: 0,
        }
    }

    /// `length` lower-case hexadecimal digits (at most 64).
    pub fn hex(&mut self, kind: &str, length: usize) -> String {
        self.drawn += 1;
        let digest = Sha256::digest(format!("{}/{kind}/{}", self.scope, self.drawn));
        let mut text = hex::encode(digest);
        text.truncate(length);
        text
    }

    /// A UUID in its text form.
    pub fn uuid(&mut self, kind: &str) -> String {
        let hex = self.hex(kind, 32);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[0..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..32]
        )
    }

    /// `length` decimal digits (at most 38), the first of them not zero.
    pub fn digits(&mut self, kind: &str, length: usize) -> String {
        let hex = self.hex(kind, 64);
        hex.bytes()
            .take(length)
            .enumerate()
            .map(|(place, byte)| {
                let digit = byte % 10;
                let digit = if place == 0 { digit % 9 + 1 } else { digit };
                char::from(b'0' + digit)
            })
            .collect()
    }

    /// `length` characters of upper-case base 32, as in CloudFormation's name suffixes.
    pub fn suffix(&mut self, kind: &str, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        self.drawn += 1;
        let digest = Sha256::digest(format!("{}/{kind}/{}", self.scope, self.drawn));
        digest
            .iter()
            .take(length)
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
            .collect()
    }
}
