//! What intrusive questions found out, for people and as JSON.

use pgseal_wire::scan::{StrayReply, Stuffing};
use serde::Serialize;

use super::super::report::Report;
use super::renegotiation;
use crate::report::screen::Mark;

/// What `--intrusive` found out.
#[derive(Debug, Serialize)]
pub(super) struct IntrusiveRow {
    stuffing: &'static str,
    stuffing_said: Option<String>,
    stray_bytes: &'static str,
    stray_bytes_said: Option<String>,
    renegotiation: &'static str,
    renegotiation_said: Option<String>,
}

impl IntrusiveRow {
    /// None where it was not asked for.
    pub(super) fn of(report: &Report) -> Option<Self> {
        let known = &report.scanned.known;
        if !known.wish.intrusive {
            return None;
        }
        let (stuffing, stuffing_said) = stuffing(known.stuffing.as_ref());
        let (stray_bytes, stray_bytes_said) = stray(known.stray.as_ref());
        let (renegotiation, renegotiation_said) = renegotiation::words(report);
        Some(Self {
            stuffing,
            stuffing_said,
            stray_bytes,
            stray_bytes_said,
            renegotiation,
            renegotiation_said,
        })
    }
}

fn stuffing(told: Option<&Stuffing>) -> (&'static str, Option<String>) {
    match told {
        Some(Stuffing::Taken(said)) => ("taken", Some(said.clone())),
        Some(Stuffing::Refused(said)) => ("refused", Some(said.clone())),
        Some(Stuffing::HungUp(said)) => ("hung-up", Some(said.clone())),
        Some(Stuffing::Ignored) => ("ignored", None),
        Some(Stuffing::Unknown(why)) => ("unknown", Some(why.clone())),
        None => ("not-asked", None),
    }
}

fn stray(told: Option<&StrayReply>) -> (&'static str, Option<String>) {
    match told {
        Some(StrayReply::HungUp) => ("hung-up", None),
        Some(StrayReply::Said(bytes)) => ("said", Some(bytes.escape_ascii().to_string())),
        Some(StrayReply::Held(time)) => ("held", Some(format!("{} s", time.as_secs_f64()))),
        Some(StrayReply::Unknown(why)) => ("unknown", Some(why.clone())),
        None => ("not-asked", None),
    }
}

/// How the first fact reads on a screen: nothing where it was not asked for.
pub(super) fn stuffing_line(report: &Report) -> Option<(Mark, String)> {
    let known = &report.scanned.known;
    if !known.wish.intrusive || !known.offers_tls() {
        return None;
    }
    Some(match &known.stuffing {
        Some(Stuffing::Taken(said)) => (Mark::HoldsNot, format!("taken for words under TLS: {said}")),
        Some(Stuffing::Refused(said) | Stuffing::HungUp(said)) => (Mark::Holds, format!("refused: {said}")),
        Some(Stuffing::Ignored) => (Mark::Holds, "passed over".to_owned()),
        Some(Stuffing::Unknown(why)) => (Mark::CannotTell, format!("could not tell: {why}")),
        None => (Mark::CannotTell, "not asked: no handshake was possible".to_owned()),
    })
}

/// The same for the second.
pub(super) fn stray_line(report: &Report) -> Option<(Mark, String)> {
    let known = &report.scanned.known;
    if !known.wish.intrusive {
        return None;
    }
    Some(match &known.stray {
        Some(StrayReply::HungUp) => (Mark::Holds, "the server hung up".to_owned()),
        Some(StrayReply::Said(bytes)) => (Mark::Holds, format!("answered \"{}\"", bytes.escape_ascii())),
        Some(StrayReply::Held(time)) => {
            (Mark::Mind, format!("the connection was held for {} s", time.as_secs_f64()))
        }
        Some(StrayReply::Unknown(why)) => (Mark::CannotTell, format!("could not tell: {why}")),
        None => (Mark::CannotTell, "not asked".to_owned()),
    })
}
