//! Whether somebody on a path was revoked, as OpenSSL 3.0's `check_revocation` decides it with
//! `X509_V_FLAG_CRL_CHECK_ALL`.

use time::OffsetDateTime;

use super::{ChainFault, ChainRefusal};
use crate::certificate::Certificate;
use crate::crl::{RevocationList, RevocationListFault};

/// Looks every certificate of the path up, from the leaf to the root, which answers for itself.
pub(super) fn check(
    path: &[&Certificate],
    lists: &[RevocationList],
    now: OffsetDateTime,
) -> Result<(), ChainRefusal> {
    for (depth, certificate) in path.iter().enumerate() {
        let issuer = path.get(depth + 1).unwrap_or(certificate);
        look_up(certificate, issuer, lists, now)
            .map_err(|fault| ChainRefusal::new(fault, depth, certificate))?;
    }
    Ok(())
}

fn look_up(
    certificate: &Certificate,
    issuer: &Certificate,
    lists: &[RevocationList],
    now: OffsetDateTime,
) -> Result<(), ChainFault> {
    let Some(list) = best(certificate, issuer, lists, now) else {
        return Err(ChainFault::NoRevocationList { issuer: certificate.issuer().to_string() });
    };
    if issuer.key_usage().is_some_and(|usage| !usage.crl_sign()) {
        return Err(ChainFault::BadRevocationList(RevocationListFault::MayNotSign));
    }
    // `check_crl` reports the dates first, then the signature.
    list.is_current(now).map_err(ChainFault::BadRevocationList)?;
    list.check_signed_by(issuer).map_err(ChainFault::BadRevocationList)?;
    if list.has_unknown_critical() {
        return Err(ChainFault::BadRevocationList(RevocationListFault::UnknownCriticalExtension));
    }
    if list.revokes(certificate) { Err(ChainFault::Revoked) } else { Ok(()) }
}

/// Of the issuer's lists the one that scores highest in `get_crl_score`: a current one before one
/// that is not, then one whose key identifier is the issuer's; among equals the later one.
fn best<'a>(
    certificate: &Certificate,
    issuer: &Certificate,
    lists: &'a [RevocationList],
    now: OffsetDateTime,
) -> Option<&'a RevocationList> {
    lists
        .iter()
        .filter(|list| list.is_complete() && list.issuer().same_as(certificate.issuer()))
        .max_by_key(|list| (list.is_current(now).is_ok(), list.is_of_key(issuer), list.this_update()))
}
