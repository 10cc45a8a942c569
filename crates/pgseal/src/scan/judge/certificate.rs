//! The certificate: its dates, names, key and signature, and the chain around it.

use pgseal_pki::Certificate;
use pgseal_pki::public_key::KeyKind;
use pgseal_wire::tls::{EndPointBinding, NoBinding};
use time::OffsetDateTime;

use super::super::chain::{Verdict, is_address};
use super::super::scanned::Scanned;
use crate::findings::{Finding, Severity};
use crate::report::certificate::SOON_DAYS;

/// Days: sooner is high, unless its renewal has only just come due.
const VERY_SOON: i64 = 14;
/// Bits of an RSA key below which it is weak (NIST SP 800-57).
const RSA_BITS: usize = 2048;

pub(super) fn findings(scanned: &Scanned, now: OffsetDateTime) -> Vec<Finding> {
    let mut all = Vec::new();
    let target = &scanned.target.label;
    for (place, why) in &scanned.known.unreadable {
        all.push(Finding::new("certificate-unreadable", format!("certificate {place}: {why}"), target));
    }
    let Some(leaf) = scanned.known.leaf() else {
        return all;
    };
    dates(leaf, now, target, &mut all);
    let mut find = |name: &'static str, evidence: String| all.push(Finding::new(name, evidence, target));
    if let Some(verdict) = &scanned.verdict {
        trust(leaf, verdict, &mut find);
        names(scanned, leaf, verdict, &mut find);
    }
    strength(scanned, leaf, &mut find);
    all
}

fn dates(leaf: &Certificate, now: OffsetDateTime, target: &str, all: &mut Vec<Finding>) {
    let day = |time: OffsetDateTime| time.date().to_string();
    let left = leaf.days_left(now);
    if now < leaf.not_before() {
        all.push(Finding::new(
            "certificate-not-yet-valid",
            format!("from {}", day(leaf.not_before())),
            target,
        ));
    } else if left < 0 {
        all.push(Finding::new(
            "certificate-expired",
            format!("on {}, {} days ago", day(leaf.not_after()), -left),
            target,
        ));
    } else if leaf.expires_within(SOON_DAYS, now) {
        let finding = Finding::new(
            "certificate-expiring",
            format!("in {left} days ({})", day(leaf.not_after())),
            target,
        );
        let late = left < VERY_SOON && leaf.overdue(now);
        all.push(if late { finding.at(Severity::High) } else { finding });
    }
}

fn trust(leaf: &Certificate, verdict: &Verdict, find: &mut impl FnMut(&'static str, String)) {
    if let Some((roots, Err(why))) = &verdict.asked
        // Dates have findings of their own.
        && !why.contains("expired")
        && !why.contains("not valid yet")
    {
        find("certificate-untrusted", format!("by {roots}: {why}"));
    }
    if leaf.self_signed() && verdict.intermediates == 0 {
        find("certificate-self-signed", format!("{} signed itself", leaf.subject()));
    }
    if !verdict.in_order {
        let strangers = match verdict.strangers {
            0 => "the issuers stand in another order".to_owned(),
            1 => "1 certificate does not belong to the chain".to_owned(),
            more => format!("{more} certificates do not belong to the chain"),
        };
        find("chain-unordered", strangers);
    }
    if verdict.root_served {
        find("root-in-chain", "the last certificate is a root".to_owned());
    }
}

fn names(
    scanned: &Scanned,
    leaf: &Certificate,
    verdict: &Verdict,
    find: &mut impl FnMut(&'static str, String),
) {
    let host = &scanned.target.host;
    match (&verdict.libpq_name, &verdict.strict_name) {
        (Err(why), _) if is_address(host) => find("certificate-address-not-named", why.clone()),
        (Err(why), _) => find("certificate-name-mismatch", why.clone()),
        // Version 1 and CA:TRUE have findings of their own.
        (Ok(()), Err(_)) if leaf.version() < 3 || leaf.is_ca() => {}
        (Ok(()), Err(why)) => find("certificate-name-by-common-name", why.clone()),
        (Ok(()), Ok(())) => {}
    }
    if leaf.version() < 3 {
        find("certificate-version-1", format!("X.509 v{}", leaf.version()));
    } else if leaf.is_ca() && !leaf.self_signed() {
        find("certificate-is-ca", "basic constraints say CA:TRUE".to_owned());
    }
}

fn strength(scanned: &Scanned, leaf: &Certificate, find: &mut impl FnMut(&'static str, String)) {
    for (place, certificate) in scanned.known.chains.iter().flatten().enumerate() {
        if let KeyKind::Rsa(bits) = certificate.public_key().kind()
            && *bits < RSA_BITS
        {
            find("key-weak", format!("certificate {} has RSA of {bits} bits", place + 1));
        }
        let signature = certificate.signature_algorithm().to_ascii_lowercase();
        // A root is trusted for itself: its signature is looked at by nobody.
        if (signature.contains("md5") || signature.contains("sha1")) && !certificate.self_signed() {
            find(
                "certificate-weak-signature",
                format!("certificate {} is signed with {signature}", place + 1),
            );
        }
    }
    let weak_leaf = leaf.signature_algorithm().to_ascii_lowercase();
    if leaf.self_signed() && (weak_leaf.contains("md5") || weak_leaf.contains("sha1")) {
        find("certificate-weak-signature", format!("it is signed with {weak_leaf}"));
    }
    if let Err(NoBinding::NoHash(algorithm)) = EndPointBinding::of_leaf(leaf) {
        find("channel-binding-impossible", format!("it is signed with {algorithm}"));
    }
}
