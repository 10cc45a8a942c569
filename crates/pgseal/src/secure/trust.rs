//! Whom clients have to trust, before and after. They hold a root, whatever stands between it and the leaf. Pure.

use pgseal_pki::{Certificate, order_of, read_bundle};

use super::certificate::New;
use super::facts::Facts;

/// Whether clients that verify what is served now may refuse what is to come. What is served is what the wire
/// showed: the files may hold another certificate by now, or a key that no reload takes.
pub(crate) fn trust_changes(facts: &Facts, new: &New) -> bool {
    let Some((leaf, others)) = facts.served.split_first() else { return false };
    let chain = chain_of(new);
    let (before, after) = (topmost(leaf, others), topmost(&new.issued.certificate, &chain));
    if !before.issuer().same_as(after.issuer()) {
        return true;
    }
    // Of the same name, and perhaps with another key.
    new.authority
        .as_ref()
        .is_some_and(|root| root.subject().same_as(before.issuer()) && before.check_signed_by(root).is_err())
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
