//! A certificate that came back from elsewhere with its chain: put in order, what is missing named, what does not
//! belong taken out. Pure.

use pgseal_pki::{Certificate, order_of};

/// What a file of certificates turned out to be.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) leaf: Certificate,
    /// The intermediates, the leaf's own issuer first.
    pub(crate) intermediates: Vec<Certificate>,
    /// The root, where it was among them. Clients hold it; it is not sent.
    pub(crate) root: Option<Certificate>,
    /// Certificates that do not belong to the chain.
    pub(crate) strangers: Vec<Certificate>,
    /// Whether the order was another one.
    pub(crate) was_in_disorder: bool,
}

/// Puts the certificates in order. `is_leaf` tells which one it is all about; without one the first.
pub(crate) fn ordered(
    certificates: &[Certificate],
    is_leaf: impl Fn(&Certificate) -> bool,
) -> Option<Ordered> {
    let at = certificates.iter().position(is_leaf).unwrap_or(0);
    let leaf = certificates.get(at)?.clone();
    let order = order_of(&leaf, certificates);
    let chain: Vec<Certificate> =
        order.issuers.iter().filter_map(|index| certificates.get(*index)).cloned().collect();
    let strangers = order
        .strangers
        .iter()
        .filter_map(|index| certificates.get(*index))
        .filter(|one| !chain.contains(one))
        .cloned()
        .collect();
    let as_it_was: Vec<&Certificate> = certificates.iter().collect();
    let as_it_is: Vec<&Certificate> = std::iter::once(&leaf).chain(&chain).collect();
    let was_in_disorder = !as_it_was.starts_with(&as_it_is);
    let (roots, intermediates): (Vec<_>, Vec<_>) = chain.into_iter().partition(Certificate::self_signed);
    Some(Ordered { leaf, intermediates, root: roots.into_iter().next(), strangers, was_in_disorder })
}

impl Ordered {
    /// The last certificate that is sent.
    pub(crate) fn last(&self) -> &Certificate {
        self.intermediates.last().unwrap_or(&self.leaf)
    }
}
