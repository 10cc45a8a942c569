//! Is anybody let in without TLS? Asked with a startup packet in the clear, and ended at the first
//! answer: nothing is ever sent that the server asks for.

use std::net::IpAddr;

use pgseal_wire::message::{Replication, SqlState};
use pgseal_wire::{Encryption, FirstAnswer, open};

use super::claim::{Claim, ClaimName, Proof};
use super::subject::Subject;

/// What one plaintext attempt met.
pub(super) enum Met {
    /// Refused by pg_hba.conf: SQLSTATE 28000.
    Refused(String),
    /// Let in as far as authentication, or further.
    LetIn(String),
    CannotTell(String),
}

/// An address family: its name, its addresses, and the claims about databases and replication.
type Family = (&'static str, fn(&IpAddr) -> bool, [ClaimName; 2]);

/// The four claims: IPv4 and IPv6, databases and replication.
pub(super) async fn claims(subject: &Subject, proof: &mut Proof) {
    let families: [Family; 2] = [
        (
            "IPv4",
            IpAddr::is_ipv4,
            [ClaimName::PlaintextRefusedIpv4, ClaimName::ReplicationPlaintextRefusedIpv4],
        ),
        (
            "IPv6",
            IpAddr::is_ipv6,
            [ClaimName::PlaintextRefusedIpv6, ClaimName::ReplicationPlaintextRefusedIpv6],
        ),
    ];
    for (family, belongs, [database, replication]) in families {
        let addresses: Vec<IpAddr> = subject.addresses.iter().copied().filter(belongs).collect();
        for (name, kind) in [(database, Replication::No), (replication, Replication::Physical)] {
            if addresses.is_empty() {
                proof.leave_out(name, format!("{} has no {family} address here", subject.host));
            } else {
                proof.add(on_all(subject, &addresses, name, kind).await);
            }
        }
    }
}

async fn on_all(subject: &Subject, addresses: &[IpAddr], name: ClaimName, kind: Replication) -> Claim {
    let mut refused = Vec::new();
    let mut unknown = None;
    for ip in addresses {
        match attempt(subject, *ip, kind).await {
            Met::Refused(said) => refused.push(format!("{ip}: {said}")),
            Met::LetIn(said) => {
                return Claim::fails(name, format!("{ip}: {said}"), "a connection without TLS is let in");
            }
            Met::CannotTell(why) => unknown = Some(format!("{ip}: {why}")),
        }
    }
    match unknown {
        Some(why) => Claim::cannot_tell(name, why),
        None => Claim::holds(name, refused.join("; ")),
    }
}

/// One startup packet in the clear.
pub(super) async fn attempt(subject: &Subject, ip: IpAddr, kind: Replication) -> Met {
    let channel = match open(&subject.route(ip), Encryption::Plaintext).await {
        Ok(channel) => channel,
        Err(error) => return Met::CannotTell(error.to_string()),
    };
    match channel.ask(&subject.startup(kind)).await {
        Ok(FirstAnswer::Refused(error)) if error.is(SqlState::INVALID_AUTHORIZATION) => {
            Met::Refused(format!("28000 {}", error.message))
        }
        // Anything but hba's own refusal says nothing about pg_hba.conf: full, starting, a pooler.
        Ok(FirstAnswer::Refused(error)) => Met::CannotTell(error.to_string()),
        Ok(FirstAnswer::Asked(request)) => Met::LetIn(format!("the server answered with {request}")),
        Err(error) => Met::CannotTell(error.to_string()),
    }
}
