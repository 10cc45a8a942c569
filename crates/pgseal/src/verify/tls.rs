//! Does it offer TLS, and what is agreed on? One handshake an address, with nothing verified yet, so
//! that the certificate is seen whatever it is.

use std::net::SocketAddr;

use pgseal_wire::tls::{Check, TlsFacts};
use pgseal_wire::{OpenError, SslNegotiation, open};

use super::claim::{Claim, ClaimName, Proof};
use super::subject::Subject;
use crate::failure::{Failure, Result};

/// What one address showed.
pub(super) struct Seen {
    pub(super) address: SocketAddr,
    pub(super) outcome: Result<TlsFacts, OpenError>,
}

/// Looks at every address. An error only when none of them can be reached at all.
pub(super) async fn look(subject: &Subject) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    for ip in &subject.addresses {
        let encryption = subject.tls(Check::None);
        let outcome = match open(&subject.route(*ip), encryption).await {
            Ok(channel) => {
                let facts = channel.tls().cloned();
                channel.close().await;
                facts.ok_or_else(|| Failure::new("a TLS connection came without its facts")).map(Ok)?
            }
            Err(error) => Err(error),
        };
        all.push(Seen { address: subject.socket(*ip), outcome });
    }
    let unreachable = |seen: &Seen| seen.outcome.as_ref().is_err_and(OpenError::is_unreachable);
    match all.first() {
        Some(Seen { address, outcome: Err(error) }) if all.iter().all(unreachable) => {
            Err(Failure::new(format!("could not reach {address}: {error}"))
                .hint("check that the server runs and that the port is right"))
        }
        None => Err(Failure::new(format!("the host {} has no address to look at", subject.host))),
        _ => Ok(all),
    }
}

/// The two claims of the handshake itself.
pub(super) fn claims(seen: &[Seen], negotiation: SslNegotiation, proof: &mut Proof) {
    let places: Vec<String> = seen.iter().map(|seen| seen.address.to_string()).collect();
    // An error names its place itself.
    let refused: Vec<String> =
        seen.iter().filter_map(|seen| Some(seen.outcome.as_ref().err()?.to_string())).collect();
    if refused.is_empty() {
        let how = match negotiation {
            SslNegotiation::Postgres => "S to SSLRequest",
            SslNegotiation::Direct => "direct TLS",
        };
        proof.add(Claim::holds(ClaimName::TlsOffered, format!("{how} on {}", places.join(", "))));
    } else {
        proof.add(Claim::fails(ClaimName::TlsOffered, refused.join("; "), "no TLS connection could be made"));
    }
    // The oldest version met anywhere is the one that counts. rustls speaks nothing below 1.2.
    let weakest = seen.iter().filter_map(|seen| seen.outcome.as_ref().ok()).min_by_key(|facts| facts.version);
    proof.add(match weakest {
        Some(facts) => {
            let group = facts.group.map(|group| format!(" {group}")).unwrap_or_default();
            Claim::holds(
                ClaimName::TlsVersion,
                format!("{} {}{group} on the wire", facts.version, facts.suite),
            )
        }
        None => Claim::cannot_tell(ClaimName::TlsVersion, "no handshake was completed"),
    });
}
