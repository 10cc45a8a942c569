//! What to ask next. Pure: what is known, what is under way and how many more may be, give the next questions.
//!
//! A few questions first, until it is clear what answers; then everything whose answer does not depend on another, with the
//! long conversations before the short ones; then what the hunts still want.

use super::candidates;
use super::hello::{Offer, Protocol};
use super::hunt::Hunt;
use super::knowledge::{Knowledge, MOST_CONNECTIONS, SILENCES, StartupKey};
use super::probe::{Probe, Question, SslReply, Startup};
use crate::registry;

/// At most so many at once for which the server may have to hold one of `max_connections`.
const SLOTS: usize = 2;

/// The next questions, at most `room` of them.
pub fn next_probes(known: &Knowledge, in_flight: &[Probe], room: usize) -> Vec<Probe> {
    if known.cut.is_some() || known.silences >= SILENCES || unreachable(known) {
        return Vec::new();
    }
    let made = known.connections + u32::try_from(in_flight.len()).unwrap_or(u32::MAX);
    let left = usize::try_from(MOST_CONNECTIONS.saturating_sub(made)).unwrap_or(0);
    let mut chosen = Chosen { in_flight, room: room.min(left), probes: Vec::new() };
    match &known.ssl {
        None => first(known, &mut chosen),
        Some(SslReply::Yes) if known.wish.quick => quick(known, &mut chosen),
        Some(SslReply::Yes) => all(known, &mut chosen),
        Some(SslReply::No | SslReply::Error(_)) => plaintext(known, &mut chosen),
        // Whatever it is, it does not answer as PostgreSQL does; one look whether it is a port of TLS alone.
        Some(SslReply::Closed(_) | SslReply::Other(_)) => {
            chosen.once(known.direct.contains_key(&true), Probe::Direct { alpn: true });
        }
        Some(SslReply::Stuffed(_) | SslReply::Late(_)) => {}
    }
    chosen.probes
}

fn unreachable(known: &Knowledge) -> bool {
    matches!(known.reached, Some(Err(_)))
}

struct Chosen<'a> {
    in_flight: &'a [Probe],
    room: usize,
    probes: Vec<Probe>,
}

impl Chosen<'_> {
    fn left(&self) -> usize {
        self.room.saturating_sub(self.probes.len())
    }

    fn push(&mut self, probe: Probe) {
        let under_way = || self.in_flight.iter().chain(&self.probes);
        let slots = under_way().filter(|other| other.takes_a_slot()).count();
        if self.left() > 0
            && !under_way().any(|other| *other == probe)
            && !(probe.takes_a_slot() && slots >= SLOTS)
        {
            self.probes.push(probe);
        }
    }

    /// Unless it is answered.
    fn once(&mut self, answered: bool, probe: Probe) {
        if !answered {
            self.push(probe);
        }
    }

    fn startup(&mut self, known: &Knowledge, startup: Startup) {
        self.once(known.startups.contains_key(&startup.into()), Probe::Startup(startup));
    }
}

/// Until it is known what answers.
fn first(known: &Knowledge, chosen: &mut Chosen<'_>) {
    if known.wish.quick {
        chosen.once(known.logins.contains_key(&false), Probe::Login { replication: false });
        return;
    }
    suites(known, Protocol::Tls1_3, chosen);
    suites(known, Protocol::Tls1_2, chosen);
    chosen.startup(known, Startup::Database);
    chosen.once(known.gssenc.is_some(), Probe::GssEnc);
}

fn plaintext(known: &Knowledge, chosen: &mut Chosen<'_>) {
    chosen.startup(known, Startup::Database);
    chosen.startup(known, Startup::Replication);
    if !known.wish.quick {
        chosen.once(known.gssenc.is_some(), Probe::GssEnc);
        if known.gssenc.is_some() {
            chosen.startup(known, Startup::Version);
        }
        if known.wish.intrusive {
            chosen.once(known.stray.is_some(), Probe::Stray);
        }
    }
}

/// The posture in at most six connections, of which the first was a login or a hello.
fn quick(known: &Knowledge, chosen: &mut Chosen<'_>) {
    chosen.once(known.logins.contains_key(&false), Probe::Login { replication: false });
    chosen.startup(known, Startup::Database);
    chosen.startup(known, Startup::Replication);
    single(known, Protocol::Tls1_1, chosen);
    if known.logins.get(&false).is_some_and(Result::is_err) {
        single(known, Protocol::Tls1_2, chosen);
    }
}

/// One hello and no hunt.
fn single(known: &Knowledge, protocol: Protocol, chosen: &mut Chosen<'_>) {
    let question = Question::Suites(protocol);
    let asked = |probe: &Probe| matches!(probe, Probe::Hello { question: other, .. } if *other == question);
    if !known.suites.contains_key(&protocol) && !chosen.in_flight.iter().any(asked) {
        suites(known, protocol, chosen);
    }
}

