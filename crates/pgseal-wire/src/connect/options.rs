//! What a connection is asked for with: libpq's parameters, as far as they are modelled.

use std::fmt;
use std::str::FromStr;

use super::target_session::TargetSession;
use crate::channel::SslNegotiation;
use crate::libpq::LibpqVersion;
use crate::route::Route;
use crate::session::{Demands, RequireAuth};
use crate::sslmode::SslMode;
use crate::tls::{Check, ClientCertificate, RootFile, SslCertMode, TlsVersion, TlsWish};

/// libpq's `gssencmode`. GSSAPI is not spoken here: prefer counts as disable, which is what it comes to without
/// Kerberos credentials, and require fails as it does without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum GssEncMode {
    /// Never.
    Disable,
    /// Where there are credentials, and before TLS. libpq's default.
    #[default]
    Prefer,
    /// That or nothing.
    Require,
}

impl GssEncMode {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Disable, Self::Prefer, Self::Require];

    /// The word as libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

impl fmt::Display for GssEncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of the three. Its text is libpq's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid gssencmode value: \"{}\"", .0.escape_debug())]
pub struct InvalidGssEncMode(pub String);

impl FromStr for GssEncMode {
    type Err = InvalidGssEncMode;

    fn from_str(word: &str) -> Result<Self, InvalidGssEncMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .ok_or_else(|| InvalidGssEncMode(word.to_owned()))
    }
}

/// The parameters of a connection that decide where it goes and what it is wrapped in.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Where to: libpq's several hosts, tried in turn.
    pub routes: Vec<Route>,
    /// `sslmode`.
    pub sslmode: SslMode,
    /// `sslrootcert`, else the home's `root.crt`.
    pub roots: RootFile,
    /// `sslnegotiation`.
    pub negotiation: SslNegotiation,
    /// `sslsni`.
    pub sni: bool,
    /// `ssl_min_protocol_version`.
    pub min: Option<TlsVersion>,
    /// `ssl_max_protocol_version`.
    pub max: Option<TlsVersion>,
    /// `sslcert`, `sslkey`, `sslpassword`: what is shown to a server that asks.
    pub client: ClientCertificate,
    /// `sslcertmode`.
    pub certmode: SslCertMode,
    /// `require_auth`.
    pub require_auth: RequireAuth,
    /// `gssencmode`.
    pub gssencmode: GssEncMode,
    /// `target_session_attrs`.
    pub target_session: TargetSession,
    /// Whose behaviour and words are wanted.
    pub libpq: LibpqVersion,
}

/// Parameters that libpq refuses before it opens a socket; the text is its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// No host.
    #[error("there is no host to connect to")]
    NoRoute,
    /// A value that is none of its parameter's.
    #[error("{0}")]
    Value(String),
    /// GSSAPI encryption is never spoken over a Unix socket (17 and later; before, it is an attempt that fails).
    #[error("GSSAPI encryption required but it is not supported over a local socket")]
    GssOnSocket,
    /// There are no Kerberos credentials, or none that are known here.
    #[error("GSSAPI encryption required but no credential cache")]
    GssWithoutCredentials,
    /// Only verify-full goes with the system's roots (16 and later).
    #[error("weak sslmode \"{0}\" may not be used with sslrootcert=system (use \"verify-full\")")]
    WeakWithSystem(SslMode),
    /// Direct TLS allows no way back to plaintext (17 and later).
    #[error(
        "weak sslmode \"{0}\" may not be used with sslnegotiation=direct (use \"require\", \
         \"verify-ca\", or \"verify-full\")"
    )]
    WeakWithDirect(SslMode),
    /// Lower end above upper end.
    #[error("invalid SSL protocol version range")]
    VersionRange,
}

impl ConnectOptions {
    /// To one host, with this mode and these roots, as the newest libpq.
    pub fn new(route: Route, sslmode: SslMode, roots: RootFile) -> Self {
        Self {
            routes: vec![route],
            sslmode,
            roots,
            negotiation: SslNegotiation::Postgres,
            sni: true,
            min: None,
            max: None,
            client: ClientCertificate::None,
            certmode: SslCertMode::default(),
            require_auth: RequireAuth::default(),
            gssencmode: GssEncMode::default(),
            target_session: TargetSession::default(),
            libpq: LibpqVersion::default(),
        }
    }

    /// Checks what libpq checks first (`connectOptions2`, fe-connect.c).
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        if self.routes.is_empty() {
            return Err(InvalidOptions::NoRoute);
        }
        not_too_weak(self.sslmode, self.roots.is_system(), self.negotiation)?;
        in_order(self.min, self.max)?;
        if self.gssencmode == GssEncMode::Require && self.libpq.looks_for_credentials_first() {
            let socket = self.routes.first().is_some_and(|route| route.socket_path().is_some());
            return Err(if socket {
                InvalidOptions::GssOnSocket
            } else {
                InvalidOptions::GssWithoutCredentials
            });
        }
        Ok(())
    }

    /// What `require_auth` and `sslcertmode` demand.
    pub(super) fn demands(&self) -> Demands {
        Demands {
            require_auth: self.require_auth.clone(),
            certificate: self.certmode == SslCertMode::Require,
            libpq: self.libpq,
        }
    }

    /// What is wished of TLS on this way.
    pub(super) fn wish(&self, route: &Route) -> TlsWish {
        let mut wish = TlsWish::new(Check::of(self.sslmode, &self.roots), route.host.clone());
        wish.sni = self.sni && self.libpq.sends_sni();
        wish.min = self.min;
        wish.max = self.max;
        wish.alpn = self.libpq.offers_alpn();
        wish.ip_sans = self.libpq.compares_ip_names();
        wish.client = self.client.clone();
        wish
    }
}

/// What a mode has to be for the system's roots, and for TLS without a way back.
pub(super) fn not_too_weak(
    sslmode: SslMode,
    system: bool,
    negotiation: SslNegotiation,
) -> Result<(), InvalidOptions> {
    if negotiation == SslNegotiation::Direct && sslmode.is_weak() {
        return Err(InvalidOptions::WeakWithDirect(sslmode));
    }
    if system && sslmode != SslMode::VerifyFull {
        return Err(InvalidOptions::WeakWithSystem(sslmode));
    }
    Ok(())
}

/// That the lower end is not above the upper one. It has a default, which counts.
pub(super) fn in_order(min: Option<TlsVersion>, max: Option<TlsVersion>) -> Result<(), InvalidOptions> {
    let min = min.unwrap_or(TlsVersion::Tls1_2);
    if max.is_some_and(|max| min > max) { Err(InvalidOptions::VersionRange) } else { Ok(()) }
}
