//! What a stage promised, held against the wire and a real session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use pgseal_pki::{Certificate, Fingerprint, LibpqRules, libpq_matches};
use pgseal_wire::{Roots, Session, SslNegotiation};
use time::OffsetDateTime;

use super::admission::kept_out;
use super::clients;
use super::edges;
use super::facts::Facts;
use super::plan::{Plan, StageKind};
use super::settings::{hybrid_of, satisfies};
use super::view;
use crate::failure::Result;
use crate::place::Login;
use crate::sql::text_of;
use crate::verify::claim::{Claim, ClaimName, Proof};
use crate::verify::prove_with;
use crate::verify::subject::{Issued, Subject};

/// The hybrid group that our own handshakes offer, before all others.
const OFFERED: &str = "X25519MLKEM768";

/// What is to be proved of the server after the plan.
pub(crate) fn subject(facts: &Facts, plan: &Plan, who: &Login) -> Subject {
    let promised: Vec<String> = plan.names.iter().map(ToString::to_string).collect();
    let from = facts.addresses.first().and_then(|address| source(*address));
    Subject {
        kept_out: from.and_then(|from| kept_out(facts, plan, who, from)),
        wants_certificates: plan.clients.is_some() || clients::are_asked(facts, who),
        ..subject_of(facts, &plan.leaf, promised, plan.authority.as_ref(), who)
    }
}

