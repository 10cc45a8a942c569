//! What clients would make of the chain that was served. Pure: roots and time are passed in.

use std::net::IpAddr;

use pgseal_pki::{
    Certificate, ChainFault, ChainRefusal, LibpqRules, Purpose, libpq_matches, order_of, strict_matches,
    strict_verify_chain, verify_chain,
};
use pgseal_wire::Roots;
use time::OffsetDateTime;

/// Whom we trust.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// `--sslrootcert`, where it was given.
    pub(crate) asked: Option<Roots>,
    /// The system's store, where it could be read.
    pub(crate) system: Option<Roots>,
}

/// What clients would make of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// By `--sslrootcert`: what it is called, and why not.
    pub(crate) asked: Option<(String, Result<(), String>)>,
    /// By the system's store; None where that could not be read.
    pub(crate) system: Option<Result<(), String>>,
    /// rustls with the roots that were asked for, or else the system's.
    pub(crate) strict_chain: Option<Result<(), String>>,
    /// libpq 15 and later, with sslmode=verify-full.
    pub(crate) libpq_name: Result<(), String>,
    /// Go and rustls, asked of webpki: subject alternative names only.
    pub(crate) strict_name: Result<(), String>,
    /// Whether the certificates stand in the order that TLS asks for (RFC 8446, 4.4.2).
    pub(crate) in_order: bool,
    /// Issuers that were served.
    pub(crate) intermediates: usize,
    /// Served certificates that belong to no chain of the leaf.
    pub(crate) strangers: usize,
    /// Whether the last of the path is a root, which nobody needs to be served.
    pub(crate) root_served: bool,
    /// Whether an issuer is missing between what was served and a root.
    pub(crate) complete: Option<bool>,
}

/// Of a chain as served, the leaf first; None of an empty one.
pub(crate) fn verdict(
    chain: &[Certificate],
    host: &str,
    trust: &Trust,
    now: OffsetDateTime,
) -> Option<Verdict> {
    let (leaf, others) = chain.split_first()?;
    let verify = |roots: &Roots| verify_chain(leaf, others, roots.certificates(), now, Purpose::Server);
    let asked = trust.asked.as_ref().map(|roots| (roots, verify(roots)));
    let system = trust.system.as_ref().map(verify);
    let order = order_of(leaf, others);
    let last = order.issuers.last().and_then(|index| others.get(*index)).unwrap_or(leaf);
    let judged = asked.as_ref().map(|(_, result)| result).or(system.as_ref());
    let said = |result: &Result<_, ChainRefusal>| result.as_ref().map(|_| ()).map_err(ToString::to_string);
    Some(Verdict {
        complete: complete(last, judged),
        root_served: !order.issuers.is_empty() && last.self_signed(),
        in_order: order.issuers.is_sorted() && order.strangers.is_empty(),
        intermediates: order.issuers.len() - usize::from(!order.issuers.is_empty() && last.self_signed()),
        strangers: order.strangers.len(),
        strict_chain: trust.asked.as_ref().or(trust.system.as_ref()).map(|roots| {
            strict_verify_chain(leaf, others, roots.certificates(), now).map_err(|e| e.to_string())
        }),
        libpq_name: libpq_matches(leaf, host, LibpqRules::default()).map_err(|error| error.to_string()),
        strict_name: strict_matches(leaf, host).map_err(|error| error.to_string()),
        system: system.as_ref().map(said),
        asked: asked.map(|(roots, result)| (roots.described_as().to_owned(), said(&result))),
    })
}

/// A path that ends at a root is complete. One whose last issuer is nobody that we know may end just below a root of
/// somebody else's: that cannot be told.
fn complete<T>(last: &Certificate, judged: Option<&Result<T, ChainRefusal>>) -> Option<bool> {
    if last.self_signed() || matches!(judged, Some(Ok(_))) {
        return Some(true);
    }
    match judged {
        Some(Err(refusal)) if !matches!(refusal.fault(), ChainFault::UnknownIssuer { .. }) => Some(true),
        _ => None,
    }
}

/// Whether clients name the server by an address.
pub(crate) fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}
