//! Is there any other way in? The server's own pg_hba.conf, read over the session, and proved for every
//! user, database and address: what the attempts on the wire cannot try one by one.

use std::net::IpAddr;

use pgseal_conf::hba::proof::{NoPath, Verdict, Witness, plaintext_path};
use pgseal_conf::hba::{Purpose, Ruleset};
use pgseal_wire::message::{Replication, StartupParameters};
use pgseal_wire::{Encryption, FirstAnswer, Session, open};

use super::claim::{Claim, ClaimName};
use super::session::NoSession;
use super::subject::Subject;
use crate::hba::fetch::over_sql;
use crate::hba::loaded::Loaded;
use crate::sql::APPLICATION;

pub(super) async fn claim(subject: &Subject, session: Result<&Session, &NoSession>) -> Claim {
    let name = ClaimName::NoPlaintextPath;
    let session = match session {
        Ok(session) => session,
        Err(none) => return Claim::cannot_tell(name, format!("no session: {}", none.why())),
    };
    let source = match over_sql(session).await {
        Ok(source) => source,
        Err(why) => return Claim::cannot_tell(name, format!("pg_hba.conf could not be read: {why}")),
    };
    let Some(version) = source.version else {
        return Claim::cannot_tell(name, "the server's version is not known");
    };
    let ruleset = source.ruleset(version);
    if !ruleset.loads() {
        return Claim::cannot_tell(name, format!("{} would not load, so older rules decide", source.path));
    }
    if matches!(source.loaded, Some(Loaded::Newer(_))) {
        let why = "it was changed since the server's last reload, so older rules decide";
        return Claim::cannot_tell(name, format!("{}: {why}", source.path));
    }
    let verdict = plaintext_path(&ruleset.rules, &source.world());
    let mut claim = judged(name, &ruleset, &verdict);
    if let Verdict::Path(witness) = &verdict
        && let Some(met) = tried(subject, witness).await
    {
        claim.evidence = format!("{}; tried: {met}", claim.evidence);
    }
    claim
}

/// The witness itself, where this machine can come from its address: up to the first message, which is
/// never answered.
async fn tried(subject: &Subject, witness: &Witness) -> Option<String> {
    let connection = witness.connection()?;
    let from = connection.address.filter(IpAddr::is_loopback)?;
    let to = subject.addresses.iter().copied().find(|ip| *ip == from)?;
    let user = std::str::from_utf8(connection.user.as_bytes()).ok()?.to_owned();
    let (replication, database) = match &connection.purpose {
        Purpose::Replication => (Replication::Physical, user.clone()),
        Purpose::Database(name) => (Replication::No, std::str::from_utf8(name.as_bytes()).ok()?.to_owned()),
    };
    let who = StartupParameters {
        replication,
        application_name: Some(APPLICATION.to_owned()),
        ..StartupParameters::new(user, database)
    };
    let channel = open(&subject.route(to), Encryption::Plaintext).await.ok()?;
    match channel.ask(&who).await.ok()? {
        FirstAnswer::Asked(request) => Some(format!("the server answered with {request}")),
        FirstAnswer::Refused(error) => Some(error.to_string()),
    }
}

fn judged(name: ClaimName, ruleset: &Ruleset, verdict: &Verdict) -> Claim {
    let rules = ruleset.rules.len();
    match verdict {
        Verdict::NoPath(NoPath::NoSuchRule) => {
            Claim::holds(name, format!("pg_hba.conf: none of its {rules} rules lets plaintext in"))
        }
        Verdict::NoPath(NoPath::Shadowed { .. }) => Claim::holds(
            name,
            format!("pg_hba.conf: no user, database or address gets past its {rules} rules in plaintext"),
        ),
        Verdict::Path(witness) => {
            let line = ruleset.rules.get(witness.rule).map_or(0, |rule| rule.line);
            let wanted = witness
                .database
                .as_ref()
                .map_or_else(|| "replication".to_owned(), |database| format!("database {database}"));
            let from = witness.address.as_ref().map(|address| format!(" from {address}")).unwrap_or_default();
            Claim::fails(
                name,
                format!(
                    "pg_hba.conf line {line}: user {}, {wanted}{from}, {}",
                    witness.user,
                    witness.method.name()
                ),
                "it lets plaintext in",
            )
        }
        Verdict::CannotTell(unclear) => {
            let hinges: Vec<String> = unclear.hinges.iter().map(ToString::to_string).collect();
            Claim::cannot_tell(name, format!("pg_hba.conf hinges on {}", hinges.join("; ")))
        }
    }
}
