//! What can go wrong with an authority.

use time::OffsetDateTime;

use crate::bundle::BundleError;
use crate::chain::moment;
use crate::key::KeyError;

/// An authority could not be made, loaded or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The certificate's file is no PEM bundle.
    #[error("the authority's certificate cannot be read: {0}")]
    UnreadableCertificate(BundleError),
    /// The key's file is no PEM bundle.
    #[error("the authority's private key cannot be read: {0}")]
    UnreadableKey(BundleError),
    /// A bundle without a certificate.
    #[error("the authority's certificate is missing: its file holds no block CERTIFICATE")]
    NoCertificate,
    /// A bundle without a private key.
    #[error("the authority's private key is missing: its file holds no block PRIVATE KEY")]
    NoKey,
    /// The key is encrypted and no passphrase was given.
    #[error("the authority's private key is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// The key does not belong to the certificate.
    #[error("the authority's private key does not belong to its certificate")]
    KeyMismatch,
    /// The certificate is no authority's.
    #[error("{0} is no certificate authority (basic constraints lack CA:TRUE)")]
    NotAnAuthority(String),
    /// Key usage forbids signing certificates.
    #[error("{0} may not sign certificates (its key usage lacks keyCertSign)")]
    MayNotSign(String),
    /// A kind of key whose signatures break clients.
    #[error(
        "an authority with a key of kind {0} is not used: certificates that it signs break channel binding or are refused by clients"
    )]
    UnsuitableKey(String),
    /// Only what it issued can be issued once more.
    #[error("the certificate was issued by {0}, and not by this authority")]
    IssuedByOthers(String),
    /// Key usage forbids signing lists.
    #[error("{0} may not sign revocation lists (its key usage lacks cRLSign)")]
    MayNotSignLists(String),
    /// Only a root can be renewed by itself.
    #[error("{0} is no root: whoever issued it has to renew it")]
    NotARoot(String),
    /// A name that cannot be written again byte for byte.
    #[error(
        "the authority's name {0} holds an attribute twice or several joined by \"+\", and cannot be repeated in a certificate that it issues"
    )]
    UnrepeatableSubject(String),
    /// An authority needs a name.
    #[error("an authority needs a subject")]
    NoSubject,
    /// Nothing to certify.
    #[error("a server certificate needs at least one host name or IP address")]
    NoNames,
    /// The end is not after the beginning.
    #[error("a certificate valid from {} until {} would never be valid", moment(*.not_before), moment(*.not_after))]
    NeverValid {
        /// Asked beginning.
        not_before: OffsetDateTime,
        /// Asked end.
        not_after: OffsetDateTime,
    },
    /// A date that certificates cannot hold (RFC 5280: years 0 to 9999).
    #[error("a certificate cannot hold the date {}", moment(*.0))]
    DateOutOfRange(OffsetDateTime),
    /// The leaf would be valid longer than the authority or one of its issuers.
    #[error("the certificate would be valid until {}, but its authority is only valid until {}", moment(*.leaf), moment(*.authority))]
    LeafOutlivesAuthority {
        /// Asked end of the leaf.
        leaf: OffsetDateTime,
        /// End of the authority, or of the earliest of its issuers.
        authority: OffsetDateTime,
    },
    /// The authority's name constraints do not permit the name.
    #[error("the authority's name constraints do not permit the name {0}")]
    NotPermitted(String),
    /// The private key could not be made or opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The encoder or the randomness failed, or what was written does not read back as meant.
    #[error("the certificate could not be made: {0}")]
    NotMade(String),
}
