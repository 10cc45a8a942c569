//! Whether our own user may log in over TLS as the rules stand, with what we have: no client certificate, no other
//! method than a password. Where it may not, and might not before either, nothing is lost by the change, and no login can
//! prove it. Pure.

use std::net::IpAddr;

use pgseal_conf::hba::{
    Channel, ClientCertificate, ClientName, Connection, Method, Purpose, Ruleset, World, decide,
};

use super::clients::after;
use super::facts::Facts;
use super::plan::Plan;
use crate::place::Login;

/// Why no login over TLS can be made from this address, before the change and after it; `None`: one can, or could
/// before, or it is not certain.
pub(super) fn kept_out(facts: &Facts, plan: &Plan, who: &Login, from: IpAddr) -> Option<String> {
    let before = facts.rules.ruleset(facts.version);
    let world = World { roles: facts.roles.clone(), interfaces: None };
    let refused = |rules: &Ruleset, channel| refusal(rules, &world, who, from, channel);
    let why = refused(&after(facts, plan), Channel::Tls)?;
    refused(&before, Channel::Tls)?;
    // What got in without TLS so far has to get in with it when that is over.
    if plan.enforce {
        refused(&before, Channel::Plain)?;
    }
    Some(why)
}

fn refusal(rules: &Ruleset, world: &World, who: &Login, from: IpAddr, channel: Channel) -> Option<String> {
    let connection = Connection {
        channel,
        address: Some(from),
        name: ClientName::Unknown,
        user: who.username.as_str().into(),
        purpose: Purpose::Database(who.dbname.as_str().into()),
    };
    let whose = format!("{} from {from}", who.username);
    let Some(index) = decide(&rules.rules, &connection, world).certain()? else {
        return Some(format!("no line of pg_hba.conf is for {whose}"));
    };
    let rule = rules.rules.get(index)?;
    let line = rule.line;
    let shows_one = !matches!(who.certificate, pgseal_wire::ClientCertificate::None);
    match rule.method {
        Method::Reject => Some(format!("line {line} of pg_hba.conf rejects {whose}")),
        // Then the login itself is the proof.
        Method::Cert if shows_one => None,
        _ if !shows_one && rule.client_certificate != ClientCertificate::NotAsked => {
            Some(format!("line {line} of pg_hba.conf wants a client certificate of {whose}"))
        }
        Method::Trust | Method::ScramSha256 | Method::Md5 | Method::Password => None,
        other => Some(format!("line {line} of pg_hba.conf has {} for {whose}", other.name())),
    }
}
