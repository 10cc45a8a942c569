//! Signs a revocation list.

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use super::issue::{issuer, not_made, whole_second};
use super::{AuthorityError, CertificateAuthority};
use crate::crl::{Reason, RevocationList, Revoked};
use crate::pem;

/// What a revocation list is to say.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Its number: larger than that of every list before it (RFC 5280 section 5.2.3).
    pub number: u64,
    /// When it is made, cut to whole seconds.
    pub this_update: OffsetDateTime,
    /// By when the next one is promised, cut to whole seconds. With one that is over PostgreSQL refuses every client
    /// certificate, and libpq every server's.
    pub next_update: OffsetDateTime,
    /// What stands on it.
    pub revoked: Vec<Revoked>,
}

pub(super) fn sign(
    authority: &CertificateAuthority,
    request: &ListRequest,
) -> Result<String, AuthorityError> {
    let own = authority.certificate();
    if own.key_usage().is_some_and(|usage| !usage.crl_sign()) {
        return Err(AuthorityError::MayNotSignLists(own.subject().to_string()));
    }
    let key_id =
        own.subject_key_id().ok_or_else(|| not_made("the authority has no subject key identifier"))?;
    let params = CertificateRevocationListParams {
        this_update: whole_second(request.this_update)?,
        next_update: whole_second(request.next_update)?,
        crl_number: SerialNumber::from(request.number),
        issuing_distribution_point: None,
        revoked_certs: request.revoked.iter().map(entry).collect::<Result<_, _>>()?,
        key_identifier_method: KeyIdMethod::PreSpecified(key_id.to_vec()),
    };
    if params.next_update <= params.this_update {
        return Err(AuthorityError::NeverValid {
            not_before: request.this_update,
            not_after: request.next_update,
        });
    }
    let pair = authority.key_pem().pair()?;
    let signer = issuer(own, &pair)?;
    let made = params.signed_by(&signer).map_err(|error| not_made(&error))?;
    // Read back: what was written is what was meant.
    let list = RevocationList::from_der(made.der()).map_err(|error| not_made(&error))?;
    list.check_signed_by(own).map_err(|error| not_made(&error))?;
    if list.len() != request.revoked.len() {
        return Err(not_made("the list holds a serial number twice"));
    }
    Ok(pem::encode("X509 CRL", made.der()).to_string())
}

fn entry(revoked: &Revoked) -> Result<RevokedCertParams, AuthorityError> {
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(&revoked.serial),
        revocation_time: whole_second(revoked.at)?,
        reason_code: revoked.reason.map(|reason| match reason {
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::CaCompromise => RevocationReason::CaCompromise,
            Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
            Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }),
        invalidity_date: None,
    })
}
