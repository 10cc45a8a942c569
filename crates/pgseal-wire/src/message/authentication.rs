//! `Authentication…`: what a server asks for before it lets anyone in.

use std::fmt;

use super::frame::DecodeError;

/// The first authentication message of a server (protocol.sgml, `AuthenticationOk` and kin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationRequest {
    /// 0: in, without being asked for anything. To a made-up user it betrays a `trust` line.
    Ok,
    /// 3: the password itself. In plaintext the worst there is.
    Cleartext,
    /// 5: an MD5 response.
    Md5 {
        /// The server's salt.
        salt: [u8; 4],
    },
    /// 7: GSSAPI.
    Gss,
    /// 9: SSPI, Windows only.
    Sspi,
    /// 10: SASL, with the mechanisms in the server's order.
    Sasl {
        /// Such as `SCRAM-SHA-256-PLUS`, `SCRAM-SHA-256`, `OAUTHBEARER`.
        mechanisms: Vec<String>,
    },
    /// 11: the server's part in the middle of a SASL exchange.
    SaslContinue(Vec<u8>),
    /// 12: the server's last word of a SASL exchange.
    SaslFinal(Vec<u8>),
    /// Any other code.
    Other(u32),
}

/// More mechanisms than any server has (PostgreSQL 18 knows three).
const MAX_MECHANISMS: usize = 32;

impl AuthenticationRequest {
    /// Decodes the body of an `R` message.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let malformed = |what| DecodeError::Malformed { tag: b'R', what };
        let (code, rest) = body.split_first_chunk::<4>().ok_or_else(|| malformed("shorter than its code"))?;
        Ok(match u32::from_be_bytes(*code) {
            0 => Self::Ok,
            3 => Self::Cleartext,
            5 => Self::Md5 {
                salt: rest
                    .first_chunk::<4>()
                    .copied()
                    .ok_or_else(|| malformed("an MD5 request without four bytes of salt"))?,
            },
            7 => Self::Gss,
            9 => Self::Sspi,
            10 => Self::Sasl {
                mechanisms: mechanisms(rest)
                    .ok_or_else(|| malformed("a SASL request without an ended list"))?,
            },
            11 => Self::SaslContinue(rest.to_vec()),
            12 => Self::SaslFinal(rest.to_vec()),
            other => Self::Other(other),
        })
    }

    /// Whether `SCRAM-SHA-256-PLUS` is among what is asked for: channel binding is possible.
    pub fn offers_channel_binding(&self) -> bool {
        matches!(self, Self::Sasl { mechanisms } if mechanisms.iter().any(|m| m == "SCRAM-SHA-256-PLUS"))
    }
}

/// A list of zero-ended names that an empty name ends.
fn mechanisms(mut rest: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (name, after) = rest.split_at_checked(end)?;
        if name.is_empty() {
            return Some(names);
        }
        if names.len() >= MAX_MECHANISMS {
            return None;
        }
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = after.get(1..)?;
    }
}

impl fmt::Display for AuthenticationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("no password at all"),
            Self::Cleartext => f.write_str("the password in clear"),
            Self::Md5 { .. } => f.write_str("an MD5 password"),
            Self::Gss => f.write_str("GSSAPI"),
            Self::Sspi => f.write_str("SSPI"),
            Self::Sasl { mechanisms } => f.write_str(&mechanisms.join(", ").escape_debug().to_string()),
            Self::SaslContinue(_) | Self::SaslFinal(_) => f.write_str("the rest of a SASL exchange"),
            Self::Other(code) => write!(f, "authentication method {code}"),
        }
    }
}
