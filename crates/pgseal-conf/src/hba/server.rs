//! What must be known of a server to judge its `pg_hba.conf`: version, build and a few settings. Nothing is asked here.

use crate::{ByteString, PgVersion};

/// The server a file is judged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its major version.
    pub version: PgVersion,
    /// What it was built with.
    pub build: Build,
    /// The setting `ssl`; `None`: not known, taken for on.
    pub ssl: Option<bool>,
    /// The setting `oauth_validator_libraries` (18+), split; `None`: not known.
    pub oauth_validators: Option<Vec<ByteString>>,
}

/// What a server was built with. Methods that need a missing part are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Build {
    /// `--with-ssl` or `--with-openssl`.
    pub ssl: bool,
    /// `--with-gssapi`.
    pub gss: bool,
    /// Windows only.
    pub sspi: bool,
    /// `--with-pam`.
    pub pam: bool,
    /// `--with-bsd-auth`.
    pub bsd: bool,
    /// `--with-ldap`.
    pub ldap: bool,
}

impl Build {
    /// What distributions for Linux ship: everything but SSPI and BSD authentication.
    pub const LINUX: Self = Self { ssl: true, gss: true, sspi: false, pam: true, bsd: false, ldap: true };
}

impl Server {
    /// A server of this version as distributions for Linux ship it, its settings not known.
    pub fn of(version: PgVersion) -> Self {
        Self { version, build: Build::LINUX, ssl: None, oauth_validators: None }
    }
}
