//! Our own `ServerCertVerifier`: libpq's judgement in rustls's seat.
//!
//! It records what was presented and what was decided, also when it refuses.

use std::sync::{Arc, Mutex, PoisonError};

use pgseal_pki::public_key::KeyKind;
use pgseal_pki::{Certificate, ChainFault, ChainRefusal, Purpose, verify_chain, verify_chain_with_lists};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use time::OffsetDateTime;

use super::facts::ChainVerdict;
use super::roots::Roots;
use super::signature;

/// More certificates than any chain has, and fewer than cost time.
const MAX_PRESENTED: usize = 100;
/// Bits of an RSA key below which aws-lc verifies no signature of a handshake.
const RSA_BITS: usize = 2048;

/// What the verifier saw and decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) chain: Vec<Certificate>,
    pub(super) verdict: ChainVerdict,
    /// A presented certificate that cannot be read: its place, counted from 1, and why.
    pub(super) unreadable: Option<(usize, String)>,
    /// Whether an OCSP response came with it.
    pub(crate) ocsp: bool,
}

/// The verifier of a single handshake.
#[derive(Debug)]
pub(crate) struct Verifier {
    roots: Option<Roots>,
    algorithms: WebPkiSupportedAlgorithms,
    short_keys_pass: bool,
    seen: Arc<Mutex<Seen>>,
}

impl Verifier {
    /// With `roots` the chain is judged, without them only the handshake's signature is.
    pub(crate) fn new(roots: Option<Roots>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { roots, algorithms, short_keys_pass: false, seen: Arc::default() }
    }

    /// For those who only listen: no chain is judged, and an RSA key that is too short for the algorithms passes unproved.
    /// Never for somebody who sends a secret.
    pub(crate) fn for_listening(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { short_keys_pass: true, ..Self::new(None, algorithms) }
    }

    /// A signature that was not verified, where it could not have been.
    fn or_too_short(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
        certificate: &CertificateDer<'_>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let short = || {
            let leaf = Certificate::from_der(certificate);
            leaf.is_ok_and(|leaf| matches!(leaf.public_key().kind(), KeyKind::Rsa(bits) if *bits < RSA_BITS))
        };
        if verified.is_err() && self.short_keys_pass && short() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verified
    }

    /// Where it records, readable after the handshake.
    pub(crate) fn record(&self) -> Record {
        Record(Arc::clone(&self.seen))
    }

    fn judge(&self, chain: &[Certificate], now: UnixTime) -> ChainVerdict {
        let Some(roots) = &self.roots else {
            return ChainVerdict::NotAsked;
        };
        let Some((leaf, presented)) = chain.split_first() else {
            return ChainVerdict::NotAsked;
        };
        let now = i64::try_from(now.as_secs())
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let trusted = roots.certificates();
        let verified = match roots.lists() {
            Some(lists) => verify_chain_with_lists(leaf, presented, trusted, lists, now, Purpose::Server),
            None => verify_chain(leaf, presented, trusted, now, Purpose::Server),
        };
        match verified {
            Ok(path) => ChainVerdict::Verified(path),
            Err(refusal) => ChainVerdict::Refused(refusal),
        }
    }

    /// The public key of the leaf, which rustls hands back as DER.
    fn leaf_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, Error> {
        Certificate::from_der(certificate)
            .map(|leaf| leaf.spki_der().to_vec())
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
    }
}

/// The reading end of a verifier's record.
pub(crate) struct Record(Arc<Mutex<Seen>>);

impl Record {
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.ocsp = !ocsp_response.is_empty();
        let presented = std::iter::once(end_entity).chain(intermediates);
        for (place, der) in presented.enumerate() {
            let read = if place < MAX_PRESENTED {
                Certificate::from_der(der).map_err(|error| error.to_string())
            } else {
                Err(format!("more than {MAX_PRESENTED} certificates"))
            };
            match read {
                Ok(certificate) => seen.chain.push(certificate),
                Err(why) => {
                    seen.unreadable = Some((place + 1, why));
                    return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
                }
            }
        }
        seen.verdict = self.judge(&seen.chain, now);
        match &seen.verdict {
            ChainVerdict::Refused(refusal) => Err(Error::InvalidCertificate(alert_for(refusal))),
            ChainVerdict::NotAsked | ChainVerdict::Verified(_) => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = signature::verify_tls12(message, &Self::leaf_key(cert)?, dss, &self.algorithms);
        self.or_too_short(verified, cert)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = signature::verify_tls13(message, &Self::leaf_key(cert)?, dss, &self.algorithms);
        self.or_too_short(verified, cert)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The error whose alert is the one that OpenSSL sends (`ssl_x509err2alert`).
fn alert_for(refusal: &ChainRefusal) -> CertificateError {
    match refusal.fault() {
        ChainFault::Expired(_) => CertificateError::Expired,
        ChainFault::UnknownIssuer { .. }
        | ChainFault::NotARoot { .. }
        | ChainFault::SelfSigned
        | ChainFault::UntrustedRoot
        | ChainFault::IssuerNotCa
        | ChainFault::PathTooLong { .. }
        | ChainFault::ChainTooLong
        | ChainFault::NoRevocationList { .. } => CertificateError::UnknownIssuer,
        ChainFault::BadSignature => CertificateError::BadSignature,
        ChainFault::WrongPurpose(_) => CertificateError::InvalidPurpose,
        ChainFault::Revoked => CertificateError::Revoked,
        _ => CertificateError::BadEncoding,
    }
}
