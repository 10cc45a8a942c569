//! `require_auth`: the ways of authentication that a client puts up with (libpq 16 and later).

use std::fmt;

use crate::libpq::LibpqVersion;
use crate::message::AuthenticationRequest;

/// A way of authentication by libpq's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Password,
    Md5,
    Gss,
    Sspi,
    Scram,
    OAuth,
    None,
}

const WAYS: [(&str, Way); 7] = [
    ("password", Way::Password),
    ("md5", Way::Md5),
    ("gss", Way::Gss),
    ("sspi", Way::Sspi),
    ("scram-sha-256", Way::Scram),
    ("oauth", Way::OAuth),
    ("none", Way::None),
];

/// `require_auth` as it was written, understood. By default everything is put up with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequireAuth {
    text: String,
    named: Vec<Way>,
    negated: bool,
}

/// A list that libpq refuses. The texts are its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequireAuth {
    /// A word that is no method.
    #[error("invalid require_auth value: \"{}\"", .0.escape_debug())]
    Unknown(String),
    /// `!md5,password`.
    #[error("require_auth method \"{}\" cannot be mixed with negative methods", .0.escape_debug())]
    PositiveAmongNegative(String),
    /// `password,!md5`.
    #[error("negative require_auth method \"{}\" cannot be mixed with non-negative methods", .0.escape_debug())]
    NegativeAmongPositive(String),
    /// The same twice.
    #[error("require_auth method \"{}\" is specified more than once", .0.escape_debug())]
    Twice(String),
}

impl RequireAuth {
    /// Reads a list such as `scram-sha-256,none` or `!password,!md5` (`connectOptions2`, fe-connect.c).
    pub fn parse(text: &str, libpq: LibpqVersion) -> Result<Self, InvalidRequireAuth> {
        let mut read = Self { text: text.to_owned(), ..Self::default() };
        if text.is_empty() {
            return Ok(read);
        }
        for (nth, item) in text.split(',').enumerate() {
            let (negated, word) = item.strip_prefix('!').map_or((false, item), |word| (true, word));
            if nth == 0 {
                read.negated = negated;
            } else if negated && !read.negated {
                return Err(InvalidRequireAuth::NegativeAmongPositive(item.to_owned()));
            } else if !negated && read.negated {
                return Err(InvalidRequireAuth::PositiveAmongNegative(item.to_owned()));
            }
            let way =
                WAYS.iter().find(|(name, way)| *name == word && (*way != Way::OAuth || libpq.knows_oauth()));
            let Some((_, way)) = way else { return Err(InvalidRequireAuth::Unknown(word.to_owned())) };
            if read.named.contains(way) {
                return Err(InvalidRequireAuth::Twice(item.to_owned()));
            }
            read.named.push(*way);
        }
        Ok(read)
    }

    /// Whether nothing is demanded.
    pub fn is_anything(&self) -> bool {
        self.named.is_empty()
    }

    /// Whether SCRAM is the only way in, bound or not: then a password is never told, and nobody who does not know
    /// its verifier can play the server.
    pub fn is_scram_only(&self) -> bool {
        !self.negated && self.named == [Way::Scram]
    }

    fn admits(&self, way: Way) -> bool {
        self.is_anything() || self.named.contains(&way) != self.negated
    }

    /// What libpq says of a request that it does not put up with (`check_expected_areq`, fe-auth.c). `proved`:
    /// an exchange was gone through to its end before `AuthenticationOk`.
    pub(crate) fn refuses(
        &self,
        asked: &AuthenticationRequest,
        proved: bool,
        libpq: LibpqVersion,
    ) -> Option<String> {
        let (way, what) = match asked {
            AuthenticationRequest::Ok if proved || self.admits(Way::None) => return None,
            AuthenticationRequest::Ok => {
                return Some(self.failed("server did not complete authentication"));
            }
            AuthenticationRequest::Cleartext => (Way::Password, "server requested a cleartext password"),
            AuthenticationRequest::Md5 { .. } => (Way::Md5, "server requested a hashed password"),
            AuthenticationRequest::Gss => (Way::Gss, "server requested GSSAPI authentication"),
            AuthenticationRequest::Sspi => (Way::Sspi, "server requested SSPI authentication"),
            AuthenticationRequest::Sasl { mechanisms } => return self.refuses_sasl(mechanisms, libpq),
            AuthenticationRequest::SaslContinue(_) | AuthenticationRequest::SaslFinal(_) => return None,
            AuthenticationRequest::Other(_) => {
                return (!self.is_anything())
                    .then(|| self.failed("server requested an unknown authentication type"));
            }
        };
        (!self.admits(way)).then(|| self.failed(what))
    }

    /// SASL stands for SCRAM until 17, and from 18 for each of its mechanisms.
    fn refuses_sasl(&self, mechanisms: &[String], libpq: LibpqVersion) -> Option<String> {
        let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
        let scram = offers("SCRAM-SHA-256") || offers("SCRAM-SHA-256-PLUS") || !libpq.knows_oauth();
        let admitted = self.admits(Way::Scram) && scram || self.admits(Way::OAuth) && offers("OAUTHBEARER");
        (!admitted).then(|| self.failed("server requested SASL authentication"))
    }

    fn failed(&self, why: &str) -> String {
        format!("authentication method requirement \"{}\" failed: {why}", self.text)
    }
}

/// As it was written.
impl fmt::Display for RequireAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RequireAuth, String> {
        RequireAuth::parse(text, LibpqVersion::NEWEST).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_read_as_libpq_reads_it() {
        assert!(read("").unwrap().is_anything());
        assert!(read("scram-sha-256").unwrap().is_scram_only());
        assert!(!read("scram-sha-256,none").unwrap().is_scram_only());
        assert_eq!(read("bogus").unwrap_err(), "invalid require_auth value: \"bogus\"");
        assert_eq!(read("md5, none").unwrap_err(), "invalid require_auth value: \" none\"");
        assert_eq!(
            read("password,!md5").unwrap_err(),
            "negative require_auth method \"!md5\" cannot be mixed with non-negative methods"
        );
        assert_eq!(
            read("!md5,password").unwrap_err(),
            "require_auth method \"password\" cannot be mixed with negative methods"
        );
        assert_eq!(read("md5,md5").unwrap_err(), "require_auth method \"md5\" is specified more than once");
        let old = RequireAuth::parse("oauth", LibpqVersion::new(17)).unwrap_err().to_string();
        assert_eq!(old, "invalid require_auth value: \"oauth\"");
    }

    #[test]
    fn what_is_not_put_up_with_is_named() {
        let v17 = LibpqVersion::new(17);
        let said = |text: &str, asked: &AuthenticationRequest| read(text).unwrap().refuses(asked, false, v17);
        let failed = |text: &str, why: &str| {
            Some(format!("authentication method requirement \"{text}\" failed: {why}"))
        };
        assert_eq!(said("", &AuthenticationRequest::Cleartext), None);
        assert_eq!(
            said("scram-sha-256", &AuthenticationRequest::Cleartext),
            failed("scram-sha-256", "server requested a cleartext password")
        );
        assert_eq!(
            said("!none", &AuthenticationRequest::Ok),
            failed("!none", "server did not complete authentication")
        );
        assert_eq!(said("none,md5", &AuthenticationRequest::Ok), None);
        let sasl = AuthenticationRequest::Sasl { mechanisms: vec!["SCRAM-SHA-256".to_owned()] };
        assert_eq!(said("scram-sha-256", &sasl), None);
        assert_eq!(
            said("!scram-sha-256", &sasl),
            failed("!scram-sha-256", "server requested SASL authentication")
        );
    }
}
