//! Everything that is wrong with a server, seen from inside, from outside and from the person's own side at once: what it
//! is, how it is known, what mends it. Changes nothing.

pub(crate) mod bundle;
mod certificate;
mod client_side;
mod document;
pub(crate) mod ended;
pub(crate) mod far;
mod inside;
mod log;
mod outside;
mod peers;
mod pooler;
mod release;
mod resting;
mod rules;
pub(crate) mod served;
pub(crate) mod settings;

use std::borrow::Cow;

use pgseal_pki::{KeyType, Validity};
use pgseal_wire::Session;
use serde::Serialize;
use time::OffsetDateTime;

use self::bundle::Known;
use self::client_side::Reached;
use self::outside::Outside;
use crate::export::Dates;
use crate::failure::{Failure, Result};
use crate::findings::Finding;
use crate::place::Place;
use crate::policy::Policy;
use crate::secure::composed;
use crate::secure::facts::{Facts, Present};
use crate::secure::judge::judge;
use crate::secure::observe::observe;
use crate::secure::restart;
use crate::secure::run::newer_source;
use crate::secure::wish::{Source, Wish};
use crate::server::process::RunningServer;
use crate::target::{Asked, login};

/// What could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unseen {
    pub(crate) what: Cow<'static, str>,
    pub(crate) why: String,
    /// What would show it.
    pub(crate) access: Cow<'static, str>,
}

/// What was found.
pub(crate) struct Examined {
    /// As the server prints it; of one that is down, what its data directory says.
    pub(crate) version: String,
    pub(crate) running: bool,
    /// The worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) unseen: Vec<Unseen>,
    /// Those of the findings that do not follow from the facts alone.
    pub(crate) observed: Vec<Finding>,
    /// The facts that the others follow from, without what is secret in them.
    pub(crate) known: Option<Box<Known>>,
    /// Of the certificate in its files, where somebody was let in to look.
    pub(crate) certificate: Option<Dates>,
}

/// Collects findings about one target.
struct Notes<'w> {
    word: &'w str,
    findings: Vec<Finding>,
    unseen: Vec<Unseen>,
}

impl Notes<'_> {
    fn find(&mut self, name: &'static str, evidence: impl Into<String>) {
        self.findings.push(Finding::new(name, evidence, self.word));
    }

    fn unseen(&mut self, what: &'static str, why: impl Into<String>, access: &'static str) {
        self.unseen.push(Unseen { what: what.into(), why: why.into(), access: access.into() });
    }
}

/// Looks at a server as it is: one that runs and lets somebody in, one that runs and does not, one that is down.
pub(crate) async fn examine(
    place: &mut Place,
    word: &str,
    asked: &Asked,
    policy: Policy,
    now: OffsetDateTime,
) -> Result<Examined> {
    let mut notes = Notes { word, findings: Vec::new(), unseen: Vec::new() };
    let server = place.server().await?.filter(|server| server.ready);
    let entered = match &server {
        Some(server) => Some(enter(place, server, asked).await),
        None => None,
    };
    let mut judged_by = None;
    let mut certificate = None;
    let version = match entered {
        Some(Ok((session, facts))) => {
            certificate = facts.certificate.as_ref().ok().map(|present| Dates::of(&present.leaf));
            judged(&facts, &policy, now, &mut notes)?;
            judged_by = Known::of(&facts).map(|known| (Box::new(known), notes.findings.clone()));
            running(place, &session, &facts, &policy, now, &mut notes).await;
            session.close().await;
            facts.version_text
        }
        Some(Err(failure)) => {
            notes.unseen(
                "settings, roles, sessions and what is loaded",
                failure.sentence().to_owned(),
                "a superuser's login: -U, PGUSER and PGPASSWORD",
            );
            let version = resting::look(place, true, now, &mut notes).await?;
            let of_the_file = composed::judge::by_the_file(place);
            let beside_it = place.way().is_some_and(|way| way.said.is_some()).then_some(failure);
            of_project(of_the_file, beside_it, &mut notes);
            version
        }
        None => {
            let version = resting::look(place, false, now, &mut notes).await?;
            let (found, failure) = composed::run::at_rest(place, asked).await;
            of_project(found, failure, &mut notes);
            version
        }
    };
    let Notes { mut findings, unseen, .. } = notes;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let (known, follow) = judged_by.unzip();
    let follow: Vec<Finding> = follow.unwrap_or_default();
    let observed = findings.iter().filter(|finding| !follow.contains(finding)).cloned().collect();
    Ok(Examined { version, running: server.is_some(), findings, unseen, observed, known, certificate })
}

