//! What a startup packet met, in the words of pg_hba.conf. Decides by SQLSTATE and error fields; the text of a message only
//! tells apart what refuses in any case.

use pgseal_wire::scan::Outcome;
use pgseal_wire::{AuthenticationRequest, ServerError};

/// What a login would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// In, without being asked for anything.
    Trust,
    /// The password itself.
    Cleartext,
    Md5,
    Scram,
    /// SCRAM bound to the TLS connection.
    ScramPlus,
    Gss,
    Sspi,
    OAuth,
    /// Another method.
    Other,
    /// No line of pg_hba.conf.
    RefusedNoLine,
    /// A reject line.
    RefusedReject,
    /// A client certificate would be needed.
    RefusedCertificate,
    /// A pooler that lets nobody in without TLS.
    RefusedTlsRequired,
    /// pg_hba.conf, by a message that is not English.
    Refused,
    /// It could not be told.
    Unknown,
}

impl Met {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Asked(request) => Self::asked(request),
            Outcome::Refused(error) => Self::refused(error),
            Outcome::Odd { .. } => Self::Unknown,
        }
    }

    fn asked(request: &AuthenticationRequest) -> Self {
        match request {
            AuthenticationRequest::Ok => Self::Trust,
            AuthenticationRequest::Cleartext => Self::Cleartext,
            AuthenticationRequest::Md5 { .. } => Self::Md5,
            AuthenticationRequest::Gss => Self::Gss,
            AuthenticationRequest::Sspi => Self::Sspi,
            AuthenticationRequest::Sasl { mechanisms } => {
                let has = |name: &str| mechanisms.iter().any(|known| known == name);
                if has("SCRAM-SHA-256-PLUS") {
                    Self::ScramPlus
                } else if has("SCRAM-SHA-256") {
                    Self::Scram
                } else if has("OAUTHBEARER") {
                    Self::OAuth
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }

    fn refused(error: &ServerError) -> Self {
        let code = error.sqlstate.map(|code| code.to_string()).unwrap_or_default();
        let says = |words: &str| error.message.contains(words);
        match code.as_str() {
            "28000" if says("no pg_hba.conf entry") => Self::RefusedNoLine,
            "28000" if says("pg_hba.conf rejects") => Self::RefusedReject,
            "28000" if says("requires a valid client certificate") => Self::RefusedCertificate,
            // A line with clientcert where no ssl_ca_file is set (auth.c).
            "F0000" => Self::RefusedCertificate,
            "28000" => Self::Refused,
            // PgBouncer's client.c, Odyssey's frontend.c; PostgreSQL has no such words.
            "08P01" if matches!(error.message.as_str(), "SSL required" | "SSL is required") => {
                Self::RefusedTlsRequired
            }
            // Full, starting up, a pooler without such a database: nothing of pg_hba.conf.
            _ => Self::Unknown,
        }
    }

    /// Whether pg_hba.conf refuses, or a pooler before it does.
    pub(crate) const fn is_refused(self) -> bool {
        matches!(
            self,
            Self::RefusedNoLine
                | Self::RefusedReject
                | Self::RefusedCertificate
                | Self::RefusedTlsRequired
                | Self::Refused
        )
    }

    /// Whether the server went on to authenticate, or further.
    pub(crate) const fn is_let_in(self) -> bool {
        !self.is_refused() && !matches!(self, Self::Unknown)
    }

    /// The word of JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Cleartext => "cleartext-password",
            Self::Md5 => "md5",
            Self::Scram => "scram-sha-256",
            Self::ScramPlus => "scram-sha-256-plus",
            Self::Gss => "gss",
            Self::Sspi => "sspi",
            Self::OAuth => "oauth",
            Self::Other => "other",
            Self::RefusedNoLine => "refused-no-line",
            Self::RefusedReject => "refused-reject",
            Self::RefusedCertificate => "refused-certificate-required",
            Self::RefusedTlsRequired => "refused-tls-required",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// For people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Trust => "let in without a password",
            Self::Cleartext => "asked for the password in clear",
            Self::Md5 => "asked for an MD5 password",
            Self::Scram => "SCRAM-SHA-256",
            Self::ScramPlus => "SCRAM-SHA-256-PLUS offered (channel binding)",
            Self::Gss => "GSSAPI",
            Self::Sspi => "SSPI",
            Self::OAuth => "OAuth",
            Self::Other => "another method",
            Self::RefusedNoLine => "no matching line",
            Self::RefusedReject => "a reject line",
            Self::RefusedCertificate => "a client certificate is required",
            Self::RefusedTlsRequired => "the pooler requires TLS",
            Self::Refused => "pg_hba.conf",
            Self::Unknown => "could not tell",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> Outcome {
        Outcome::Refused(Box::new(ServerError {
            sqlstate: code.parse().ok(),
            message: message.to_owned(),
            ..ServerError::default()
        }))
    }

    #[test]
    fn refusals_are_told_apart_by_their_code_first() {
        for (outcome, met) in [
            (error("28000", "no pg_hba.conf entry for host \"::1\""), Met::RefusedNoLine),
            (error("28000", "pg_hba.conf rejects connection for host \"::1\""), Met::RefusedReject),
            (error("28000", "connection requires a valid client certificate"), Met::RefusedCertificate),
            (error("28000", "kein pg_hba.conf-Eintrag für Host"), Met::Refused),
            (error("53300", "no pg_hba.conf entry: sorry, too many clients already"), Met::Unknown),
            (error("08P01", "SSL required"), Met::RefusedTlsRequired),
            (error("08P01", "received unencrypted data: SSL required"), Met::Unknown),
            (error("57P03", "the database system is starting up"), Met::Unknown),
            (Outcome::Odd { why: "it hung up".into(), late: false }, Met::Unknown),
        ] {
            assert_eq!(Met::of(&outcome), met, "{outcome:?}");
        }
        let sasl = |names: &[&str]| {
            let mechanisms = names.iter().map(|name| (*name).to_owned()).collect();
            Met::of(&Outcome::Asked(AuthenticationRequest::Sasl { mechanisms }))
        };
        assert_eq!(sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]), Met::ScramPlus);
        assert_eq!(sasl(&["SCRAM-SHA-256"]), Met::Scram);
        assert_eq!(sasl(&["OAUTHBEARER"]), Met::OAuth);
    }
}
