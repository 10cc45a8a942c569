//! Whom clients have to trust, before and after. They hold a root, whatever stands between it and the leaf. Pure.

use pgseal_pki::{Certificate, order_of, read_bundle};

use super::certificate::New;
use super::facts::Facts;
use super::plan::own_authority;

/// Whether clients that verify what is served now may refuse what is to come. What is served is what the wire
/// showed: the files may hold another certificate by now, or a key that no reload takes.
pub(crate) fn trust_changes(facts: &Facts, new: &New) -> bool {
    let Some((leaf, others)) = facts.served.split_first() else { return false };
    let chain = chain_of(new);
    let (before, after) = (topmost(leaf, others), topmost(&new.issued.certificate, &chain));
    let known = new.authority.iter().cloned().chain(own_authority(facts, leaf));
    !same_signer(before, after, &known.collect::<Vec<_>>())
}

/// Whether one key has signed both, as far as that shows: an issuer of the same name may have another. Where its own
/// certificate is not at hand, the identifier of its key tells (RFC 5280, 4.2.1.1); where that is missing, nothing does.
fn same_signer(before: &Certificate, after: &Certificate, known: &[Certificate]) -> bool {
    if !before.issuer().same_as(after.issuer()) {
        return false;
    }
    let mut named = known.iter().filter(|root| root.subject().same_as(before.issuer())).peekable();
    if named.peek().is_some() {
        return named.any(|root| before.check_signed_by(root).is_ok() && after.check_signed_by(root).is_ok());
    }
    match (before.authority_key_id(), after.authority_key_id()) {
        (Some(before), Some(after)) => before == after,
        _ => false,
    }
}

/// What is sent beside the leaf.
pub(crate) fn chain_of(new: &New) -> Vec<Certificate> {
    read_bundle(new.issued.chain_pem.as_bytes()).map(|bundle| bundle.certificates).unwrap_or_default()
}

fn topmost<'c>(leaf: &'c Certificate, others: &'c [Certificate]) -> &'c Certificate {
    let order = order_of(leaf, others);
    let mut issuers = order.issuers.iter().filter_map(|index| others.get(*index));
    issuers.rfind(|one| !one.self_signed()).unwrap_or(leaf)
}
