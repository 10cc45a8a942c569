//! Whether a presented chain is trusted, decided as OpenSSL decides it for libpq.
//!
//! Follows `X509_verify_cert` of OpenSSL 3.0 with the settings libpq gives it: purpose `sslserver`,
//! no `X509_V_FLAG_PARTIAL_CHAIN`, no `X509_V_FLAG_X509_STRICT`, security level 2. Knows nothing of
//! host names (see [`crate::names`]), or where roots and revocation lists come from.

mod build;
mod check;
mod constraints;
mod refusal;
mod revocation;

use time::OffsetDateTime;

pub(crate) use self::refusal::moment;
pub use self::refusal::{ChainFault, ChainRefusal};
use crate::certificate::Certificate;
use crate::crl::RevocationList;

/// The most certificates beside the leaf that are looked at. OpenSSL's own limit on the length of
/// a chain is 100 (`SSL_CTX_set_verify_depth`), and libpq leaves it so.
pub const MAX_PRESENTED: usize = 100;

/// What the leaf is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A TLS server: what a client asks of the certificate it is shown.
    Server,
    /// A TLS client: what a server with `ssl_ca_file` asks.
    Client,
}

/// A path from the leaf to a trusted root, every check passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    path: Vec<Certificate>,
}

impl VerifiedChain {
    /// Leaf first, trusted root last; one element where the leaf is itself the root.
    pub fn path(&self) -> &[Certificate] {
        &self.path
    }

    /// The trusted certificate in which the path ends.
    pub fn root(&self) -> Option<&Certificate> {
        self.path.last()
    }
}

/// Verifies `leaf` with the certificates that came with it against `roots`, at `now`.
///
/// `presented` may hold the leaf again, strangers, duplicates and any order. A root must be
/// self-signed: an intermediate among `roots` lengthens a path but ends none. There is no
/// backtracking, as OpenSSL has none: of several issuers that fit by name and key identifier the
/// first one that is valid in time is taken, and its signature decides.
pub fn verify_chain(
    leaf: &Certificate,
    presented: &[Certificate],
    roots: &[Certificate],
    now: OffsetDateTime,
    purpose: Purpose,
) -> Result<VerifiedChain, ChainRefusal> {
    verify(leaf, presented, roots, None, now, purpose)
}

/// The same with revocation lists, as libpq has it once an `sslcrl` could be loaded and a server
/// with `ssl_crl_file` (`X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL`): every certificate of
/// the path, the root too, must be covered by a list of its issuer's that is current, and stand on
/// none. Without a single list, every chain is refused.
pub fn verify_chain_with_lists(
    leaf: &Certificate,
    presented: &[Certificate],
    roots: &[Certificate],
    lists: &[RevocationList],
    now: OffsetDateTime,
    purpose: Purpose,
) -> Result<VerifiedChain, ChainRefusal> {
    verify(leaf, presented, roots, Some(lists), now, purpose)
}

fn verify(
    leaf: &Certificate,
    presented: &[Certificate],
    roots: &[Certificate],
    lists: Option<&[RevocationList]>,
    now: OffsetDateTime,
    purpose: Purpose,
) -> Result<VerifiedChain, ChainRefusal> {
    if presented.len() > MAX_PRESENTED {
        let fault = ChainFault::TooManyPresented(presented.len());
        return Err(ChainRefusal::new(fault, 0, leaf));
    }
    check::leaf_is_well_formed(leaf)?;
    check::leaf_strength(leaf)?;
    let path = build::path(leaf, presented, roots, now)?;
    check::extensions(&path, purpose)?;
    check::strength(&path)?;
    if let Some(lists) = lists {
        revocation::check(&path, lists, now)?;
    }
    check::signatures_and_dates(&path, now)?;
    constraints::check(&path)?;
    Ok(VerifiedChain { path: path.into_iter().cloned().collect() })
}

/// The presented certificates in the order a server should send them: the leaf, its issuer, the
/// issuer's issuer, as far as they are there, and then what fits nowhere.
///
/// Each entry is an index into `presented`; `leaf` itself is left out of the answer.
pub fn order_of(leaf: &Certificate, presented: &[Certificate]) -> Order {
    let mut left: Vec<usize> = (0..presented.len()).collect();
    left.retain(|index| presented.get(*index).is_some_and(|one| one != leaf));
    let mut issuers = Vec::new();
    let mut current = leaf;
    while !current.self_signed() && issuers.len() < MAX_PRESENTED {
        let next = left.iter().position(|index| {
            presented.get(*index).is_some_and(|candidate| is_issuer_of(candidate, current))
        });
        let Some(index) = next.map(|position| left.remove(position)) else {
            break;
        };
        let Some(issuer) = presented.get(index) else {
            break;
        };
        issuers.push(index);
        current = issuer;
    }
    Order { issuers, strangers: left }
}

/// Which presented certificates belong to the leaf's chain, and which do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Indices of the issuers, the leaf's own issuer first.
    pub issuers: Vec<usize>,
    /// Indices of the rest: strangers and duplicates.
    pub strangers: Vec<usize>,
}

/// Holds the names of a path, leaf first, against the name constraints on it.
pub(crate) fn obeys_constraints(path: &[&Certificate]) -> Result<(), ChainFault> {
    constraints::check(path).map_err(|refusal| refusal.fault().clone())
}

fn is_issuer_of(candidate: &Certificate, subject: &Certificate) -> bool {
    points_to(subject, candidate) && subject.check_signed_by(candidate).is_ok()
}

/// Whether `subject` says that `issuer` signed it: names, key identifiers and algorithm fit
/// (OpenSSL's `ossl_x509_likely_issued`). No signature is checked.
pub(crate) fn points_to(subject: &Certificate, issuer: &Certificate) -> bool {
    issuer.subject().same_as(subject.issuer())
        && issuer.extensions().malformed.is_none()
        && subject.extensions().malformed.is_none()
        && key_identifiers_agree(subject, issuer)
        && crate::signature::suits(issuer.public_key().kind(), subject.signature_oid())
}

/// OpenSSL's `X509_check_akid`: whatever the authority key identifier names must be the issuer's.
fn key_identifiers_agree(subject: &Certificate, issuer: &Certificate) -> bool {
    let Some(wanted) = &subject.extensions().authority_key else {
        return true;
    };
    let key = match (wanted.key_id.as_deref(), issuer.subject_key_id()) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    let serial = wanted.serial.as_deref().is_none_or(|wanted| wanted == issuer.raw_serial());
    let name = wanted.issuer.as_ref().is_none_or(|wanted| wanted.same_as(issuer.issuer()));
    key && serial && name
}
