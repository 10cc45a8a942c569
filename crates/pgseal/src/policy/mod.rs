//! What a server's TLS is held against. A policy is a data file: three are built in, and anybody may
//! write another.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};

const BUILT_IN: [(&str, &str); 3] = [
    ("modern", include_str!("modern.toml")),
    ("intermediate", include_str!("intermediate.toml")),
    ("old", include_str!("old.toml")),
];

/// The one that is meant when none is named.
pub(crate) const DEFAULT: &str = "intermediate";

/// A policy file is a page of text.
const LIMIT: u64 = 64 << 10;

/// TLS versions in PostgreSQL's words, oldest first.
pub(crate) const PROTOCOLS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// Groups that join a classical one with ML-KEM, as OpenSSL 3.5 calls them.
pub(crate) const HYBRID_GROUPS: [&str; 3] = ["X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// `ssl_min_protocol_version`.
    pub(crate) min_protocol: String,
    /// `ssl_ciphers`, in OpenSSL's words: for TLS 1.2 and older.
    pub(crate) tls12_suites: Vec<String>,
    /// `ssl_tls13_ciphers`, since PostgreSQL 18.
    pub(crate) tls13_suites: Vec<String>,
    /// In front of the groups, where the server's OpenSSL is known to have them.
    #[serde(default)]
    pub(crate) hybrid_groups: Vec<String>,
    /// `ssl_groups`, since PostgreSQL 18.
    pub(crate) groups: Vec<String>,
    /// `ssl_ecdh_curve`, before 18.
    pub(crate) curve: String,
    pub(crate) password_encryption: String,
}

/// Whether the word names one of pgseal's own, and no file.
pub(crate) fn is_built_in(word: &str) -> bool {
    BUILT_IN.iter().any(|(name, _)| *name == word)
}

impl Policy {
    /// Whether every pgseal has it.
    pub(crate) fn is_built_in(&self) -> bool {
        BUILT_IN.into_iter().any(|(name, _)| name == self.name)
    }

    /// One by its name, or a file of one's own.
    pub(crate) fn named(word: &str) -> Result<Self> {
        if let Some((_, text)) = BUILT_IN.into_iter().find(|(name, _)| *name == word) {
            return Self::parse(text, word);
        }
        let path = Path::new(word);
        trusted::file_for_root(path)?;
        let bytes = files::read_named(path, LIMIT).map_err(|error| {
            Failure::io("read the policy", path, &error).hint("--policy modern, intermediate, old, or a file")
        })?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::new(format!("the policy {word} is not UTF-8")))?;
        Self::parse(text, word)
    }

    fn parse(text: &str, word: &str) -> Result<Self> {
        let broken = |why: String| {
            Failure::new(format!("the policy {word} cannot be read: {why}"))
                .hint("mend that line, or take --policy intermediate")
        };
        let policy: Self = toml::from_str(text).map_err(|error| broken(error.message().to_owned()))?;
        policy.sane().map_err(broken)
    }

    fn sane(self) -> Result<Self, String> {
        let words = self.tls12_suites.iter().chain(&self.tls13_suites).chain(&self.groups);
        let words = words.chain(&self.hybrid_groups);
        let plain = |word: &String| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"'\\:".contains(&byte))
        };
        if !words.chain([&self.curve, &self.name]).all(plain) {
            return Err("a suite, group or name is empty or has characters that none has".to_owned());
        }
        if !PROTOCOLS.contains(&self.min_protocol.as_str()) {
            return Err(format!("min_protocol is one of {}", PROTOCOLS.join(", ")));
        }
        if !["scram-sha-256", "md5"].contains(&self.password_encryption.as_str()) {
            return Err("password_encryption is scram-sha-256 or md5".to_owned());
        }
        if let Some(other) = self.hybrid_groups.iter().find(|name| !HYBRID_GROUPS.contains(&name.as_str())) {
            return Err(format!("{other} is no hybrid group; they are {}", HYBRID_GROUPS.join(", ")));
        }
        if [&self.tls12_suites, &self.tls13_suites, &self.groups].iter().any(|list| list.is_empty()) {
            return Err("a list of suites or groups is empty".to_owned());
        }
        Ok(self)
    }

    /// Whether a protocol version, in PostgreSQL's words, is one that the policy lets through.
    pub(crate) fn allows_protocol(&self, version: &str) -> Option<bool> {
        let place = |name: &str| PROTOCOLS.iter().position(|known| *known == name);
        Some(place(version)? >= place(&self.min_protocol)?)
    }

    /// Whether a suite of a session (pg_stat_ssl.cipher) is still spoken; `None` where the policy names
    /// classes of suites and not the suites.
    pub(crate) fn allows_suite(&self, suite: &str) -> Option<bool> {
        if suite.starts_with("TLS_") {
            return Some(self.tls13_suites.iter().any(|known| known == suite));
        }
        let named = |word: &String| word.contains('-') && !word.starts_with(['!', '-', '+']);
        self.tls12_suites.iter().all(named).then(|| self.tls12_suites.iter().any(|known| known == suite))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_that_are_built_in_can_be_read_and_bear_their_names() {
        for (name, _) in BUILT_IN {
            assert_eq!(Policy::named(name).unwrap().name, name);
        }
    }

    #[test]
    fn a_policy_tells_what_it_no_longer_speaks() {
        let policy = Policy::named(DEFAULT).unwrap();
        assert_eq!(policy.allows_protocol("TLSv1.1"), Some(false));
        assert_eq!(policy.allows_protocol("TLSv1.2"), Some(true));
        assert_eq!(policy.allows_protocol("SSLv9"), None);
        assert_eq!(policy.allows_suite("ECDHE-RSA-AES128-SHA"), Some(false));
        assert_eq!(policy.allows_suite("TLS_AES_256_GCM_SHA384"), Some(true));
        assert_eq!(Policy::named("old").unwrap().allows_suite("AES128-SHA"), None);
    }

    #[test]
    fn a_policy_that_could_break_out_of_a_line_is_refused() {
        let text = include_str!("modern.toml").replace("\"X25519\"", "\"X25519'\\n\"");
        assert!(Policy::parse(&text, "x").is_err());
    }
}
