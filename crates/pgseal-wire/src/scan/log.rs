//! About how many lines a probe leaves in a server's log, at PostgreSQL's default settings. Measured on 12 to 18.

use super::knowledge::Knowledge;
use super::probe::{Answer, Outcome, Probe, SslReply};
use crate::message::AuthenticationRequest;

pub(super) fn lines(known: &Knowledge, probe: &Probe, answer: &Answer) -> u32 {
    match (probe, answer) {
        // "could not accept SSL connection: …", or nothing where TLS is not spoken.
        (_, Answer::Hello { ssl: SslReply::Yes, .. } | Answer::Login(SslReply::Yes, Err(_)))
        | (Probe::Stuffed | Probe::Stray, _) => 1,
        (_, Answer::Startup(outcome) | Answer::GssEnc(_, Some(outcome))) => of(outcome),
        // A handshake that is ended with close_notify leaves nothing.
        (_, Answer::Login(_, Ok(seen)) | Answer::Direct(Ok(seen))) => of(&seen.outcome),
        // "invalid length of startup packet", "received direct SSL connection request without ALPN …".
        (Probe::Direct { .. }, Answer::Direct(Err(failed))) if !failed.late && known.speaks_postgres() => 1,
        _ => 0,
    }
}

fn of(outcome: &Outcome) -> u32 {
    match outcome {
        // "role … does not exist" follows.
        Outcome::Asked(AuthenticationRequest::Ok) | Outcome::Refused(_) => 1,
        Outcome::Asked(_) | Outcome::Odd { .. } => 0,
    }
}
