//! Finds the path from a leaf to a trusted root, as OpenSSL 3.0's `build_chain` with
//! `X509_V_FLAG_TRUSTED_FIRST` does. No signature is checked here.

use time::OffsetDateTime;

use super::{ChainFault, ChainRefusal, MAX_PRESENTED, points_to};
use crate::certificate::Certificate;

/// The most certificates on a path: the leaf and 100 issuers.
const MAX_PATH: usize = MAX_PRESENTED + 1;

/// Leaf first, trusted self-signed root last.
pub(super) fn path<'a>(
    leaf: &'a Certificate,
    presented: &'a [Certificate],
    roots: &'a [Certificate],
    now: OffsetDateTime,
) -> Result<Vec<&'a Certificate>, ChainRefusal> {
    let mut walk = Walk { path: vec![leaf], trusted: 0, pool: presented.iter().collect() };
    loop {
        match walk.towards_a_root(roots, now) {
            Step::Arrived => return Ok(walk.path),
            Step::Further => {}
            Step::Stuck if walk.trusted == 0 && walk.take_presented(now) => {}
            Step::Stuck => return Err(walk.refusal(leaf)),
        }
    }
}

struct Walk<'a> {
    path: Vec<&'a Certificate>,
    /// How many at the end of the path come from the trusted ones.
    trusted: usize,
    pool: Vec<&'a Certificate>,
}

enum Step {
    Arrived,
    Further,
    Stuck,
}

impl<'a> Walk<'a> {
    fn last(&self, leaf: &'a Certificate) -> &'a Certificate {
        self.path.last().copied().unwrap_or(leaf)
    }

    /// Looks for the issuer of the last certificate among the trusted ones.
    fn towards_a_root(&mut self, roots: &'a [Certificate], now: OffsetDateTime) -> Step {
        let Some(current) = self.path.last().copied() else {
            return Step::Stuck;
        };
        if self.path.len() > MAX_PATH {
            return Step::Stuck;
        }
        let candidates = roots.iter().filter(|root| points_to(current, root));
        let Some(issuer) = best(candidates, now) else {
            return Step::Stuck;
        };
        if current.self_signed() {
            // Only the very same certificate will do: another of the same name may be a mimic.
            return if current == issuer { Step::Arrived } else { Step::Stuck };
        }
        self.path.push(issuer);
        self.trusted += 1;
        if issuer.self_signed() { Step::Arrived } else { Step::Further }
    }

    /// Lengthens the path by a presented issuer; false where there is none.
    fn take_presented(&mut self, now: OffsetDateTime) -> bool {
        let Some(current) = self.path.last().copied() else {
            return false;
        };
        if current.self_signed() || self.path.len() > MAX_PATH {
            return false;
        }
        let may_repeat = current.self_issued() && self.path.len() == 1;
        let candidates = self.pool.iter().copied().filter(|candidate| {
            points_to(current, candidate) && (may_repeat || !self.path.contains(candidate))
        });
        let Some(issuer) = best(candidates, now) else {
            return false;
        };
        self.pool.retain(|one| !std::ptr::eq(*one, issuer));
        self.path.push(issuer);
        true
    }

    fn refusal(&self, leaf: &'a Certificate) -> ChainRefusal {
        let end = self.last(leaf);
        let depth = self.path.len() - 1;
        let issuer = end.issuer().to_string();
        let fault = if self.path.len() > MAX_PATH {
            ChainFault::ChainTooLong
        } else if end.self_signed() {
            if depth == 0 { ChainFault::SelfSigned } else { ChainFault::UntrustedRoot }
        } else if self.trusted > 0 {
            ChainFault::NotARoot { issuer }
        } else {
            ChainFault::UnknownIssuer { issuer }
        };
        ChainRefusal::new(fault, depth, end)
    }
}

/// The first candidate that is valid now, else the one that expires last.
fn best<'a>(
    candidates: impl Iterator<Item = &'a Certificate>,
    now: OffsetDateTime,
) -> Option<&'a Certificate> {
    let mut latest: Option<&Certificate> = None;
    for candidate in candidates {
        if super::check::date(candidate, now).is_ok() {
            return Some(candidate);
        }
        if latest.is_none_or(|found| candidate.not_after() > found.not_after()) {
            latest = Some(candidate);
        }
    }
    latest
}
