//! What is wished of a TLS connection, before it exists.

use std::net::IpAddr;

use super::client_certificate::ClientCertificate;
use super::roots::{NoRoots, RootFile, Roots};
use super::version::TlsVersion;
use crate::sslmode::SslMode;

/// How far the server's certificate is judged. The handshake's own signature always is.
#[derive(Debug, Clone)]
pub enum Check {
    /// Not at all: sslmode require without a root file.
    None,
    /// The chain leads to one of these roots: verify-ca.
    Chain(Roots),
    /// The chain, and then the name in it: verify-full.
    ChainAndName(Roots),
    /// It was to be judged and cannot be. The server is still asked for TLS first, since libpq
    /// complains of a server without TLS before it complains of its roots.
    Unable(NoRoots),
}

impl Check {
    /// What libpq does for this mode with this root file (`initialize_SSL`).
    pub fn of(mode: SslMode, roots: &RootFile) -> Self {
        match (roots, mode) {
            (RootFile::Loaded(roots), SslMode::VerifyFull) => Self::ChainAndName(roots.clone()),
            (RootFile::Loaded(roots), _) => Self::Chain(roots.clone()),
            (RootFile::Absent { .. }, mode) if mode < SslMode::VerifyCa => Self::None,
            (RootFile::Absent { path }, _) => Self::Unable(NoRoots::Absent { path: path.clone() }),
            (RootFile::Unusable(error), _) => Self::Unable(NoRoots::Unusable(error.clone())),
        }
    }
}

/// What is wished of a TLS connection.
#[derive(Debug, Clone)]
pub struct TlsWish {
    /// How far the certificate is judged.
    pub check: Check,
    /// libpq's `host`: sent as SNI unless it is an address, and compared by
    /// [`Check::ChainAndName`]. None or empty: nothing is sent, and no name can match.
    pub server_name: Option<String>,
    /// Whether SNI is sent at all (`sslsni`).
    pub sni: bool,
    /// `ssl_min_protocol_version`; libpq's default is TLSv1.2.
    pub min: Option<TlsVersion>,
    /// `ssl_max_protocol_version`.
    pub max: Option<TlsVersion>,
    /// Whether ALPN `postgresql` is offered, as libpq 17 does. Always with direct TLS.
    pub alpn: bool,
    /// Whether iPAddress names count, as from libpq 15 on.
    pub ip_sans: bool,
    /// What is shown to a server that asks for a client certificate.
    pub client: ClientCertificate,
}

impl TlsWish {
    /// TLS to this host as a present-day libpq would have it.
    pub fn new(check: Check, server_name: impl Into<String>) -> Self {
        let name: String = server_name.into();
        Self {
            check,
            server_name: (!name.is_empty()).then_some(name),
            sni: true,
            min: None,
            max: None,
            alpn: true,
            ip_sans: true,
            client: ClientCertificate::None,
        }
    }

    /// The lowest and highest version that this wish allows and rustls speaks.
    pub(super) fn versions(&self) -> Result<(TlsVersion, TlsVersion), UnspeakableVersions> {
        let min = self.min.unwrap_or(TlsVersion::Tls1_2);
        let max = self.max.unwrap_or(TlsVersion::Tls1_3);
        if min > max {
            return Err(UnspeakableVersions::Reversed { min, max });
        }
        if max < TlsVersion::Tls1_2 {
            return Err(UnspeakableVersions::TooOld { min, max });
        }
        Ok((min.max(TlsVersion::Tls1_2), max))
    }

    /// The name that SNI may carry: no addresses (RFC 6066, section 3).
    pub(super) fn sni_name(&self) -> Option<rustls::pki_types::ServerName<'static>> {
        let name = self.server_name.as_deref().filter(|_| self.sni)?;
        if name.parse::<IpAddr>().is_ok() {
            return None;
        }
        let name = rustls::pki_types::DnsName::try_from(name.to_owned()).ok()?;
        Some(rustls::pki_types::ServerName::DnsName(name))
    }
}

/// A range of versions that cannot be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnspeakableVersions {
    /// libpq says the same of such a range.
    #[error("invalid SSL protocol version range: {min} is above {max}")]
    Reversed {
        /// The lower end asked for.
        min: TlsVersion,
        /// The upper end asked for.
        max: TlsVersion,
    },
    /// Could be asked of OpenSSL, not of rustls.
    #[error("nothing between {min} and {max} can be tried: TLS 1.2 is the oldest version spoken here")]
    TooOld {
        /// The lower end asked for.
        min: TlsVersion,
        /// The upper end asked for.
        max: TlsVersion,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(min: Option<TlsVersion>, max: Option<TlsVersion>) -> Result<(TlsVersion, TlsVersion), String> {
        let wish = TlsWish { min, max, ..TlsWish::new(Check::None, "localhost") };
        wish.versions().map_err(|error| error.to_string())
    }

    #[test]
    fn a_range_is_cut_to_what_rustls_speaks() {
        use TlsVersion::{Tls1_0, Tls1_1, Tls1_2, Tls1_3};
        assert_eq!(between(None, None), Ok((Tls1_2, Tls1_3)));
        assert_eq!(between(Some(Tls1_0), None), Ok((Tls1_2, Tls1_3)));
        assert_eq!(between(None, Some(Tls1_2)), Ok((Tls1_2, Tls1_2)));
        assert_eq!(
            between(Some(Tls1_1), Some(Tls1_1)).unwrap_err(),
            "nothing between TLSv1.1 and TLSv1.1 can be tried: TLS 1.2 is the oldest version spoken here"
        );
        // libpq's lower end is TLSv1.2 when nothing is said.
        assert!(between(None, Some(Tls1_1)).unwrap_err().starts_with("invalid SSL protocol version range"));
    }

    #[test]
    fn addresses_and_odd_names_are_not_sent_as_sni() {
        let sent = |name: &str| TlsWish::new(Check::None, name).sni_name().is_some();
        assert!(sent("db.example.org"));
        assert!(sent("localhost"));
        for name in ["", "127.0.0.1", "::1", "not a name", "a..b"] {
            assert!(!sent(name), "{name:?}");
        }
        let silent = TlsWish { sni: false, ..TlsWish::new(Check::None, "db.example.org") };
        assert!(silent.sni_name().is_none());
    }

    #[test]
    fn a_root_file_makes_every_mode_verify_and_its_absence_only_the_strong_ones_refuse() {
        let absent = RootFile::Absent { path: "/no".into() };
        for mode in SslMode::ALL {
            let unable = matches!(Check::of(mode, &absent), Check::Unable(_));
            assert_eq!(unable, mode >= SslMode::VerifyCa, "{mode}");
        }
        let broken = RootFile::read(std::path::Path::new("/"));
        assert!(matches!(Check::of(SslMode::Prefer, &broken), Check::Unable(NoRoots::Unusable(_))));
    }
}
