//! What a hello inside a session met, for people and as JSON.

use pgseal_wire::scan::Renegotiation;
use pgseal_wire::scan::hello::Protocol;

use super::super::report::Report;
use crate::report::screen::Mark;

const BEYOND_US: &str = "it speaks no TLS 1.2, and nothing older can be spoken here";

/// As JSON has it: what became of it, and why it could not be told.
pub(super) fn words(report: &Report) -> (&'static str, Option<String>) {
    match &report.scanned.known.renegotiation {
        Some(Renegotiation::Entered) => ("entered", None),
        Some(Renegotiation::Refused) => ("refused", None),
        Some(Renegotiation::Unknown(why)) => ("unknown", Some(why.clone())),
        None if is_of_tls_1_3_alone(report) => ("not-applicable", None),
        None if spoken(report).next().is_some() => ("unknown", Some(BEYOND_US.to_owned())),
        None => ("not-asked", None),
    }
}

/// As it reads on a screen: nothing where it was not asked for, or where TLS is not spoken.
pub(super) fn line(report: &Report) -> Option<(Mark, String)> {
    let known = &report.scanned.known;
    if !known.wish.intrusive || !known.offers_tls() {
        return None;
    }
    Some(match words(report) {
        ("entered", _) => (Mark::HoldsNot, "entered at a client's wish".to_owned()),
        ("refused", _) => (Mark::Holds, "refused: alert no_renegotiation".to_owned()),
        ("not-applicable", _) => (Mark::Holds, "not applicable: TLS 1.3 has none".to_owned()),
        (_, Some(why)) => (Mark::CannotTell, format!("could not tell: {why}")),
        (_, None) => (Mark::CannotTell, "not asked: no handshake was possible".to_owned()),
    })
}

fn is_of_tls_1_3_alone(report: &Report) -> bool {
    let refused = |protocol| report.scanned.known.version(protocol).is_no();
    let older = [Protocol::Ssl3, Protocol::Tls1_0, Protocol::Tls1_1, Protocol::Tls1_2];
    spoken(report).eq([Protocol::Tls1_3]) && older.into_iter().all(refused)
}

fn spoken(report: &Report) -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().filter(|protocol| report.scanned.known.version(*protocol).is_yes())
}
