//! The checks on a finished path: extensions, strength, signatures, dates. Same order as OpenSSL
//! 3.0's `verify_chain`, so that the first refusal is the same.

use time::OffsetDateTime;

use super::{ChainFault, ChainRefusal, Purpose};
use crate::certificate::Certificate;
use crate::extensions::{NetscapeType, NetscapeUse};
use crate::public_key::KeyKind;
use crate::signature::SignatureRefusal;

type Path<'a> = [&'a Certificate];

/// A leaf with broken extensions is refused before anything else (`EXFLAG_INVALID`).
pub(super) fn leaf_is_well_formed(leaf: &Certificate) -> Result<(), ChainRefusal> {
    match &leaf.extensions().malformed {
        Some(oid) => Err(ChainRefusal::new(ChainFault::MalformedExtension(oid.clone()), 0, leaf)),
        None => Ok(()),
    }
}

/// OpenSSL's `check_extensions`.
pub(super) fn extensions(path: &Path<'_>, purpose: Purpose) -> Result<(), ChainRefusal> {
    let mut authorities = 0_usize;
    for (depth, certificate) in path.iter().enumerate() {
        let refuse = |fault| Err(ChainRefusal::new(fault, depth, certificate));
        if let Some(oid) = &certificate.extensions().unknown_critical {
            return refuse(ChainFault::UnknownCriticalExtension(oid.clone()));
        }
        if certificate.extensions().proxy {
            return refuse(ChainFault::Proxy);
        }
        let last = depth + 1 == path.len();
        let standing = authority(certificate);
        if depth > 0 && !(standing == Standing::Stated || last && standing != Standing::None) {
            return refuse(ChainFault::IssuerNotCa);
        }
        if path.len() > 1 && *certificate.public_key().kind() == KeyKind::ExplicitCurve {
            return refuse(ChainFault::ExplicitCurve);
        }
        if let Some(why) = misused(certificate, purpose, depth > 0) {
            return refuse(ChainFault::WrongPurpose(why));
        }
        if let Some(allowed) = certificate.path_length()
            && depth > 1
            && usize::try_from(allowed).is_ok_and(|allowed| authorities > allowed)
        {
            return refuse(ChainFault::PathTooLong { allowed, found: authorities });
        }
        if depth > 0 && !certificate.self_issued() {
            authorities += 1;
        }
    }
    Ok(())
}

/// How a certificate comes to be an authority (OpenSSL's `check_ca`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is none.
    None,
    /// Basic constraints say so.
    Stated,
    /// Version 1 and self-signed, or key usage without basic constraints.
    Tolerated,
    /// By Netscape's certificate type.
    Netscape,
}

fn authority(certificate: &Certificate) -> Standing {
    let extensions = certificate.extensions();
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return Standing::None;
    }
    if let Some(constraints) = extensions.basic_constraints {
        return if constraints.ca { Standing::Stated } else { Standing::None };
    }
    let old_root = certificate.version() == 1 && certificate.self_signed();
    if old_root || certificate.key_usage().is_some() {
        Standing::Tolerated
    } else if extensions.netscape_type.as_ref().is_some_and(NetscapeType::is_authority) {
        Standing::Netscape
    } else {
        Standing::None
    }
}

/// OpenSSL's `check_purpose_ssl_server` and `check_purpose_ssl_client`; None where all is well.
fn misused(certificate: &Certificate, purpose: Purpose, issuer: bool) -> Option<&'static str> {
    let extensions = certificate.extensions();
    if let Some(found) = &extensions.extended_key_usage {
        match purpose {
            Purpose::Server if !found.server_auth() => {
                return Some("its extended key usage lacks serverAuth");
            }
            Purpose::Client if !found.client_auth() => {
                return Some("its extended key usage lacks clientAuth");
            }
            _ => {}
        }
    }
    let netscape = |wanted| extensions.netscape_type.as_ref().is_some_and(|found| !found.has(wanted));
    if issuer {
        return (authority(certificate) == Standing::Netscape && netscape(NetscapeUse::TlsAuthority))
            .then_some("its Netscape type is no TLS authority");
    }
    if let Some(found) = certificate.key_usage() {
        let fits = found.digital_signature()
            || found.key_agreement()
            || purpose == Purpose::Server && found.key_encipherment();
        if !fits {
            return Some("its key usage allows no TLS handshake");
        }
    }
    let wanted = match purpose {
        Purpose::Server => NetscapeUse::TlsServer,
        Purpose::Client => NetscapeUse::TlsClient,
    };
    netscape(wanted).then_some("its Netscape type is of another use")
}

/// The leaf's own key, which OpenSSL looks at before it builds a chain.
pub(super) fn leaf_strength(leaf: &Certificate) -> Result<(), ChainRefusal> {
    weak_key(leaf).map_or(Ok(()), |fault| Err(ChainRefusal::new(fault, 0, leaf)))
}

/// OpenSSL's `check_auth_level` at level 2: keys of every issuer, and signatures of all but the
/// root.
pub(super) fn strength(path: &Path<'_>) -> Result<(), ChainRefusal> {
    for (depth, certificate) in path.iter().enumerate() {
        let key = if depth > 0 { weak_key(certificate) } else { None };
        let signature = if depth + 1 < path.len() { weak_signature(certificate) } else { None };
        if let Some(fault) = key.or(signature) {
            return Err(ChainRefusal::new(fault, depth, certificate));
        }
    }
    Ok(())
}

/// Under 112 bits of security (NIST SP 800-57: RSA under 2048 bits).
fn weak_key(certificate: &Certificate) -> Option<ChainFault> {
    let kind = certificate.public_key().kind();
    matches!(kind, KeyKind::Rsa(bits) if *bits < 2048).then(|| ChainFault::WeakKey(kind.to_string()))
}

fn weak_signature(certificate: &Certificate) -> Option<ChainFault> {
    crate::signature::is_weak(certificate.signature_oid())
        .then(|| ChainFault::WeakSignature(certificate.signature_algorithm().to_owned()))
}

/// OpenSSL's `internal_verify`: from the root down, each signature and then each date.
pub(super) fn signatures_and_dates(path: &Path<'_>, now: OffsetDateTime) -> Result<(), ChainRefusal> {
    for (depth, certificate) in path.iter().enumerate().rev() {
        if let Some(issuer) = path.get(depth + 1) {
            if issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
                return Err(ChainRefusal::new(ChainFault::MayNotSign, depth + 1, issuer));
            }
            certificate.check_signed_by(issuer).map_err(|refusal| {
                let fault = match refusal {
                    SignatureRefusal::Mismatch => ChainFault::BadSignature,
                    SignatureRefusal::Unsupported => ChainFault::UnsupportedSignature {
                        algorithm: certificate.signature_algorithm().to_owned(),
                    },
                };
                ChainRefusal::new(fault, depth, certificate)
            })?;
        }
        date(certificate, now).map_err(|fault| ChainRefusal::new(fault, depth, certificate))?;
    }
    Ok(())
}

/// OpenSSL's `ossl_x509_check_cert_time`: whole seconds; the last second itself counts as expired
/// (`X509_cmp_time` never answers "equal").
pub(super) fn date(certificate: &Certificate, now: OffsetDateTime) -> Result<(), ChainFault> {
    let second = now.unix_timestamp();
    if certificate.not_before().unix_timestamp() > second {
        return Err(ChainFault::NotYetValid(certificate.not_before()));
    }
    if certificate.not_after().unix_timestamp() <= second {
        return Err(ChainFault::Expired(certificate.not_after()));
    }
    Ok(())
}
