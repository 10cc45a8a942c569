//! What stops a change before it begins: a server that no plan is worth anything for, clients that would be locked
//! out, an issuer that changes under clients that nobody sees, a person who says no.

use pgseal_wire::Session;
use time::OffsetDateTime;

use super::facts::Facts;
use super::lockout::{LockedOut, locked_out};
use super::plan::{Plan, StageKind};
use super::run::{Consent, Done};
use super::wish::Wish;
use super::{clients, pending};
use crate::failure::{Failure, Result};
use crate::place::{Login, Place};
use crate::report::ask::yes_or_stop;

/// What makes any plan worthless.
pub(crate) fn fit_to_be_changed(facts: &Facts, word: &str) -> Result<()> {
    if let Some(error) = facts.files.errors.first() {
        let file = error.file.and_then(|file| facts.files.path(file)).map(ToString::to_string);
        return Err(Failure::new(format!(
            "the configuration is broken already: {} line {}: {}",
            file.unwrap_or_else(|| facts.main.named.display().to_string()),
            error.line,
            error.message
        ))
        .because("as long as that is so a reload changes nothing, and a restart fails; nothing was changed")
        .hint("mend that line, then again"));
    }
    // Shown since 12, empty where there is none (guc_tables.c).
    if !facts.stopped && facts.setting("ssl_library").is_empty() {
        return Err(Failure::new(format!(
            "the PostgreSQL {} of {word} was built without SSL",
            facts.version_text
        ))
        .because("no setting brings it there; nothing was changed")
        .hint("the same version from a build with OpenSSL, as packages of distributions are"));
    }
    if facts.addresses.is_empty() {
        return Err(Failure::new(format!(
            "the server of {word} listens on no TCP address (listen_addresses = '{}')",
            facts.setting("listen_addresses")
        ))
        .because("over Unix sockets there is never TLS; nothing was changed"));
    }
    Ok(())
}

/// Stops before anybody is locked out.
pub(super) fn safe(done: &Done, wish: &Wish, who: &Login) -> Result<()> {
    clients::own_login_gets_in(&done.facts, &done.plan, who, OffsetDateTime::now_utc())?;
    if done.plan.enforce
        && done.plan.has(StageKind::Rules)
        && who.password.is_none()
        && !wish.even_if_locked_out
    {
        return Err(Failure::stopped("--enforce wants a login over TLS to prove that somebody still gets in, and no password was given")
            .because("nothing was changed")
            .hint("PGUSER with PGPASSWORD or a password file; all the same: --even-if-locked-out"));
    }
    issuer_is_known(&done.plan, wish.allow_unseen)?;
    if !done.locked_out.is_empty() && !wish.even_if_locked_out {
        let connected = done.locked_out.iter().filter(|client| client.is_connected()).count();
        let recorded = done.locked_out.len() - connected;
        let rows = done.locked_out.iter().map(LockedOut::line);
        let now = if connected == 1 {
            "1 client that is connected now".to_owned()
        } else {
            format!("{connected} clients that are connected now")
        };
        let before = if recorded == 1 {
            "1 client that came before".to_owned()
        } else {
            format!("{recorded} clients that came before")
        };
        let who = match (connected, recorded) {
            (_, 0) => now,
            (0, _) => before,
            _ => format!("{now} and {before}"),
        };
        let first = first_to_do(done);
        return Err(Failure::stopped(format!("{who} would be locked out"))
            .because_all(rows)
            .because("nothing was changed")
            .hint(format!("{first}; all the same: --even-if-locked-out, best with --confirm-within 10m")));
    }
    Ok(())
}

/// What would let those in that are named.
fn first_to_do(done: &Done) -> String {
    let of = |kind: fn(&LockedOut) -> bool| done.locked_out.iter().filter(|client| kind(client)).count();
    let all = done.locked_out.len();
    if of(|client| client.by_trust) == all {
        return "see that they have the password of their role".to_owned();
    }
    let first = if done.plan.clients.is_some() {
        "give them certificates of that CA first"
    } else if done.facts.offers_tls() {
        "have them connect with TLS"
    } else {
        "turn TLS on first, without --enforce; when they have come back, enforce"
    };
    let gss = of(|client| client.gss);
    if gss == 0 || !done.plan.enforce {
        return first.to_owned();
    }
    let copies = format!("pgseal hba enforce {} --gss lets those by GSSAPI in as before", done.word);
    if gss == all { copies } else { format!("{first}; {copies}") }
}

/// Stops before an issuer changes under clients that nobody can see.
pub(crate) fn issuer_is_known(plan: &Plan, allow_unseen: bool) -> Result<()> {
    if plan.new_issuer && !allow_unseen {
        return Err(Failure::stopped(
            "clients that verify the present certificate's issuer cannot be seen from here, and it changes",
        )
        .because(format!("the new issuer is {}", plan.leaf.issuer()))
        .because("nothing was changed")
        .hint("give them the new CA first (both may stand in one file); then --allow-unseen"));
    }
    Ok(())
}

/// Stops before anybody is locked out, and asks. Whoever came while the question waited is judged, too.
pub(super) async fn agreed(
    done: &mut Done,
    wish: &Wish,
    (who, held): (&Login, &Session),
    consent: Consent<'_>,
) -> Result<()> {
    safe(done, wish, who)?;
    if consent(&done.facts, &done.plan, &done.locked_out)? {
        yes_or_stop("Carry this out?").await?;
        let now = crate::sessions::sessions(held).await;
        done.facts.sessions = now.map_err(|why| Failure::new(why).because("nothing was changed"))?;
        done.locked_out = locked_out(&done.facts, &done.plan, &wish.policy);
        safe(done, wish, who)?;
    }
    Ok(())
}

/// No server runs, and nobody asked for its files to be changed all the same.
pub(super) async fn down(place: &mut Place, recovered: Option<String>) -> Result<Failure> {
    let Err(failure) = place.running().await else {
        return Ok(Failure::new("the server was started just now; nothing was changed").hint("again"));
    };
    let taken_back =
        recovered.map(|id| format!("change {id}, which nobody had finished, was taken back first"));
    let failure = failure
        .because_all(taken_back)
        .because("nothing was changed; --offline changes its files, to be proved after the next start");
    Ok(match pending::waiting(place).await? {
        Some((_, change)) => {
            failure.because(format!("change {} awaits that start, to be proved then", change.id))
        }
        None => failure,
    })
}
