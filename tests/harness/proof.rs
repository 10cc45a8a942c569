//! The claims of a proof in JSON, held against what a scenario expects. Knows no claim by name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::process::Ran;

/// What a claim says: it holds, it does not, it could not be told.
pub(crate) type Holds = Option<bool>;
/// It does not hold.
pub(crate) const NO: Holds = Some(false);
/// It could not be told.
pub(crate) const UNTOLD: Holds = None;

/// The claims that were printed, by name.
#[track_caller]
pub(crate) fn claims(ran: &Ran) -> BTreeMap<String, Holds> {
    let json = ran.json();
    let claims = json["claims"].as_array().unwrap_or_else(|| panic!("there should be claims:\n{ran}"));
    let named: BTreeMap<String, Holds> = claims
        .iter()
        .map(|claim| {
            let text = |field: &str| claim[field].as_str().unwrap_or_default();
            let holds = claim["holds"].as_bool();
            assert!(claim["holds"].is_boolean() || claim["holds"].is_null(), "holds what?\n{claim}");
            assert!(
                holds == Some(true) || !text("reason").is_empty(),
                "what does not hold has a reason:\n{claim}"
            );
            assert!(holds != Some(true) || !text("evidence").is_empty(), "what holds has evidence:\n{claim}");
            (text("name").to_owned(), holds)
        })
        .collect();
    assert_eq!(named.len(), claims.len(), "each claim once:\n{ran}");
    assert_eq!(json["proved"], Value::Bool(named.values().all(|holds| *holds == Some(true))), "{ran}");
    named
}

/// One claim of it.
#[track_caller]
pub(crate) fn claim(ran: &Ran, name: &str) -> Value {
    let json = ran.json();
    let claims = json["claims"].as_array().unwrap_or_else(|| panic!("there should be claims:\n{ran}"));
    claims
        .iter()
        .find(|claim| claim["name"] == name)
        .unwrap_or_else(|| panic!("there should be a claim {name}:\n{ran}"))
        .clone()
}

/// Every claim holds, and it ended with 0.
#[track_caller]
pub(crate) fn all_hold(ran: &Ran) {
    let fallen: Vec<_> = claims(ran).into_iter().filter(|(_, holds)| *holds != Some(true)).collect();
    assert!(fallen.is_empty(), "every claim should hold, not {fallen:?}:\n{ran}");
    assert_eq!(ran.code(), Some(0), "{ran}");
}

/// These do not hold as told, all others do, and it ended with 1.
#[track_caller]
pub(crate) fn all_hold_but(ran: &Ran, expected: &[(&str, Holds)]) {
    let fallen: BTreeMap<String, Holds> =
        claims(ran).into_iter().filter(|(_, holds)| *holds != Some(true)).collect();
    let expected: BTreeMap<String, Holds> =
        expected.iter().map(|(name, holds)| ((*name).to_owned(), *holds)).collect();
    assert_eq!(fallen, expected, "what should not hold is on the right:\n{ran}");
    assert_eq!(ran.code(), Some(1), "{ran}");
}
