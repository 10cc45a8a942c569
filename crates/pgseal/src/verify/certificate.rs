//! The certificate as served: the one that was issued, chained, valid, for every promised name.

use pgseal_pki::{Certificate, LibpqRules, Purpose, libpq_matches, verify_chain};
use time::OffsetDateTime;
use time::macros::format_description;

use super::claim::{Claim, ClaimName, Proof};
use super::subject::{Issued, Subject, Trusted};
use super::tls::Seen;

const NAMES: [ClaimName; 4] =
    [ClaimName::CertificateAsIssued, ClaimName::ChainVerified, ClaimName::ValidNow, ClaimName::NamesMatch];

/// The four claims about the certificate. What comes back is trust in it, where chain and names hold.
pub(super) fn claims(
    subject: &Subject,
    seen: &[Seen],
    now: OffsetDateTime,
    proof: &mut Proof,
) -> Option<Trusted> {
    let chains: Vec<&[Certificate]> =
        seen.iter().filter_map(|seen| Some(seen.outcome.as_ref().ok()?.chain.as_slice())).collect();
    let Some((leaf, presented)) = chains.first().and_then(|chain| chain.split_first()) else {
        for name in NAMES {
            proof.add(Claim::cannot_tell(name, "no certificate was served"));
        }
        return None;
    };
    let other = chains
        .iter()
        .filter_map(|chain| chain.first())
        .find(|other| other.fingerprint() != leaf.fingerprint());
    as_issued(subject, leaf, other, proof);
    let chained = chain(subject, leaf, presented, now, proof);
    dates(leaf, now, proof);
    let named = names(subject, leaf, proof);
    (chained && named && other.is_none()).then(|| Trusted::after_verification_of(leaf))
}

fn as_issued(subject: &Subject, leaf: &Certificate, other: Option<&Certificate>, proof: &mut Proof) {
    let name = ClaimName::CertificateAsIssued;
    let served = format!("sha256 {}", leaf.fingerprint());
    if let Some(other) = other {
        let evidence = format!("{served} and {}", other.fingerprint());
        proof.add(Claim::fails(name, evidence, "its addresses serve different certificates"));
        return;
    }
    match &subject.issued {
        Issued::This(expected) if *expected == leaf.fingerprint() => {
            proof.add(Claim::holds(name, format!("{served} = the certificate issued to it")));
        }
        Issued::Installed(expected) if *expected == leaf.fingerprint() => {
            proof.add(Claim::holds(name, format!("{served} = the certificate in its files")));
        }
        Issued::This(expected) | Issued::Installed(expected) => {
            let reason = format!("the certificate that it should serve is {expected}");
            proof.add(Claim::fails(name, format!("{served} is served"), reason));
        }
        Issued::Unreadable(why) => proof.add(Claim::cannot_tell(name, why.clone())),
        Issued::ByOthers => proof.leave_out(name, "pgseal did not issue this server's certificate"),
    }
}

fn chain(
    subject: &Subject,
    leaf: &Certificate,
    presented: &[Certificate],
    now: OffsetDateTime,
    proof: &mut Proof,
) -> bool {
    let name = ClaimName::ChainVerified;
    let roots = match &subject.roots {
        Ok(roots) => roots,
        Err(why) => {
            proof.add(Claim::cannot_tell(name, why.clone()));
            return false;
        }
    };
    match verify_chain(leaf, presented, roots.certificates(), now, Purpose::Server) {
        Ok(path) => {
            let length = path.path().len();
            proof.add(Claim::holds(name, format!("{length} certificates, to {}", roots.described_as())));
            true
        }
        Err(refusal) => {
            let evidence = format!("issuer {}", leaf.issuer());
            proof.add(Claim::fails(name, evidence, format!("not to {}: {refusal}", roots.described_as())));
            false
        }
    }
}

fn dates(leaf: &Certificate, now: OffsetDateTime, proof: &mut Proof) {
    let day = format_description!("[year]-[month]-[day]");
    let show = |date: OffsetDateTime| date.format(day).unwrap_or_else(|_| date.unix_timestamp().to_string());
    let evidence = format!("{} to {}", show(leaf.not_before()), show(leaf.not_after()));
    let name = ClaimName::ValidNow;
    proof.add(if now < leaf.not_before() {
        Claim::fails(name, evidence, "not yet valid")
    } else if now > leaf.not_after() {
        Claim::fails(name, evidence, "expired")
    } else {
        Claim::holds(name, format!("{evidence} ({} days left)", leaf.days_left(now)))
    });
}

/// Claims every promised name; what comes back is whether it is for the one that is connected to.
fn names(subject: &Subject, leaf: &Certificate, proof: &mut Proof) -> bool {
    let matches = |name: &str| libpq_matches(leaf, name, LibpqRules { ip_sans: true });
    let refusals: Vec<String> = subject
        .names
        .iter()
        .filter_map(|name| matches(name).err())
        .map(|refusal| refusal.to_string())
        .collect();
    proof.add(if refusals.is_empty() {
        Claim::holds(ClaimName::NamesMatch, subject.names.join(", "))
    } else {
        Claim::fails(ClaimName::NamesMatch, subject.names.join(", "), refusals.join("; "))
    });
    matches(&subject.host).is_ok()
}
