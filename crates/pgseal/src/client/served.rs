//! The server as a client meets it that is told what we tell: one handshake, and on to the request for authentication.
//!
//! Knows how to look; refuses to send a password, and to say that something verifies that was not seen to.

use pgseal_pki::Certificate;
use pgseal_wire::{
    Attempt, AttemptOutcome, AttemptStep, ChainVerdict, Check, Credentials, Encryption, LoginError, SslMode,
    TlsFacts, TlsWish, open, reach,
};

use crate::failure::{Failure, Result};
use crate::sql::APPLICATION;
use crate::target::{Client, Given};

/// Whether what clients are told verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Yes,
    No,
    /// The server was not reached, or not far enough.
    Untold,
}

/// What a server wants of clients in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Nothing,
    /// A certificate, and it may do without.
    Certificate,
    /// It refused a client for want of one.
    NobodyWithout,
}

/// What was seen.
pub(crate) struct Served {
    pub(crate) verified: Verified,
    /// What came of it, in a line; libpq's words where it fails.
    pub(crate) said: String,
    /// What the server shows, the leaf first; empty where nothing was seen.
    pub(crate) chain: Vec<Certificate>,
    /// Whether that chain leads to the roots.
    pub(crate) chain_verified: bool,
    /// Whether a connection came to be without TLS.
    pub(crate) plaintext: bool,
    pub(crate) wants: Wants,
}

/// Comes as a client would with these roots.
pub(crate) async fn look(client: &Client, mode: SslMode, given: &Given) -> Served {
    let blank = |verified, said: String| Served {
        verified,
        said,
        chain: Vec::new(),
        chain_verified: false,
        plaintext: false,
        wants: Wants::Nothing,
    };
    let (options, who) = match client.with(mode, given) {
        Ok(understood) => understood,
        Err(error) => return blank(Verified::No, error.to_string()),
    };
    let who = Credentials { application_name: Some(APPLICATION.to_owned()), password: None, ..who };
    match reach(&options, &who).await {
        Ok(reached) => {
            let Some(facts) = reached.tls else {
                let said = "the connection came to be in plaintext".to_owned();
                return Served { plaintext: true, ..blank(Verified::No, said) };
            };
            let verified =
                if facts.chain_verified() && facts.name_verified { Verified::Yes } else { Verified::No };
            Served { verified, ..of_handshake(&facts, &reached.asked.to_string()) }
        }
        Err(error) => match error.attempts().last() {
            Some(last) => of_failure(last, error.to_string()),
            None => blank(Verified::No, error.to_string()),
        },
    }
}

fn of_handshake(facts: &TlsFacts, asked: &str) -> Served {
    let what = match (facts.chain_verified(), facts.name_verified) {
        (true, true) => "chain and name verified",
        (true, false) => "the chain verified, the name not looked at",
        (false, _) => "nothing verified",
    };
    Served {
        verified: Verified::Untold,
        said: format!("{} {}, {what}, then asked for {asked}", facts.version, facts.suite),
        chain: facts.chain.clone(),
        chain_verified: facts.chain_verified(),
        plaintext: false,
        wants: if facts.client_certificate_requested { Wants::Certificate } else { Wants::Nothing },
    }
}

fn of_failure(last: &Attempt, words: String) -> Served {
    // After a handshake that verified, a refusal is about who comes, not about whom they meet.
    if let Some(facts) = &last.tls
        && matches!(last.outcome, AttemptOutcome::NotLetIn(_))
    {
        let verified =
            if facts.chain_verified() && facts.name_verified { Verified::Yes } else { Verified::Untold };
        let insists = matches!(&last.outcome, AttemptOutcome::NotLetIn(LoginError::Refused { error, .. })
            if error.message.contains("valid client certificate"));
        let told = of_handshake(facts, &words);
        let wants = if insists { Wants::NobodyWithout } else { told.wants };
        return Served { verified, wants, ..told };
    }
    let verified = match last.failed_at() {
        None | Some(AttemptStep::Dial) => Verified::Untold,
        Some(_) if last.is_untold() => Verified::Untold,
        Some(_) => Verified::No,
    };
    Served {
        verified,
        said: words,
        chain: last.presented().map(|presented| presented.chain.clone()).unwrap_or_default(),
        chain_verified: last
            .presented()
            .is_some_and(|presented| matches!(presented.verdict, ChainVerdict::Verified(_))),
        plaintext: false,
        wants: Wants::Nothing,
    }
}

/// The chain that a server shows to somebody who asks nobody about it: for `--trust-on-first-use`, and to have seen the
/// certificate where verifying it ended early.
pub(crate) async fn shown(client: &Client) -> Result<Vec<Certificate>> {
    let Some(route) = client.routes.iter().find(|route| route.socket_path().is_none()) else {
        return Err(Failure::usage("a Unix socket never carries TLS")
            .hint("name the host that clients on the network use"));
    };
    let wish = TlsWish::new(Check::None, route.host.clone());
    let channel = open(route, Encryption::tls(wish)).await.map_err(|error| {
        Failure::new(format!("could not see the certificate of {route}: {error}"))
            .hint("check that the server runs, and that it has TLS: pgseal doctor")
    })?;
    let chain = channel.tls().map(|facts| facts.chain.clone()).unwrap_or_default();
    channel.close().await;
    Ok(chain)
}
