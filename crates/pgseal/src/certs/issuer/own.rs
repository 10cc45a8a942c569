//! A CA of one's own.

use std::path::Path;

use pgseal_pki::public_key::KeyKind;
use pgseal_pki::{
    Certificate, CertificateAuthority, ClientRequest, KeyType, LeafRequest, Purpose, read_bundle,
};
use time::{Duration, OffsetDateTime};

use super::{Answer, Answering, Issuer, Order, Signed};
use crate::failure::{Failure, Result};

/// A clock a little behind ours must not find a fresh certificate "not yet valid".
const BACKDATED: Duration = Duration::minutes(5);

pub(crate) struct OwnAuthority<'a> {
    pub(crate) authority: &'a CertificateAuthority,
    /// Where it lies, for messages.
    pub(crate) folder: &'a Path,
    /// Whether a life past the CA's own end is cut, or refused since a person asked for it.
    pub(crate) may_cut: bool,
}

impl Issuer for OwnAuthority<'_> {
    fn issue<'i>(&'i self, order: &'i Order, now: OffsetDateTime) -> Answering<'i> {
        Box::pin(async move { self.sign(order, now).map(|signed| Answer::Issued(Box::new(signed))) })
    }
}

impl OwnAuthority<'_> {
    /// Issues at once.
    pub(crate) fn sign(&self, order: &Order, now: OffsetDateTime) -> Result<Signed> {
        in_its_time(self.authority, self.folder, now)?;
        let (wished, end) = (now + order.life, self.authority.valid_until());
        let too_long = wished > end;
        if too_long && !self.may_cut {
            return Err(Failure::usage(format!(
                "a certificate never outlives its CA, and the one in {} ends on {}",
                self.folder.display(),
                end.date()
            ))
            .because("nothing was changed")
            .hint("a shorter --validity, or a CA that lasts longer"));
        }
        let (not_before, not_after) = (now - BACKDATED, wished.min(end));
        let issued = match order.purpose {
            Purpose::Server => self.authority.issue_server(&LeafRequest {
                subject: order.subject.clone(),
                sans: order.sans.clone(),
                key_type: order.key_type,
                not_before,
                not_after,
            }),
            Purpose::Client => self.authority.issue_client(&ClientRequest {
                subject: order.subject.clone().unwrap_or_default(),
                key_type: order.key_type,
                not_before,
                not_after,
            }),
        };
        let issued = issued.map_err(|error| {
            Failure::new(format!("the CA could not issue a certificate: {error}"))
                .because("nothing was changed")
        })?;
        let chain =
            read_bundle(issued.chain_pem.as_bytes()).map(|bundle| bundle.certificates).unwrap_or_default();
        let root = self.authority.certificate();
        Ok(Signed {
            issued,
            chain,
            root: root.self_signed().then(|| root.clone()),
            cut_short: too_long.then_some(end),
        })
    }
}

/// The kind of a certificate's key, where it is one that is made here.
pub(crate) fn key_type_of(certificate: &Certificate) -> KeyType {
    match certificate.public_key().kind() {
        KeyKind::EcdsaP384 => KeyType::EcdsaP384,
        KeyKind::Rsa(2048) => KeyType::Rsa2048,
        KeyKind::Rsa(3072) => KeyType::Rsa3072,
        KeyKind::Rsa(4096) => KeyType::Rsa4096,
        _ => KeyType::default(),
    }
}

/// Whether it may issue now.
pub(crate) fn in_its_time(
    authority: &CertificateAuthority,
    folder: &Path,
    now: OffsetDateTime,
) -> Result<()> {
    let certificate = authority.certificate();
    if now < certificate.not_before() {
        return Err(Failure::new(format!(
            "the CA in {} is not valid before {}, and this machine's clock says {}",
            folder.display(),
            certificate.not_before().date(),
            now.date()
        ))
        .because("nothing was changed")
        .hint("look at the clock: timedatectl"));
    }
    if now >= authority.valid_until() {
        return Err(Failure::new(format!(
            "the CA in {} expired on {}: nothing that it issues is valid",
            folder.display(),
            authority.valid_until().date()
        ))
        .because("nothing was changed")
        .hint(format!("pgseal cert ca renew {}", folder.display())));
    }
    Ok(())
}
