//! A wish put into rustls's terms.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme, SupportedProtocolVersion};

use super::client_certificate::ClientCertificate;
use super::failure::HandshakeFailure;
use super::roots::Roots;
use super::verifier::{Record, Verifier};
use super::version::TlsVersion;
use super::wish::{Check, TlsWish};

/// The protocol that PostgreSQL 17 and later name in ALPN.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// The one provider of this crate, never the process's default.
pub(crate) static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// Everything for one handshake.
pub(super) struct Prepared {
    pub(super) config: ClientConfig,
    pub(super) record: Record,
    pub(super) asked: Arc<Asked>,
}

impl Prepared {
    pub(super) fn new(wish: &TlsWish, direct: bool) -> Result<Self, HandshakeFailure> {
        // In libpq's order: versions, roots, its own certificate.
        let versions = versions(wish)?;
        let verifier = Verifier::new(trusted(&wish.check)?, PROVIDER.signature_verification_algorithms);
        let record = verifier.record();
        let asked = Arc::new(Asked::of(&wish.client)?);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_protocol_versions(&versions)
            .map_err(|error| HandshakeFailure::NothingInCommon(error.to_string()))?;
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&asked) as Arc<dyn ResolvesClientCert>);
        config.enable_sni = wish.sni_name().is_some();
        // Every connection stands for itself: a resumed one would show no certificate.
        config.resumption = Resumption::disabled();
        if wish.alpn || direct {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        Ok(Self { config, record, asked })
    }
}

fn trusted(check: &Check) -> Result<Option<Roots>, HandshakeFailure> {
    match check {
        Check::None => Ok(None),
        Check::Chain(roots) | Check::ChainAndName(roots) => Ok(Some(roots.clone())),
        Check::Unable(none) => Err(HandshakeFailure::Roots(none.clone())),
    }
}

fn versions(wish: &TlsWish) -> Result<Vec<&'static SupportedProtocolVersion>, HandshakeFailure> {
    let (min, max) = wish.versions()?;
    let known =
        [(TlsVersion::Tls1_3, &rustls::version::TLS13), (TlsVersion::Tls1_2, &rustls::version::TLS12)];
    Ok(known
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, version)| version)
        .collect())
}

/// Shows the client's certificate where there is one, and remembers whether one was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    certified: Option<Arc<CertifiedKey>>,
    requested: AtomicBool,
    shown: AtomicBool,
}

impl Asked {
    fn of(client: &ClientCertificate) -> Result<Self, HandshakeFailure> {
        let certified = match client {
            ClientCertificate::None => None,
            ClientCertificate::Ready(identity) => Some(identity.certified()),
            ClientCertificate::Unusable(error) => {
                return Err(HandshakeFailure::ClientCertificate(error.clone()));
            }
        };
        Ok(Self { certified, requested: AtomicBool::new(false), shown: AtomicBool::new(false) })
    }

    pub(super) fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    pub(super) fn shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    /// Like OpenSSL's client without a callback: whatever authorities the server names.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.requested.store(true, Ordering::Relaxed);
        let certified = self.certified.as_ref()?;
        certified.key.choose_scheme(schemes)?;
        self.shown.store(true, Ordering::Relaxed);
        Some(Arc::clone(certified))
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}