/// The address that the server sees when we connect to it, as the system routes it. Nothing is sent.
fn source(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The same for a certificate that is there already. Without names promised its own first one is taken.
pub(crate) fn subject_of(
    facts: &Facts,
    leaf: &Certificate,
    promised: Vec<String>,
    authority: Option<&Certificate>,
    who: &Login,
) -> Subject {
    let matches = |name: &str| libpq_matches(leaf, name, LibpqRules { ip_sans: true }).is_ok();
    let addresses = leaf.ip_addresses().into_iter().map(|ip| ip.to_string());
    let own = leaf.dns_names().into_iter().chain(addresses);
    let host = promised.iter().cloned().chain(own).find(|name| matches(name));
    let host = host.or_else(|| facts.addresses.first().map(ToString::to_string)).unwrap_or_default();
    let fingerprint: Fingerprint = leaf.fingerprint();
    let roots = match authority {
        Some(authority) => Roots::from_certificates("the CA beside it", vec![authority.clone()])
            .map_err(|error| error.to_string()),
        None => Err("whom clients trust is not known here".to_owned()),
    };
    Subject {
        names: if promised.is_empty() { vec![host.clone()] } else { promised },
        host,
        port: facts.port,
        addresses: facts.addresses.clone(),
        roots,
        issued: Issued::Installed(fingerprint),
        negotiation: SslNegotiation::Postgres,
        username: who.username.clone(),
        dbname: who.dbname.clone(),
        password: who.password.clone(),
        certificate: who.certificate.clone(),
        wants_certificates: false,
        kept_out: None,
    }
}

/// Every claim after a stage. `inside` is a session made after the reload.
pub(crate) async fn prove(
    facts: &Facts,
    plan: &Plan,
    who: &Login,
    inside: &Session,
    now: OffsetDateTime,
) -> Result<Proof> {
    let mut proof = prove_with(&subject(facts, plan, who), Some(inside), now).await?;
    proof.add(settings_in_force(facts, plan, inside).await);
    if let (Some(hybrid), Some(address)) = (hybrid_of(&plan.wished), facts.addresses.first()) {
        if hybrid == OFFERED {
            proof.add(post_quantum(&view::exchanged(*address, facts.port).await));
        } else {
            proof.leave_out(ClaimName::PostQuantum, format!("pgseal itself does not speak {hybrid}"));
        }
    }
    proof.add(Claim::holds(
        ClaimName::LocalLogin,
        format!("{} over {}, after the reload", who.username, inside.peer()),
    ));
    proof.add(not_restarted(facts, inside).await);
    Ok(proof)
}

/// What the server says of its files, and what it does: it goes on with the TLS that it had where it could not follow them.
async fn settings_in_force(facts: &Facts, plan: &Plan, inside: &Session) -> Claim {
    let name = ClaimName::SettingsInForce;
    let mut wrong = Vec::new();
    for wish in &plan.wished {
        match text_of(inside, "SELECT current_setting($1)", &[&wish.name]).await {
            Ok(value) if satisfies(wish, &value) => {}
            Ok(value) => wrong.push(format!("{} is {value}, not {}", wish.name, wish.value)),
            Err(why) => return Claim::cannot_tell(name, why),
        }
    }
    if !wrong.is_empty() {
        return Claim::fails(name, wrong.join("; "), "something else beats what was written");
    }
    let Some(address) = facts.addresses.first() else {
        return Claim::cannot_tell(name, "there is no address to try");
    };
    let seen = edges::look(SocketAddr::new(*address, facts.port), &plan.wished).await;
    match seen.wrong() {
        Err(why) => Claim::cannot_tell(name, why),
        Ok(wrong) if !wrong.is_empty() => Claim::fails(
            name,
            wrong.join("; "),
            "the server says that it has the settings, and goes on without",
        ),
        Ok(_) => {
            let refused = seen.refused().join(", ");
            Claim::holds(
                name,
                format!("{} settings in a new session; on the wire refused: {refused}", plan.wished.len()),
            )
        }
    }
}

/// A client that offers it first, as ours does, gets it.
fn post_quantum(exchanged: &Result<String, String>) -> Claim {
    let name = ClaimName::PostQuantum;
    match exchanged {
        Ok(group) if group == OFFERED => Claim::holds(name, format!("{group} on the wire")),
        Ok(group) => {
            Claim::fails(name, format!("{group} on the wire"), format!("{OFFERED} was offered first"))
        }
        Err(why) => Claim::cannot_tell(name, why.clone()),
    }
}

pub(super) async fn not_restarted(facts: &Facts, inside: &Session) -> Claim {
    let name = ClaimName::NotRestarted;
    match text_of(inside, "SELECT pg_postmaster_start_time()::text", &[]).await {
        Ok(started) if started == facts.started => Claim::holds(name, format!("runs since {started}")),
        Ok(started) => {
            Claim::fails(name, format!("runs since {started}"), format!("it ran since {}", facts.started))
        }
        Err(why) => Claim::cannot_tell(name, why),
    }
}

/// Whether a stage stands or falls with this claim.
pub(crate) fn promised(name: ClaimName, plan: &Plan, stage: StageKind, who: &Login, excepted: bool) -> bool {
    use ClaimName as C;
    match name {
        C::TlsOffered
        | C::TlsVersion
        | C::CertificateAsIssued
        | C::ValidNow
        | C::NamesMatch
        | C::SettingsInForce
        | C::LocalLogin
        | C::NotRestarted
        | C::RestartWouldWork
        | C::SslmodeRequireConnects
        | C::PostQuantum => true,
        C::ChainVerified | C::SslmodeVerifyCaConnects | C::SslmodeVerifyFullConnects => {
            plan.authority.is_some()
        }
        C::SessionEncrypted => who.password.is_some(),
        C::ClientCertificateConnects => {
            plan.clients.is_some() && stage == StageKind::Rules && who.password.is_some()
        }
        C::WithoutCertificateRefused => plan.clients.is_some() && stage == StageKind::Rules,
        C::PlaintextRefusedIpv4
        | C::PlaintextRefusedIpv6
        | C::ReplicationPlaintextRefusedIpv4
        | C::ReplicationPlaintextRefusedIpv6
        | C::SslmodeDisableRefused => plan.enforce && stage == StageKind::Rules,
        C::NoPlaintextPath => plan.enforce && stage == StageKind::Rules && !excepted,
        // What `secure` does not set, or what need not be known: told, and not failed.
        C::SettingsTakenUp | C::ChannelBinding | C::PasswordsScram | C::SessionsGoOn => false,
    }
}
