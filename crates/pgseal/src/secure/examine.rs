//! The proof of a server as it stands, for `pgseal verify`: nothing is planned and nothing changed.

use std::net::IpAddr;

use pgseal_pki::Certificate;
use time::OffsetDateTime;

use super::clients;
use super::observe::observe;
use super::plan::own_authority;
use super::prove::subject_of;
use super::restart;
use crate::failure::{Failure, Result};
use crate::place::{Login, Place};
use crate::target::{Asked, login};
use crate::verify::claim::{Claim, ClaimName, Proof};
use crate::verify::prove_with;
use crate::verify::subject::Subject;

/// Every claim about the server of a data directory or a cluster, seen from inside and outside.
pub(crate) async fn examine(place: &mut Place, asked: &Asked) -> Result<(Subject, Proof)> {
    let server = place.running().await?;
    let who = login(place, &server, asked)?;
    let inside = place.session(&server, &who).await?;
    let facts = observe(place, &server, &inside, &who).await?;
    let present = facts.certificate.as_ref().map_err(|why| {
        Failure::stopped(format!("{} has no certificate to serve: {why}", place.data.display()))
            .hint(format!("pgseal secure {}", place.word))
    })?;
    if facts.addresses.is_empty() {
        return Err(Failure::stopped(format!("the server of {} listens on no TCP address", place.word)));
    }
    let authority = own_authority(&facts, &present.leaf);
    let subject = subject_of(&facts, &present.leaf, Vec::new(), authority.as_ref(), &who);
    let subject = Subject { wants_certificates: clients::are_asked(&facts, &who), ..subject };
    let mut proof = prove_with(&subject, Some(&inside), OffsetDateTime::now_utc()).await?;
    proof.add(restart::claim(place, &inside, &present.leaf).await);
    proof.add(Claim::holds(ClaimName::LocalLogin, format!("{} over {}", who.username, inside.peer())));
    inside.close().await;
    Ok((subject, proof))
}

/// What clients of a server on this machine need to know of it.
pub(crate) struct Seen {
    /// The first name that its certificate is for; an address where it has none.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where it is reached from here.
    pub(crate) address: Option<IpAddr>,
    /// The CA that lies beside its certificate and signed it.
    pub(crate) authority: Option<Certificate>,
    pub(crate) who: Login,
}

/// Looks at a server from inside, whether it has a certificate or not.
pub(crate) async fn seen_by_clients(place: &mut Place, asked: &Asked) -> Result<Seen> {
    let server = place.running().await?;
    let who = login(place, &server, asked)?;
    let inside = place.session(&server, &who).await?;
    let facts = observe(place, &server, &inside, &who).await?;
    inside.close().await;
    let Some(address) = facts.addresses.first().copied() else {
        return Err(Failure::stopped(format!("the server of {} listens on no TCP address", place.word)));
    };
    let Ok(present) = &facts.certificate else {
        return Ok(Seen {
            host: address.to_string(),
            port: facts.port,
            address: Some(address),
            authority: None,
            who,
        });
    };
    let authority = own_authority(&facts, &present.leaf);
    let subject = subject_of(&facts, &present.leaf, Vec::new(), authority.as_ref(), &who);
    Ok(Seen { host: subject.host, port: facts.port, address: Some(address), authority, who })
}
