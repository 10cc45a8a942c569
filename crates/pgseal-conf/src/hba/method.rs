//! The authentication methods, by version. Knows their names; refuses to know how they work.

use std::fmt;

use super::server::Server;
use crate::PgVersion;

/// How a client is authenticated. `reject` is one of them, as in `pg_hba.conf` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Trust,
    Reject,
    Md5,
    Password,
    ScramSha256,
    Gss,
    Sspi,
    Ident,
    Peer,
    Pam,
    Ldap,
    /// Until 18.
    Radius,
    Cert,
    Bsd,
    /// From 18.
    OAuth,
}

/// Why a word is no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMethod {
    Unknown,
    NotBuilt,
}

impl Method {
    /// Every method, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::Trust,
        Self::Reject,
        Self::ScramSha256,
        Self::Md5,
        Self::Password,
        Self::Gss,
        Self::Sspi,
        Self::Ident,
        Self::Peer,
        Self::Ldap,
        Self::Radius,
        Self::Cert,
        Self::Pam,
        Self::Bsd,
        Self::OAuth,
    ];

    /// Its name in `pg_hba.conf`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Reject => "reject",
            Self::Md5 => "md5",
            Self::Password => "password",
            Self::ScramSha256 => "scram-sha-256",
            Self::Gss => "gss",
            Self::Sspi => "sspi",
            Self::Ident => "ident",
            Self::Peer => "peer",
            Self::Pam => "pam",
            Self::Ldap => "ldap",
            Self::Radius => "radius",
            Self::Cert => "cert",
            Self::Bsd => "bsd",
            Self::OAuth => "oauth",
        }
    }

    /// Whether this version knows the method.
    pub fn is_known_to(self, version: PgVersion) -> bool {
        match self {
            Self::OAuth => version >= PgVersion::V18,
            Self::Radius => version <= PgVersion::V18,
            _ => true,
        }
    }

    /// Whether the client may send its password as it is, readable for whoever holds the line.
    pub fn asks_for_cleartext_password(self) -> bool {
        matches!(self, Self::Password | Self::Ldap | Self::Radius | Self::Pam | Self::Bsd)
    }

    /// The method of this name on this server. Names are case-sensitive, and quoting them changes nothing.
    pub(super) fn find(name: &[u8], server: &Server) -> Result<Self, NoMethod> {
        let method = Self::ALL
            .into_iter()
            .find(|method| method.name().as_bytes() == name && method.is_known_to(server.version))
            .ok_or(NoMethod::Unknown)?;
        let built = match method {
            Self::Gss => server.build.gss,
            Self::Sspi => server.build.sspi,
            Self::Pam => server.build.pam,
            Self::Bsd => server.build.bsd,
            Self::Ldap => server.build.ldap,
            Self::Cert => server.build.ssl,
            _ => true,
        };
        if built { Ok(method) } else { Err(NoMethod::NotBuilt) }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
