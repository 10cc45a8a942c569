//! What a rotation is held against: the claims of `secure`, the sessions of before, and logins as far as there were any
//! before.

use pgseal_pki::Certificate;
use pgseal_wire::message::{Replication, SqlState};
use pgseal_wire::tls::Check;
use pgseal_wire::{ChannelBinding, FirstAnswer, LoginError, Roots, Session, open};

use crate::failure::{Failure, Result};
use crate::secure::apply::{Work, look_again};
use crate::secure::plan::{StageKind, own_authority};
use crate::secure::prove::{promised, subject_of};
use crate::sessions::sessions;
use crate::sql::text_of;
use crate::verify::claim::{Claim, ClaimName, Proof};
use crate::verify::session::credentials;
use crate::verify::subject::Subject;

/// What stood before the exchange.
pub(super) struct Before {
    /// A session over TLS with the present certificate, held across the exchange.
    resident: Option<Session>,
    /// Why our user does not get in over TLS whatever is served: a rule that wants a certificate of theirs, say.
    kept_out: Option<String>,
}

/// Logs in as clients do, with the present certificate, as far as that goes.
pub(super) async fn before(work: &Work<'_>) -> Result<Before> {
    let nothing = Before { resident: None, kept_out: None };
    let Ok(present) = &work.facts.certificate else { return Ok(nothing) };
    let authority = own_authority(work.facts, &present.leaf).or_else(|| work.plan.authority.clone());
    let subject = subject_of(work.facts, &present.leaf, Vec::new(), authority.as_ref(), work.who);
    if let Some(why) = refused(&subject).await {
        return Ok(Before { kept_out: Some(why), ..nothing });
    }
    match resident(&subject, authority).await {
        Some(Ok(session)) => Ok(Before { resident: Some(session), ..nothing }),
        Some(Err(LoginError::Refused { error, .. })) if error.is(SqlState::INVALID_PASSWORD) => {
            Err(Failure::new(format!("could not log in over TLS as {}: {error}", work.who.username))
                .because("nothing was changed")
                .hint(
                    "PGPASSWORD or a password file with the right one; none at all to go without that proof",
                ))
        }
        // Full, or on its way: that is over when it counts.
        Some(Err(LoginError::Refused { error, .. })) if !error.is(SqlState::INVALID_AUTHORIZATION) => {
            Ok(nothing)
        }
        Some(Err(error)) => Ok(Before { kept_out: Some(error.to_string()), ..nothing }),
        None => Ok(nothing),
    }
}

/// Why the rules let our user not even as far as authentication, if so.
async fn refused(subject: &Subject) -> Option<String> {
    let address = subject.addresses.first().copied()?;
    let channel = open(&subject.route(address), subject.tls(Check::None)).await.ok()?;
    match channel.ask(&subject.startup(Replication::No)).await.ok()? {
        FirstAnswer::Refused(error) if error.is(SqlState::INVALID_AUTHORIZATION) => Some(error.to_string()),
        _ => None,
    }
}

/// A login with everything verified; none where nothing can be verified or no password was given.
async fn resident(subject: &Subject, authority: Option<Certificate>) -> Option<Result<Session, LoginError>> {
    subject.password.as_ref()?;
    let address = subject.addresses.first().copied()?;
    let roots = Roots::from_certificates("the present CA", vec![authority?]).ok()?;
    let opened = open(&subject.route(address), subject.tls(Check::ChainAndName(roots))).await;
    let channel = opened.ok()?;
    Some(channel.login(&credentials(subject, ChannelBinding::Prefer)).await)
}

/// A new login from inside, then every claim; one that was promised and does not hold is an error.
pub(super) async fn proved(work: &mut Work<'_>, before: Before) -> Result<Proof> {
    let mut proof = look_again(work).await?;
    proof.add(sessions_go_on(work, before.resident).await);
    let counts = |claim: &Claim| match claim.name {
        ClaimName::SessionsGoOn => true,
        name if wants_a_login(name) && before.kept_out.is_some() => false,
        name => promised(name, work.plan, StageKind::Tls, work.who, false),
    };
    let failed: Vec<String> = proof
        .claims
        .iter()
        .filter(|claim| claim.holds != Some(true) && counts(claim))
        .map(Claim::line)
        .collect();
    if failed.is_empty() {
        return Ok(proof);
    }
    Err(Failure::new("the wire does not show what was promised").because_all(failed))
}

/// Claims that rest on our user's getting in over TLS. Chain and names have theirs apart from that.
const fn wants_a_login(name: ClaimName) -> bool {
    matches!(
        name,
        ClaimName::SessionEncrypted
            | ClaimName::SslmodeRequireConnects
            | ClaimName::SslmodeVerifyCaConnects
            | ClaimName::SslmodeVerifyFullConnects
    )
}

/// Those that were opened before the exchange: our own, which have to answer, and everybody's, as far as they are
/// still there. A client may have left by itself.
async fn sessions_go_on(work: &Work<'_>, resident: Option<Session>) -> Claim {
    const OWN: &str = "SELECT pg_backend_pid()::text";
    let name = ClaimName::SessionsGoOn;
    let mut answered = 0;
    for session in [Some(work.held), resident.as_ref()].into_iter().flatten() {
        if let Err(why) = text_of(session, OWN, &[]).await {
            return Claim::fails(name, "a session that was opened before was lost", why);
        }
        answered += 1;
    }
    if let Some(resident) = resident {
        resident.close().await;
    }
    let standing = match sessions(work.held).await {
        Ok(standing) => standing,
        Err(why) => return Claim::cannot_tell(name, why),
    };
    let before: Vec<_> = work.facts.sessions.iter().filter(|seen| !seen.own).collect();
    let is_there = |pid: i32, since: &str| standing.iter().any(|now| now.pid == pid && now.since == since);
    let there = before.iter().filter(|seen| is_there(seen.pid, &seen.since)).count();
    let ours = if answered == 1 { "ours answers".to_owned() } else { format!("{answered} of ours answer") };
    Claim::holds(name, format!("{ours}, {there} of {} of others are there as before", before.len()))
}
