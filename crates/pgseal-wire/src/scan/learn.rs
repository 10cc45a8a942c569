//! An answer folded into what is known. Pure.

use super::hello::{Heard, Offer, Protocol};
use super::hunt::Hunt;
use super::knowledge::{Knowledge, StartupKey};
use super::probe::{Answer, End, Failed, Outcome, Probe, Question, Renegotiation, SslReply, Stuffing};
use super::told::Told;
use super::{candidates, log};
use crate::message::SqlState;
use crate::tls::Alert;
use crate::wire_error::seconds;

/// RFC 7507: `inappropriate_fallback`.
const INAPPROPRIATE_FALLBACK: Alert = Alert(86);

/// Adds an answer to what is known.
pub fn learn(known: &mut Knowledge, probe: &Probe, answer: Answer) {
    known.connections += 1;
    known.log_lines += log::lines(known, probe, &answer);
    if let Answer::NoSocket { text, .. } = &answer {
        known.reached.get_or_insert_with(|| Err(text.clone()));
    } else {
        known.reached = Some(Ok(()));
    }
    known.silences = if answer.is_late() { known.silences + 1 } else { 0 };
    match (probe, answer) {
        (Probe::Hello { question, offer }, Answer::Hello { ssl, heard, end }) => {
            ssl_reply(known, ssl);
            hello(known, *question, offer, &heard, &end);
        }
        (Probe::GssEnc, Answer::GssEnc(reply, version)) => {
            known.gssenc = Some(reply);
            if let Some(outcome) = version {
                known.startups.insert(StartupKey::Version, outcome);
            }
        }
        (Probe::Startup(startup), Answer::Startup(outcome)) => {
            known.startups.insert((*startup).into(), outcome);
        }
        (Probe::Login { replication }, Answer::Login(ssl, result)) => {
            ssl_reply(known, ssl);
            if let Ok(seen) = &result
                && let Some(chain) = &seen.chain
            {
                known.chain_of_certificates(chain);
            }
            known.logins.insert(*replication, result.map(|seen| *seen));
        }
        (Probe::Direct { alpn }, Answer::Direct(result)) => {
            known.direct.insert(*alpn, result.map(|seen| *seen));
        }
        (Probe::Stuffed, Answer::Stuffed(ssl, result)) => {
            known.stuffing = Some(stuffing(known, &ssl, result));
        }
        (Probe::Stray, Answer::Stray(reply)) => known.stray = Some(reply),
        (Probe::Renegotiation, Answer::Renegotiation(ssl, told)) => {
            ssl_reply(known, ssl);
            known.renegotiation = Some(told);
        }
        (probe, Answer::NoSocket { text, .. }) => no_socket(known, probe, text),
        // An answer to another question tells nothing.
        _ => {}
    }
}

/// No socket after others had been opened: the question stays without an answer.
fn no_socket(known: &mut Knowledge, probe: &Probe, text: String) {
    match probe {
        Probe::Hello { question, .. } => {
            if let Some(hunt) = hunt_of(known, *question) {
                hunt.unanswered(text);
            } else {
                known.fallback = Some(Told::Unknown(text));
            }
        }
        Probe::Startup(startup) => {
            known.startups.entry((*startup).into()).or_insert(Outcome::odd(text));
        }
        Probe::GssEnc => known.gssenc = Some(SslReply::Closed(text)),
        Probe::Login { replication } => {
            known.logins.entry(*replication).or_insert(Err(Failed::because(text)));
        }
        Probe::Direct { alpn } => {
            known.direct.entry(*alpn).or_insert(Err(Failed::because(text)));
        }
        Probe::Stuffed => known.stuffing = Some(Stuffing::Unknown(text)),
        Probe::Renegotiation => known.renegotiation = Some(Renegotiation::Unknown(text)),
        Probe::Stray => known.stray = Some(super::probe::StrayReply::Unknown(text)),
    }
}

