//! What four of libpq's sslmodes do here: disable is refused, the others connect.

use pgseal_wire::message::{Replication, SqlState};
use pgseal_wire::tls::Check;
use pgseal_wire::{ChannelBinding, FirstAnswer, Roots, Session, SslMode, open};

use super::claim::{Claim, ClaimName, Proof};
use super::plaintext::{Met, attempt};
use super::session::{NoSession, credentials};
use super::subject::{Subject, Trusted};

pub(super) async fn claims(
    subject: &Subject,
    trusted: Option<Trusted>,
    session: &Result<Session, NoSession>,
    proof: &mut Proof,
) {
    proof.add(disable(subject).await);
    for (name, mode) in [
        (ClaimName::SslmodeRequireConnects, SslMode::Require),
        (ClaimName::SslmodeVerifyCaConnects, SslMode::VerifyCa),
        (ClaimName::SslmodeVerifyFullConnects, SslMode::VerifyFull),
    ] {
        proof.add(connects(subject, name, mode, trusted, session).await);
    }
}

/// disable is a startup packet in the clear, and hba's answer to it.
async fn disable(subject: &Subject) -> Claim {
    let name = ClaimName::SslmodeDisableRefused;
    let Some(address) = subject.addresses.first() else {
        return Claim::cannot_tell(name, "there is no address to try");
    };
    match attempt(subject, *address, Replication::No).await {
        Met::Refused(said) => Claim::holds(name, format!("refused: {said}")),
        Met::LetIn(said) => Claim::fails(name, said, "it connects without encryption"),
        Met::CannotTell(why) => Claim::cannot_tell(name, why),
    }
}

/// Connects as libpq does with this mode, and logs in where the certificate has been verified.
async fn connects(
    subject: &Subject,
    name: ClaimName,
    mode: SslMode,
    trusted: Option<Trusted>,
    session: &Result<Session, NoSession>,
) -> Claim {
    let Some(address) = subject.addresses.first() else {
        return Claim::cannot_tell(name, "there is no address to try");
    };
    let check = match (mode, &subject.roots) {
        (SslMode::Require, _) => Check::None,
        (_, Err(why)) => return Claim::cannot_tell(name, why.clone()),
        (SslMode::VerifyCa, Ok(roots)) => Check::Chain(Roots::clone(roots)),
        (_, Ok(roots)) => Check::ChainAndName(Roots::clone(roots)),
    };
    let encryption = subject.tls(check);
    let channel = match open(&subject.route(*address), encryption).await {
        Ok(channel) => channel,
        Err(error) => return Claim::fails(name, "refused", error.to_string()),
    };
    let version = channel.tls().map(|facts| facts.version.to_string()).unwrap_or_default();
    let may_log_in = session.is_ok()
        && trusted.is_some_and(|trusted| trusted.is(channel.tls().and_then(|facts| facts.leaf())));
    if may_log_in {
        return match channel.login(&credentials(subject, ChannelBinding::Prefer)).await {
            Ok(session) => {
                session.close().await;
                Claim::holds(name, format!("connected, {version}"))
            }
            Err(error) => Claim::fails(name, format!("TLS as wished, {version}"), error.to_string()),
        };
    }
    match (channel.ask(&subject.startup(Replication::No)).await, session) {
        (Ok(FirstAnswer::Asked(_)), Err(NoSession::NotGiven(why) | NoSession::Failed(why))) => {
            Claim::cannot_tell(name, format!("TLS as wished, {version}, and no session: {why}"))
        }
        (Ok(FirstAnswer::Asked(request)), _) => {
            Claim::holds(name, format!("{version}, no login tried: the server asks for {request}"))
        }
        (Ok(FirstAnswer::Refused(error)), _) if error.is(SqlState::INVALID_AUTHORIZATION) => {
            match &subject.kept_out {
                Some(why) => {
                    Claim::holds(name, format!("{version}, and refused as before the change: {why}"))
                }
                None => Claim::fails(name, format!("TLS as wished, {version}"), error.to_string()),
            }
        }
        // Full, or starting: nothing that pg_hba.conf said.
        (Ok(FirstAnswer::Refused(error)), _) => Claim::cannot_tell(name, error.to_string()),
        (Err(error), _) => Claim::cannot_tell(name, error.to_string()),
    }
}