fn all(known: &Knowledge, chosen: &mut Chosen<'_>) {
    chosen.once(known.logins.contains_key(&false), Probe::Login { replication: false });
    // After the login, whose session it may try to resume.
    if known.logins.contains_key(&false) {
        chosen.once(known.direct.contains_key(&true), Probe::Direct { alpn: true });
    }
    suites(known, Protocol::Tls1_2, chosen);
    suites(known, Protocol::Tls1_3, chosen);
    groups(known, Protocol::Tls1_3, chosen);
    plaintext(known, chosen);
    // Where direct TLS is spoken, it was asked there.
    if known.direct.get(&true).is_some_and(Result::is_err) {
        chosen.once(known.logins.contains_key(&true), Probe::Login { replication: true });
    }
    for protocol in [Protocol::Tls1_1, Protocol::Tls1_0, Protocol::Ssl3] {
        // What they accept is likely what 1.2 accepts, so that is waited for; not for the first hello.
        let newer_is_done = known.suites.get(&Protocol::Tls1_2).is_some_and(is_over);
        if newer_is_done || !known.suites.contains_key(&protocol) {
            suites(known, protocol, chosen);
        }
    }
    single(known, Protocol::Ssl2, chosen);
    groups(known, Protocol::Tls1_2, chosen);
    schemes(known, chosen);
    fallback(known, chosen);
    if known.wish.intrusive {
        // After what the two startup packets meet each for itself, by which the answer is read.
        if known.logins.get(&false).is_some_and(Result::is_ok)
            && known.startups.contains_key(&StartupKey::Version)
        {
            chosen.once(known.stuffing.is_some(), Probe::Stuffed);
        }
        // No newer version has it.
        if known.version(Protocol::Tls1_2).is_yes() {
            chosen.once(known.renegotiation.is_some(), Probe::Renegotiation);
        }
        if known.direct.get(&true).is_some_and(Result::is_ok) {
            chosen.once(known.direct.contains_key(&false), Probe::Direct { alpn: false });
        }
    }
}

fn is_over(hunt: &Hunt) -> bool {
    hunt.is_complete() || hunt.gave_up().is_some()
}

fn suites(known: &Knowledge, protocol: Protocol, chosen: &mut Chosen<'_>) {
    let question = Question::Suites(protocol);
    let fresh = Hunt::new(candidates::suites(protocol), None);
    let hunt = known.suites.get(&protocol).unwrap_or(&fresh);
    let expected = candidates::likely_suites(known, protocol);
    for suites in hunt.next(&expected, &under_way(chosen, question), chosen.left()) {
        let groups = candidates::groups(protocol.max(Protocol::Tls1_2));
        let offer =
            Offer { protocol, suites, groups, schemes: candidates::schemes(protocol), fallback: false };
        chosen.push(Probe::Hello { question, offer });
    }
}

/// Groups, once a suite is known to offer them with.
fn groups(known: &Knowledge, protocol: Protocol, chosen: &mut Chosen<'_>) {
    let question = Question::Groups(protocol);
    let Some(hunt) = known.groups.get(&protocol) else {
        return;
    };
    let accepted = known.suites_of(protocol);
    let ephemeral = |code: &u16| registry::suite(*code).is_some_and(|suite| suite.is("ecdhe"));
    let suites: Vec<u16> = if protocol == Protocol::Tls1_3 {
        accepted
    } else {
        accepted.into_iter().filter(ephemeral).collect()
    };
    if suites.is_empty() {
        return;
    }
    let expected = candidates::likely_groups(known, protocol);
    for groups in hunt.next(&expected, &under_way(chosen, question), chosen.left()) {
        let (suites, schemes) = (suites.clone(), candidates::schemes(protocol));
        chosen.push(Probe::Hello {
            question,
            offer: Offer { protocol, suites, groups, schemes, fallback: false },
        });
    }
}

/// Schemes under TLS 1.2, once a suite is known whose key exchange is signed.
fn schemes(known: &Knowledge, chosen: &mut Chosen<'_>) {
    let protocol = Protocol::Tls1_2;
    if !known.schemes.found_any() {
        return;
    }
    let signed = |code: &u16| {
        registry::suite(*code).is_some_and(|suite| {
            suite.is("forward-secrecy")
                && ["auth-rsa", "auth-ecdsa", "auth-dss"].iter().any(|key| suite.is(key))
        })
    };
    let suites: Vec<u16> = known.suites_of(protocol).into_iter().filter(signed).collect();
    let expected = candidates::likely_schemes(known);
    for schemes in known.schemes.next(&expected, &under_way(chosen, Question::Schemes), chosen.left()) {
        let (suites, groups) = (suites.clone(), candidates::groups(protocol));
        let offer = Offer { protocol, suites, groups, schemes, fallback: false };
        chosen.push(Probe::Hello { question: Question::Schemes, offer });
    }
}

/// A hello of the version below the newest, that says of itself to be a second try.
fn fallback(known: &Knowledge, chosen: &mut Chosen<'_>) {
    let spoken: Vec<Protocol> =
        Protocol::ALL.into_iter().filter(|protocol| known.version(*protocol).is_yes()).collect();
    let [.., below, _] = spoken.as_slice() else {
        return;
    };
    if known.fallback.is_some() || *below < Protocol::Ssl3 {
        return;
    }
    let offer = Offer {
        protocol: *below,
        suites: known.suites_of(*below),
        groups: candidates::groups(Protocol::Tls1_2),
        schemes: candidates::schemes(*below),
        fallback: true,
    };
    if known.suites.get(below).is_some_and(is_over) {
        chosen.push(Probe::Hello { question: Question::Fallback, offer });
    }
}

/// What is offered now to the same question.
fn under_way(chosen: &Chosen<'_>, question: Question) -> Vec<Vec<u16>> {
    chosen
        .in_flight
        .iter()
        .chain(&chosen.probes)
        .filter_map(|probe| match probe {
            Probe::Hello { question: other, offer } if *other == question => Some(match question {
                Question::Suites(_) | Question::Fallback => offer.suites.clone(),
                Question::Groups(_) => offer.groups.clone(),
                Question::Schemes => offer.schemes.clone(),
            }),
            _ => None,
        })
        .collect()
}

/// Whether the scan has come to its end, or why not: for those who wait for it.
pub fn unfinished(known: &Knowledge) -> Option<String> {
    if let Some(cut) = &known.cut {
        return Some(cut.clone());
    }
    if known.silences >= SILENCES {
        return Some("the server stopped answering".to_owned());
    }
    (known.connections >= MOST_CONNECTIONS).then(|| format!("after {MOST_CONNECTIONS} connections"))
}
