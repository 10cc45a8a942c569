//! A certificate once more, byte for byte but for its number and its dates.

use rcgen::{CertificateParams, SigningKey as _};
use time::OffsetDateTime;
use time::macros::format_description;

use super::AuthorityError;
use super::issue::{not_made, random_serial, whole_second};
use crate::certificate::Certificate;
use crate::der::{BIT_STRING, INTEGER, OID, SEQUENCE, VERSION, element, expect};
use crate::key::KeyPem;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// A leaf of this authority's once more: its name, names, key and purposes stay as they are.
pub(super) fn leaf(
    authority: &Certificate,
    signer: &KeyPem,
    old: &Certificate,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<Certificate, AuthorityError> {
    let new = signed(old, signer, not_before, not_after)?;
    new.check_signed_by(authority).map_err(|error| not_made(&error))?;
    Ok(new)
}

/// Name, key and extensions stay as they are, so that what it issued before leads to either certificate.
pub(super) fn root(
    old: &Certificate,
    key: &KeyPem,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<Certificate, AuthorityError> {
    if old.extensions().authority_key.as_ref().is_some_and(|named| named.serial.is_some()) {
        return Err(not_made("its own identifier names its serial number, which changes"));
    }
    let new = signed(old, key, not_before, not_after)?;
    new.check_signed_by(&new).map_err(|error| not_made(&error))?;
    Ok(new)
}

fn signed(
    old: &Certificate,
    key: &KeyPem,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<Certificate, AuthorityError> {
    let (begin, end) = (whole_second(not_before)?, whole_second(not_after)?);
    if end <= begin {
        return Err(AuthorityError::NeverValid { not_before, not_after });
    }
    let algorithm = algorithm_of(key)?;
    let broken = || not_made("the certificate cannot be taken apart");
    let signed = with(old.der(), &algorithm, begin, end)?.ok_or_else(broken)?;
    let signature = key.pair()?.sign(&signed).map_err(|error| not_made(&error))?;
    let mut bits = vec![0];
    bits.extend(signature);
    let whole = element(SEQUENCE, &[signed, algorithm, element(BIT_STRING, &bits)].concat());
    Certificate::from_der(&whole).map_err(|error| not_made(&error))
}

/// The signed part with another serial number, algorithm and validity (RFC 5280 section 4.1).
fn with(
    certificate: &[u8],
    algorithm: &[u8],
    begin: OffsetDateTime,
    end: OffsetDateTime,
) -> Result<Option<Vec<u8>>, AuthorityError> {
    let serial = element(INTEGER, &random_serial()?);
    let validity = element(SEQUENCE, &[moment(begin)?, moment(end)?].concat());
    let put_together = || {
        let (outer, _) = expect(certificate, SEQUENCE)?;
        let (signed, _) = expect(outer.content, SEQUENCE)?;
        let (version, rest) = expect(signed.content, VERSION)?;
        let (_serial, rest) = expect(rest, INTEGER)?;
        let (_algorithm, rest) = expect(rest, SEQUENCE)?;
        let (issuer, rest) = expect(rest, SEQUENCE)?;
        let (_validity, rest) = expect(rest, SEQUENCE)?;
        let content = [version.whole, &serial, algorithm, issuer.whole, &validity, rest].concat();
        Some(element(SEQUENCE, &content))
    };
    Ok(put_together())
}

/// UTCTime to 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5).
fn moment(time: OffsetDateTime) -> Result<Vec<u8>, AuthorityError> {
    let (tag, text) = if (1950..2050).contains(&time.year()) {
        let form = format_description!("[year repr:last_two][month][day][hour][minute][second]Z");
        (UTC_TIME, time.format(form))
    } else {
        (GENERALIZED_TIME, time.format(format_description!("[year][month][day][hour][minute][second]Z")))
    };
    Ok(element(tag, text.map_err(|_| AuthorityError::DateOutOfRange(time))?.as_bytes()))
}

/// The algorithm with which this key signs, as the encoder writes it: cut out of something that it has signed.
fn algorithm_of(key: &KeyPem) -> Result<Vec<u8>, AuthorityError> {
    let pair = key.pair()?;
    let sample = CertificateParams::default().self_signed(&*pair).map_err(|error| not_made(&error))?;
    let cut_out = || {
        let (outer, _) = expect(sample.der(), SEQUENCE)?;
        let (_, rest) = expect(outer.content, SEQUENCE)?;
        let (algorithm, _) = expect(rest, SEQUENCE)?;
        expect(algorithm.content, OID)?;
        Some(algorithm.whole.to_vec())
    };
    cut_out().ok_or_else(|| not_made("the encoder wrote no algorithm"))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::{AuthorityRequest, CertificateAuthority, LeafRequest};
    use super::*;
    use crate::key::KeyType;
    use crate::{Purpose, verify_chain};

    #[test]
    fn a_renewed_root_is_the_same_but_for_its_number_and_dates() {
        let now = OffsetDateTime::now_utc();
        for (kind, name) in
            KeyType::ALL.into_iter().zip(["CN=a", "CN=b,O=Ünited,C=DE", "CN=c", "CN=d", "CN=e"])
        {
            let request = AuthorityRequest {
                subject: name.parse().unwrap(),
                key_type: kind,
                not_before: now - Duration::days(20),
                not_after: now - Duration::days(10),
                permitted: Some("example.org".parse().unwrap()),
            };
            let old = CertificateAuthority::create(&request).unwrap();
            let new = old.renewed(now, now + Duration::days(40_000)).unwrap();
            let (before, after) = (old.certificate(), new.certificate());
            assert_ne!(before.serial_hex(), after.serial_hex());
            assert_eq!(after.not_after().year(), (now + Duration::days(40_000)).year());
            assert_eq!(before.subject().der(), after.subject().der());
            assert_eq!(before.extensions(), after.extensions());
            assert_eq!(before.spki_der(), after.spki_der());
            let leaf = new
                .issue_server(&LeafRequest {
                    subject: None,
                    sans: vec!["db.example.org".parse().unwrap()],
                    key_type: KeyType::EcdsaP256,
                    not_before: now,
                    not_after: now + Duration::days(5),
                })
                .unwrap();
            let roots = [after.clone()];
            verify_chain(&leaf.certificate, &[], &roots, now + Duration::days(1), Purpose::Server).unwrap();
        }
    }
}