/// Which of two startup packets was answered: the one in clear before the handshake, or the one inside.
fn stuffing(known: &Knowledge, ssl: &SslReply, result: Result<Outcome, Failed>) -> Stuffing {
    if *ssl != SslReply::Yes {
        return Stuffing::Unknown("TLS was not agreed on".to_owned());
    }
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(failed) if failed.late => return Stuffing::Unknown(failed.why),
        // Handshakes are done with this server else.
        Err(failed) => return Stuffing::HungUp(failed.why),
    };
    let inside = known.logins.get(&false).and_then(|login| login.as_ref().ok()).map(|seen| &seen.outcome);
    let before = known.startups.get(&StartupKey::Version);
    match &outcome {
        Outcome::Odd { why, late: true } => Stuffing::Unknown(why.clone()),
        Outcome::Odd { why, late: false } => Stuffing::HungUp(why.clone()),
        _ if inside == Some(&outcome) => Stuffing::Ignored,
        // No server asks whoever speaks protocol 4.0 for a password.
        Outcome::Asked(_) => Stuffing::Ignored,
        Outcome::Refused(error) if before == Some(&outcome) || error.is(SqlState::FEATURE_NOT_SUPPORTED) => {
            Stuffing::Taken(error.to_string())
        }
        Outcome::Refused(error) if error.is(SqlState::PROTOCOL_VIOLATION) => {
            Stuffing::Refused(error.to_string())
        }
        Outcome::Refused(error) => Stuffing::Unknown(error.to_string()),
    }
}

/// A clear word beats one that was late, and the first clear one stays.
fn ssl_reply(known: &mut Knowledge, reply: SslReply) {
    let clear =
        |reply: &SslReply| !matches!(reply, SslReply::Late(_) | SslReply::Closed(_) | SslReply::Error(_));
    match &known.ssl {
        Some(before) if clear(before) || !clear(&reply) => {}
        _ => known.ssl = Some(reply),
    }
}

fn hunt_of(known: &mut Knowledge, question: Question) -> Option<&mut Hunt> {
    match question {
        Question::Suites(protocol) => Some(suites(known, protocol)),
        Question::Groups(protocol) => Some(groups(known, protocol)),
        Question::Schemes => Some(&mut known.schemes),
        Question::Fallback => None,
    }
}

fn suites(known: &mut Knowledge, protocol: Protocol) -> &mut Hunt {
    known.suites.entry(protocol).or_insert_with(|| Hunt::new(candidates::suites(protocol), None))
}

fn groups(known: &mut Knowledge, protocol: Protocol) -> &mut Hunt {
    let kept = if protocol == Protocol::Tls1_2 { known.curve_of_leaf() } else { None };
    known.groups.entry(protocol).or_insert_with(|| Hunt::new(candidates::groups(protocol), kept))
}

fn hello(known: &mut Knowledge, question: Question, offer: &Offer, heard: &Heard, end: &End) {
    if *end == End::NotBegun {
        return;
    }
    known.flight(heard);
    let asked = offer.protocol;
    let chosen = heard.server_hello.as_ref().and_then(super::hello::ServerHello::protocol);
    if let Some(chosen) = chosen
        && chosen != asked
        && !known.chosen_instead.contains(&chosen)
    {
        known.chosen_instead.push(chosen);
    }
    if question == Question::Fallback {
        known.fallback = Some(match (heard.alert, chosen) {
            (Some(INAPPROPRIATE_FALLBACK), _) => Told::Yes,
            (_, Some(_)) => Told::No,
            _ => Told::Unknown(refusal(heard, end)),
        });
        return;
    }
    match outcome(asked, heard, end) {
        Reply::Chosen => chosen_parts(known, question, offer, heard),
        Reply::Refused => {
            if matches!(question, Question::Suites(_)) {
                known.refusals.entry(asked).or_insert_with(|| refusal(heard, end));
            }
            if let Some((hunt, offered)) = hunted(known, question, offer) {
                hunt.record(offered, None);
            }
        }
        Reply::Unknown(why) => {
            if let Some(hunt) = hunt_of(known, question) {
                hunt.unanswered(why);
            }
        }
    }
}

