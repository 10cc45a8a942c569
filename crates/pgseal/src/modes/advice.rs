//! A few sentences: what to tell clients of this server, and what to mend on it. Pure.

use pgseal_wire::{AttemptStep, SslMode};

use super::certificate::Judged;
use super::survey::{Ended, RootKind, Survey};

/// What is to be done, most urgent first. `judged` is None where the server shows no certificate.
pub(crate) fn advice(survey: &Survey, judged: Option<&Judged>) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut say = |sentence: String| sentences.push(sentence);
    match judged {
        None => {
            say("the server offers no TLS: turn it on with pgseal secure, or ask whoever runs it".to_owned());
        }
        Some(judged) => {
            verified(survey, &mut say);
            if let Some(why) = &judged.rustls_never {
                say(format!(
                    "clients built on rustls (sqlx, tokio-postgres-rustls) cannot connect in any TLS mode: {why}"
                ));
            } else if let Some(why) = &judged.san_only {
                say(format!(
                    "clients that look at no common name (Go, rustls) refuse this certificate: {why}"
                ));
            }
            if let Some(why) = &judged.unbindable {
                say(why.clone());
            }
        }
    }
    if survey.lets_plaintext_in() {
        say("plaintext is let in: whoever says disable, and prefer after any failure, sends everything in the clear; \
             pgseal secure --enforce refuses it"
            .to_owned());
    } else if survey.rows.iter().any(|row| row.ended == Ended::Tls) {
        say("disable, allow, prefer and require without roots can be relayed all the same, by somebody who speaks TLS \
             to the server: only verify-full, or channel_binding=require, stops that"
            .to_owned());
    }
    sentences
}

/// The sentence on verify-full: it works, or why not.
fn verified(survey: &Survey, say: &mut impl FnMut(String)) {
    let works =
        |root| survey.row(SslMode::VerifyFull, root).is_some_and(|row| row.name_verified() == Some(true));
    if works(RootKind::Given) {
        let file = survey.row(SslMode::VerifyFull, RootKind::Given).and_then(|row| row.root_file.clone());
        say(format!("use sslmode=verify-full with {}", file.unwrap_or_default()));
        return;
    }
    if works(RootKind::System) {
        say("use sslmode=verify-full with sslrootcert=system".to_owned());
        return;
    }
    let Some(row) = survey.row(SslMode::VerifyFull, RootKind::Given) else {
        say("nothing can verify this server without its CA's certificate: get it from whoever runs the server, and name \
             it in sslrootcert"
            .to_owned());
        return;
    };
    let mend = match row.refused_at() {
        Some(AttemptStep::Name) => {
            "issue a certificate for the name that clients use (pgseal secure), or connect by a name \
                                    that it is for"
        }
        Some(AttemptStep::Chain) => "get the CA's certificate that signed it, or issue one (pgseal secure)",
        Some(AttemptStep::SslRequest) => "turn TLS on (pgseal secure)",
        _ => "see what it says",
    };
    let said = row.attempts.last().map_or_else(|| row.story(), pgseal_wire::Attempt::came_to);
    say(format!("verify-full does not work: {said}; {mend}"));
}