/// What a compose file does to its server, and what was in the way of seeing all of that; nothing where there is none.
fn of_project(found: Vec<Finding>, failure: Option<Failure>, notes: &mut Notes<'_>) {
    notes.findings.extend(found);
    if let Some(failure) = failure {
        notes.unseen(
            "what its compose project does to it, beyond what its file says",
            failure.sentence().to_owned(),
            "docker, a superuser's login, and the files that the project mounts",
        );
    }
}

async fn enter(place: &mut Place, server: &RunningServer, asked: &Asked) -> Result<(Session, Facts)> {
    let who = login(place, server, asked)?;
    let session = place.session(server, &who).await?;
    match observe(place, server, &session, &who).await {
        Ok(mut facts) => {
            facts.newer_source = newer_source(place, &facts).unwrap_or_default();
            Ok((session, facts))
        }
        Err(failure) => {
            session.close().await;
            Err(failure)
        }
    }
}

/// What follows from facts, a policy and the time: judged again of facts that were kept.
fn judged(facts: &Facts, policy: &Policy, now: OffsetDateTime, notes: &mut Notes<'_>) -> Result<()> {
    let wish = nothing_but(policy.clone(), Validity::A_YEAR);
    // Who is locked out comes before what is weak.
    rules::judge(facts, now, notes);
    notes.findings.extend(judge(facts, &wish, notes.word, now)?);
    if let Ok(present) = &facts.certificate {
        certificate::judge(&present.leaf, &present.others, facts.setting("ssl_cert_file"), notes);
    }
    certificate::addresses(facts, notes);
    settings::judge(&facts.settings, facts.version, notes);
    release::judge(facts.version, now, notes);
    Ok(())
}

/// What is looked at on the spot beside them.
async fn running(
    place: &mut Place,
    session: &Session,
    facts: &Facts,
    policy: &Policy,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) {
    if let Ok(present) = &facts.certificate {
        let claim = restart::claim(place, session, &present.leaf).await;
        if claim.holds == Some(false) {
            let reason = claim.reason.unwrap_or_default();
            notes.find("start-would-fail", format!("{}: {reason}", claim.evidence));
        }
    }
    if let Some(evidence) = restart::open_key(place, &facts.settings).await {
        notes.find("key-open-to-others", evidence);
    }
    match composed::judge::judge(place, facts, Some(session)).await {
        Ok(found) => of_project(found, None, notes),
        Err(failure) => of_project(composed::judge::by_the_file(place), Some(failure), notes),
    }
    certificate::revocation(place, facts.setting("ssl_crl_file"), now, notes).await;
    certificate::diffie_hellman(place, facts.setting("ssl_dh_params_file"), notes).await;
    inside::look(session, Some(&facts.hba.named), notes).await;
    peers::look(session, facts.in_recovery, notes).await;
    log::look(place, session, facts.setting("ssl_passphrase_command"), notes).await;
    if let Some(from_outside) = Outside::of(facts) {
        outside::look(from_outside, policy, now, notes).await;
    }
    let chain = facts.certificate.as_ref().ok().map(Present::chain);
    let reached = Reached {
        addresses: &facts.addresses,
        port: facts.port,
        everywhere: !place.is_contained() && settings::listens_everywhere(facts.setting("listen_addresses")),
    };
    client_side::look(chain.as_deref(), Some(reached), notes).await;
}

/// The wish of somebody who wants to know and not to change.
fn nothing_but(policy: Policy, validity: Validity) -> Wish {
    Wish {
        clients: None,
        policy,
        sans: Vec::new(),
        source: Source::Present,
        reissue: false,
        validity,
        key_type: KeyType::default(),
        enforce: true,
        scram: false,
        exceptions: Vec::new(),
        even_if_locked_out: false,
        accept_crash_window: false,
        adopted: Vec::new(),
        allow_unseen: false,
        as_root: Vec::new(),
        mends: Vec::new(),
    }
}