enum Reply {
    /// The version that was asked for, and a choice.
    Chosen,
    Refused,
    Unknown(String),
}

fn outcome(asked: Protocol, heard: &Heard, end: &End) -> Reply {
    if heard.ssl2 {
        return if asked == Protocol::Ssl2 { Reply::Chosen } else { Reply::Refused };
    }
    if let Some(hello) = &heard.server_hello {
        return if hello.protocol() == Some(asked) { Reply::Chosen } else { Reply::Refused };
    }
    match (&heard.alert, &heard.fault, end) {
        (None, Some(fault), _) => Reply::Unknown(fault.to_string()),
        (None, None, End::Late(time)) => {
            Reply::Unknown(format!("no answer to the hello within {}", seconds(time)))
        }
        // An alert; and a server that hangs up on a hello will not speak that either.
        _ => Reply::Refused,
    }
}

fn refusal(heard: &Heard, end: &End) -> String {
    match (&heard.alert, &heard.fault, end) {
        (Some(alert), _, _) => format!("alert {alert}"),
        (None, Some(fault), _) => fault.to_string(),
        (None, None, End::Late(time)) => format!("no answer within {}", seconds(time)),
        (None, None, End::Broken(text)) => text.clone(),
        (None, None, _) if heard.server_hello.is_some() => "it chose another version".to_owned(),
        (None, None, _) => "it hung up".to_owned(),
    }
}

/// The hunt of a question, and the part of the offer that it is about.
fn hunted<'k>(
    known: &'k mut Knowledge,
    question: Question,
    offer: &Offer,
) -> Option<(&'k mut Hunt, Vec<u16>)> {
    let offered = match question {
        Question::Suites(_) => offer.suites.clone(),
        Question::Groups(_) => offer.groups.clone(),
        Question::Schemes => offer.schemes.clone(),
        Question::Fallback => return None,
    };
    hunt_of(known, question).map(|hunt| (hunt, offered))
}

fn chosen_parts(known: &mut Knowledge, question: Question, offer: &Offer, heard: &Heard) {
    let protocol = offer.protocol;
    if protocol == Protocol::Ssl2 {
        // Which of its kinds is of no interest: all are broken.
        let hunt = suites(known, protocol);
        if let Some(first) = offer.suites.first() {
            hunt.record(vec![*first], Some(*first));
        }
        return;
    }
    let Some(hello) = &heard.server_hello else {
        return;
    };
    let exchange = heard.key_exchange;
    let curve = match exchange {
        Some(super::hello::KeyExchange::Curve { group, .. }) => Some(group),
        _ => None,
    };
    let group = hello.group.or(curve);
    let scheme = exchange.and_then(|exchange| exchange.scheme());
    if let Question::Suites(protocol) = question {
        suites(known, protocol).record(offer.suites.clone(), Some(hello.suite));
    }
    // What a question shows beside what it asked for is the first trial of the other hunts.
    if let Some(group) = group.filter(|_| protocol >= Protocol::Tls1_2) {
        let asked = question == Question::Groups(protocol);
        let hunt = groups(known, protocol);
        if asked || hunt.trials().is_empty() {
            hunt.record(offer.groups.clone(), Some(group));
        }
    } else if question == Question::Groups(protocol) {
        groups(known, protocol).record(offer.groups.clone(), None);
    }
    if let Some(scheme) = scheme {
        if known.schemes.trials().is_empty() && question != Question::Schemes {
            known.schemes = Hunt::new(candidates::schemes(Protocol::Tls1_2), None);
        }
        if question == Question::Schemes || known.schemes.trials().is_empty() {
            known.schemes.record(offer.schemes.clone(), Some(scheme));
        }
    } else if question == Question::Schemes {
        known.schemes.record(offer.schemes.clone(), None);
    }
}
