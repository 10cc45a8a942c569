//! Is there any other way in? The server's own pg_hba.conf, read over the session, and proved for every
//! user, database and address: what the attempts on the wire cannot try one by one.

use pgseal_conf::hba::Ruleset;
use pgseal_conf::hba::proof::{NoPath, Verdict, plaintext_path};
use pgseal_wire::Session;

use super::claim::{Claim, ClaimName};
use super::session::NoSession;
use crate::hba::fetch::over_sql;
use crate::hba::loaded::Loaded;

pub(super) async fn claim(session: Result<&Session, &NoSession>) -> Claim {
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
    judged(name, &ruleset, &plaintext_path(&ruleset.rules, &source.world()))
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
