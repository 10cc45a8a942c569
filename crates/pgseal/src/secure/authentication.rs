//! `--auth scram-sha-256`: the methods of lines for TCP that ask for nothing, for a password in clear or
//! for an md5 of it become SCRAM. Every other byte stays. Pure.

use std::collections::BTreeSet;

use pgseal_conf::auth::Line;
use pgseal_conf::hba::{ConnectionType, Method, RoleMatch, Rule, Ruleset};

use super::facts::Facts;
use crate::failure::{Failure, Result};
use crate::sessions::client::Client;

const SCRAM: &str = "scram-sha-256";

/// The text with every such method exchanged; `None`: there is none.
pub(super) fn strengthened(facts: &Facts, text: &[u8]) -> Result<Option<Vec<u8>>> {
    let ruleset = facts.rules.ruleset_of(text.to_vec(), facts.version);
    let weak: Vec<&Rule> = ruleset.rules.iter().filter(|rule| is_weak(rule)).collect();
    if weak.is_empty() {
        return Ok(None);
    }
    let without = without_verifier(facts, &weak);
    if !without.is_empty() {
        return Err(Failure::stopped(format!(
            "--auth {SCRAM}: roles that such lines let in have no SCRAM password: {}",
            without.join(", ")
        ))
        .because_all(connected(facts, &without))
        .because("they could not log in over TCP any more; nothing was changed")
        .hint("in psql, with password_encryption = 'scram-sha-256': \\password ROLE"));
    }
    let mut new = text.to_vec();
    // From the end, so that places before it stay true.
    for rule in weak.iter().rev() {
        let place = method_place(&ruleset, rule)?;
        new.splice(place, SCRAM.bytes());
    }
    Ok(Some(new))
}

/// Those of them that are connected over TCP now.
fn connected(facts: &Facts, roles: &[&str]) -> BTreeSet<String> {
    let sessions = facts.sessions.iter().filter(|seen| !seen.own && seen.address.is_some());
    let theirs = sessions.filter(|seen| seen.user.as_deref().is_some_and(|user| roles.contains(&user)));
    theirs.map(|seen| format!("connected now: {}", Client::of(seen).words())).collect()
}

const fn is_weak(rule: &Rule) -> bool {
    !matches!(rule.connection, ConnectionType::Local)
        && matches!(rule.method, Method::Trust | Method::Password | Method::Md5)
}

/// Roles that may log in, that a weak line may be meant for, and that have no SCRAM verifier.
fn without_verifier<'f>(facts: &'f Facts, weak: &[&Rule]) -> Vec<&'f str> {
    facts
        .without_scram
        .iter()
        .map(String::as_str)
        .filter(|name| weak.iter().any(|rule| may_fit(facts, rule, name)))
        .collect()
}

/// Where it cannot be told, it may.
fn may_fit(facts: &Facts, rule: &Rule, name: &str) -> bool {
    rule.roles.iter().any(|word| match word {
        RoleMatch::All => true,
        RoleMatch::Name(wanted) => *wanted == *name,
        RoleMatch::MemberOf(role) => {
            facts.roles.as_ref().is_none_or(|roles| roles.is_member(name.as_bytes(), role.as_bytes()))
        }
        RoleMatch::Regex(pattern) => pattern.matches(name.as_bytes()).unwrap_or(true),
    })
}

/// The bytes of the rule's method.
fn method_place(ruleset: &Ruleset, rule: &Rule) -> Result<std::ops::Range<usize>> {
    let cannot = |why: &str| {
        Failure::new(format!("line {} cannot be changed to {SCRAM}: {why}", rule.line))
            .because("nothing was changed")
    };
    let file = ruleset.files.get(rule.file as usize).filter(|_| rule.file == 0);
    let file = file.ok_or_else(|| cannot("it stands in an included file"))?;
    let line: Line<'_> = file.text.line_numbered(rule.line).ok_or_else(|| cannot("it was not found"))?;
    // TYPE DATABASE USER ADDRESS [MASK] METHOD [OPTIONS]
    let token = line
        .fields()
        .skip(4)
        .filter_map(|field| field.tokens().next())
        .find(|token| token.text() == rule.method.name().as_bytes());
    token.map(pgseal_conf::auth::Token::source).ok_or_else(|| cannot("its method was not found"))
}
