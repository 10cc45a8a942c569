//! A proof as people and programs read it.

use serde::Serialize;

use super::escape::for_terminal;
use super::screen::{Mark, Screen};
use crate::verify::claim::{Claim, ClaimName, Proof};

/// One claim in JSON. `holds` is null where it could not be told, and then `reason` says why.
#[derive(Debug, Serialize)]
pub(crate) struct ClaimRow<'a> {
    name: &'static str,
    holds: Option<bool>,
    evidence: &'a str,
    reason: Option<&'a str>,
}

/// A claim about something that does not exist here.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOutRow<'a> {
    name: &'static str,
    reason: &'a str,
}

pub(crate) fn claim_rows(proof: &Proof) -> Vec<ClaimRow<'_>> {
    proof.claims.iter().map(claim_row).collect()
}

fn claim_row(claim: &Claim) -> ClaimRow<'_> {
    ClaimRow {
        name: claim.name.as_str(),
        holds: claim.holds,
        evidence: &claim.evidence,
        reason: claim.reason.as_deref(),
    }
}

pub(crate) fn left_out_rows(proof: &Proof) -> Vec<LeftOutRow<'_>> {
    proof.left_out.iter().map(|(name, reason)| LeftOutRow { name: name.as_str(), reason }).collect()
}

/// The block that people read: how many of how many, then a line a claim.
pub(crate) fn human(proof: &Proof, screen: Screen) -> String {
    human_of(proof, screen, &|_| true)
}

/// The same where not every claim was asked for: those that were not are told, and fail nothing.
pub(crate) fn human_of(proof: &Proof, screen: Screen, asked_for: &dyn Fn(ClaimName) -> bool) -> String {
    let held = proof.claims.iter().filter(|claim| claim.holds == Some(true)).count();
    let mut text = format!("Proof ({held} of {})\n", proof.claims.len());
    for claim in &proof.claims {
        let mark = match claim.holds {
            Some(true) => Mark::Holds,
            Some(false) if !asked_for(claim.name) => Mark::Mind,
            Some(false) => Mark::HoldsNot,
            None => Mark::CannotTell,
        };
        let said = match &claim.reason {
            Some(reason) if claim.evidence.is_empty() => reason.clone(),
            Some(reason) => format!("{}: {reason}", claim.evidence),
            // What holds is told in a line; JSON has all of it.
            None => shortened(&compared_by_eye(&claim.evidence, screen), screen),
        };
        text.push_str(&screen.line(mark, claim.name.title(), &screen.spelled(&for_terminal(&said))));
        text.push('\n');
    }
    for (name, reason) in &proof.left_out {
        text.push_str(&format!("    {:<24} left out: {}\n", name.title(), for_terminal(reason)));
    }
    text
}

/// As many characters of evidence as stand on a line beside its title.
const EVIDENCE_COLUMNS: usize = 84;

fn shortened(evidence: &str, screen: Screen) -> String {
    if evidence.chars().count() <= EVIDENCE_COLUMNS {
        return evidence.to_owned();
    }
    let kept: String = evidence.chars().take(EVIDENCE_COLUMNS - 3).collect();
    format!("{} {}", kept.trim_end(), screen.ellipsis())
}

/// Fingerprints as people compare them: the first and the last two bytes. JSON has them whole.
fn compared_by_eye(text: &str, screen: Screen) -> String {
    let brief = |word: &str| {
        let is_fingerprint =
            word.len() == 95 && word.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit());
        match (word.get(..5), word.get(90..)) {
            (Some(first), Some(last)) if is_fingerprint => format!("{first}:{}:{last}", screen.ellipsis()),
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(brief).collect::<Vec<_>>().join(" ")
}
