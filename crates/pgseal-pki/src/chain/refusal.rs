//! Why a chain was refused, and at which certificate.

use time::OffsetDateTime;
use time::macros::format_description;

use crate::certificate::Certificate;
use crate::crl::RevocationListFault;

/// The reason of a refusal. Each variant's documentation names OpenSSL's code for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// Past its last moment (10, certificate has expired).
    #[error("expired on {}", moment(*.0))]
    Expired(OffsetDateTime),
    /// Before its first moment (9, certificate is not yet valid).
    #[error("is not valid before {}", moment(*.0))]
    NotYetValid(OffsetDateTime),
    /// No trusted or presented certificate is its issuer (20, unable to get local issuer
    /// certificate).
    #[error("was issued by {issuer}, which is neither trusted nor presented")]
    UnknownIssuer {
        /// The issuer it names.
        issuer: String,
    },
    /// It is among the trusted ones, yet not self-signed, and its own issuer is not trusted (2,
    /// unable to get issuer certificate).
    #[error("is trusted but is no root: its issuer {issuer} is not among the trusted ones")]
    NotARoot {
        /// The issuer it names.
        issuer: String,
    },
    /// The leaf signed itself and is not trusted (18, self-signed certificate).
    #[error("is self-signed and not trusted")]
    SelfSigned,
    /// The chain ends in a self-signed certificate that is not trusted (19, self-signed
    /// certificate in certificate chain).
    #[error("is a self-signed root that is not trusted")]
    UntrustedRoot,
    /// Its issuer's key did not make its signature (7, certificate signature failure).
    #[error("bears a signature that its issuer's key did not make")]
    BadSignature,
    /// Its signature is of an algorithm that cannot be checked here; OpenSSL may know it.
    #[error("is signed with {algorithm}, which is not supported")]
    UnsupportedSignature {
        /// The algorithm.
        algorithm: String,
    },
    /// It issued another certificate of the chain but is no certificate authority (79, invalid CA
    /// certificate).
    #[error("issued another certificate without being a certificate authority (CA:TRUE)")]
    IssuerNotCa,
    /// Its key usage does not let it sign certificates (32, key usage does not include certificate
    /// signing).
    #[error("issued another certificate although its key usage lacks keyCertSign")]
    MayNotSign,
    /// More authorities below it than its basic constraints allow (25, path length constraint
    /// exceeded).
    #[error("allows {allowed} authorities below it, and there are {found}")]
    PathTooLong {
        /// pathLenConstraint.
        allowed: u32,
        /// Authorities below that are not self-issued.
        found: usize,
    },
    /// Key usage, extended key usage or Netscape type forbid the purpose (26, unsupported
    /// certificate purpose).
    #[error("is not meant for this use: {0}")]
    WrongPurpose(&'static str),
    /// A critical extension that nobody here processes (34, unhandled critical extension).
    #[error("holds the critical extension {0}, which is not understood")]
    UnknownCriticalExtension(String),
    /// An extension that is broken or there twice.
    #[error("holds a broken or doubled extension {0}")]
    MalformedExtension(String),
    /// A proxy certificate of RFC 3820 (40, proxy certificates not allowed).
    #[error("is a proxy certificate")]
    Proxy,
    /// A curve written out instead of named (94, explicit EC parameters).
    #[error("spells out its elliptic curve instead of naming one")]
    ExplicitCurve,
    /// A key under 112 bits of security (66 and 67, key too weak).
    #[error("has a key that is too weak: {0}")]
    WeakKey(String),
    /// A signature under 112 bits of security: MD5, SHA-1 (68, CA signature digest algorithm too
    /// weak).
    #[error("is signed with {0}, which is too weak")]
    WeakSignature(String),
    /// A name outside an authority's permitted subtrees (47, permitted subtree violation).
    #[error("bears the name {0}, which an authority above it does not permit")]
    NameNotPermitted(String),
    /// A name inside an authority's excluded subtrees (48, excluded subtree violation).
    #[error("bears the name {0}, which an authority above it excludes")]
    NameExcluded(String),
    /// A name or constraint of a form that cannot be compared (51 to 53), or more of them than
    /// are worth comparing (1, unspecified).
    #[error("cannot be held against an authority's name constraints: {0}")]
    UncheckableConstraint(&'static str),
    /// Its issuer took it back (23, certificate revoked).
    #[error("was revoked by its issuer")]
    Revoked,
    /// Revocation lists are to be asked, and there is none of its issuer's (3, unable to get
    /// certificate CRL).
    #[error("cannot be looked up: there is no revocation list of its issuer {issuer}")]
    NoRevocationList {
        /// The issuer whose list is missing.
        issuer: String,
    },
    /// The list of its issuer is of no use (8, 11, 12, 35, 36).
    #[error("cannot be looked up: its issuer's revocation list {0}")]
    BadRevocationList(RevocationListFault),
    /// Longer than 100 issuers (22, certificate chain too long).
    #[error("stands at the end of a chain that is longer than 100 issuers")]
    ChainTooLong,
    /// More certificates were presented than are looked at.
    #[error("came with {0} further certificates, and at most 100 are looked at")]
    TooManyPresented(usize),
}

impl ChainFault {
    /// OpenSSL's `X509_V_ERR_…` number for this fault, where there is one.
    pub fn openssl_code(&self) -> Option<u16> {
        Some(match self {
            Self::NotARoot { .. } => 2,
            Self::BadSignature => 7,
            Self::NotYetValid(_) => 9,
            Self::Expired(_) => 10,
            Self::SelfSigned => 18,
            Self::UntrustedRoot => 19,
            Self::UnknownIssuer { .. } => 20,
            Self::ChainTooLong => 22,
            Self::PathTooLong { .. } => 25,
            Self::Revoked => 23,
            Self::NoRevocationList { .. } => 3,
            Self::BadRevocationList(fault) => fault.openssl_code(),
            Self::WrongPurpose(_) => 26,
            Self::MayNotSign => 32,
            Self::UnknownCriticalExtension(_) => 34,
            Self::Proxy => 40,
            Self::NameNotPermitted(_) => 47,
            Self::NameExcluded(_) => 48,
            Self::WeakSignature(_) => 68,
            Self::IssuerNotCa => 79,
            Self::ExplicitCurve => 94,
            _ => return None,
        })
    }
}

/// A moment in UTC to the second, as errors show it.
pub(crate) fn moment(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_else(|_| time.to_string())
}

/// A chain was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate {depth} of the chain ({subject}) {fault}")]
pub struct ChainRefusal {
    fault: ChainFault,
    depth: usize,
    subject: String,
    fingerprint: crate::fingerprint::Fingerprint,
}

impl ChainRefusal {
    pub(crate) fn new(fault: ChainFault, depth: usize, certificate: &Certificate) -> Self {
        let subject = certificate.subject().to_string();
        Self {
            fault,
            depth,
            subject: if subject.is_empty() { "no subject".to_owned() } else { subject },
            fingerprint: certificate.fingerprint(),
        }
    }

    /// Why.
    pub fn fault(&self) -> &ChainFault {
        &self.fault
    }

    /// Where on the path: 0 is the leaf, 1 its issuer.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The refused certificate's subject, RFC 4514.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The refused certificate.
    pub fn fingerprint(&self) -> crate::fingerprint::Fingerprint {
        self.fingerprint
    }
}
