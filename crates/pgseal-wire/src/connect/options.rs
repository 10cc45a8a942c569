//! What a connection is asked for with: libpq's parameters, as far as they are modelled.

use crate::channel::SslNegotiation;
use crate::libpq::LibpqVersion;
use crate::route::Route;
use crate::sslmode::SslMode;
use crate::tls::{Check, RootFile, TlsVersion, TlsWish};

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
    /// Whose behaviour and words are wanted.
    pub libpq: LibpqVersion,
}

/// Parameters that libpq refuses before it opens a socket; the text is its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// No host.
    #[error("there is no host to connect to")]
    NoRoute,
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
            libpq: LibpqVersion::default(),
        }
    }

    /// Checks what libpq checks first (`connectOptions2`, fe-connect.c).
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        if self.routes.is_empty() {
            return Err(InvalidOptions::NoRoute);
        }
        if self.roots.is_system() && self.sslmode != SslMode::VerifyFull {
            return Err(InvalidOptions::WeakWithSystem(self.sslmode));
        }
        if self.negotiation == SslNegotiation::Direct && self.sslmode.is_weak() {
            return Err(InvalidOptions::WeakWithDirect(self.sslmode));
        }
        // The lower end has a default, which counts.
        let min = self.min.unwrap_or(TlsVersion::Tls1_2);
        if self.max.is_some_and(|max| min > max) {
            return Err(InvalidOptions::VersionRange);
        }
        Ok(())
    }

    /// What is wished of TLS on this way.
    pub(super) fn wish(&self, route: &Route) -> TlsWish {
        let mut wish = TlsWish::new(Check::of(self.sslmode, &self.roots), route.host.clone());
        wish.sni = self.sni && self.libpq.sends_sni();
        wish.min = self.min;
        wish.max = self.max;
        wish.alpn = self.libpq.offers_alpn();
        wish.ip_sans = self.libpq.compares_ip_names();
        wish
    }
}
