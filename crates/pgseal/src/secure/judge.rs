//! Facts held against a policy. Pure: time is passed in.

use pgseal_conf::hba::proof::{Verdict, plaintext_path};
use pgseal_conf::hba::{ConnectionType, Method, World};
use time::OffsetDateTime;

use super::facts::Facts;
use super::present::flaw;
use super::settings::{satisfies, wished};
use super::wish::Wish;
use crate::failure::Result;
use crate::findings::Finding;
use crate::report::certificate::SOON_DAYS;
use crate::sessions::Seen;

/// Everything that the wish would have otherwise.
pub(crate) fn judge(facts: &Facts, wish: &Wish, word: &str, now: OffsetDateTime) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    let mut find = |name: &'static str, evidence: String| all.push(Finding::new(name, evidence, word));
    if !facts.offers_tls() {
        let seen = if facts.stopped {
            "as its files stand it would offer none"
        } else {
            "no TLS connection could be made"
        };
        find("tls-off", seen.to_owned());
    }
    if let Some(evidence) = plaintext(facts) {
        find("plaintext-accepted", evidence);
    }
    certificate(facts, wish, now, &mut find);
    settings(facts, wish, &mut find)?;
    rules(facts, &mut find);
    super::upgrade::judge(facts, &mut find);
    let plaintext = facts.sessions.iter().filter(|seen| Seen::is_plaintext(seen) && !seen.own).count();
    if plaintext > 0 {
        find("sessions-in-plaintext", format!("{plaintext} now"));
    }
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(all)
}

/// What lets plaintext in, by the rules or on the wire.
fn plaintext(facts: &Facts) -> Option<String> {
    let ruleset = facts.rules.ruleset(facts.version);
    let world = World { roles: facts.roles.clone(), interfaces: None };
    match plaintext_path(&ruleset.rules, &world) {
        Verdict::Path(witness) => {
            let line = ruleset.rules.get(witness.rule).map_or(0, |rule| rule.line);
            Some(format!("{} line {line}: {}", facts.hba.named.display(), witness.method.name()))
        }
        _ if facts.view.plaintext == Some(true) => Some("a plaintext connection was let in".to_owned()),
        _ => None,
    }
}

fn certificate(facts: &Facts, wish: &Wish, now: OffsetDateTime, find: &mut impl FnMut(&'static str, String)) {
    let present = match &facts.certificate {
        Ok(present) => present,
        Err(why) => return find("certificate-missing", why.clone()),
    };
    if let Err(why) = &present.key {
        find("key-unfit", why.clone());
    }
    match flaw(&present.leaf, &present.others, &wish.sans, now) {
        Some(flaw) => find("certificate-unfit", flaw),
        None if present.leaf.expires_within(SOON_DAYS, now) => {
            let left = present.leaf.days_left(now);
            find(
                "certificate-expiring",
                format!("{left} days left, until {}", present.leaf.not_after().date()),
            );
        }
        None => {}
    }
    let served = facts.view.certificate.as_ref();
    if served.is_some_and(|served| *served != present.leaf.fingerprint().to_string()) {
        find("certificate-not-served", format!("the files hold sha256 {}", present.leaf.fingerprint()));
    }
    if let Some(newer) = &facts.newer_source {
        find("certificate-source-newer", newer.display().to_string());
    }
}

fn settings(facts: &Facts, wish: &Wish, find: &mut impl FnMut(&'static str, String)) -> Result<()> {
    for wish in wished(facts, &wish.policy, None)? {
        let value = facts.setting(wish.name);
        if satisfies(&wish, value) || wish.name == "ssl" {
            continue;
        }
        let source = facts.settings.get(wish.name).map_or("", |setting| setting.source.as_str());
        let name = match (wish.name, source) {
            (_, "command line") => "setting-fixed",
            ("ssl_min_protocol_version", _) => "protocol-too-old",
            ("ssl_ciphers", _) => "suites-too-wide",
            _ => "setting-differs",
        };
        find(name, format!("{} = {value:?} ({source}), not {:?}", wish.name, wish.value));
    }
    Ok(())
}

fn rules(facts: &Facts, find: &mut impl FnMut(&'static str, String)) {
    let ruleset = facts.rules.ruleset(facts.version);
    let weak: Vec<String> = ruleset
        .rules
        .iter()
        .filter(|rule| !matches!(rule.connection, ConnectionType::Local))
        .filter(|rule| matches!(rule.method, Method::Trust | Method::Password | Method::Md5))
        .map(|rule| format!("line {} {}", rule.line, rule.method.name()))
        .collect();
    if !weak.is_empty() {
        find("weak-method-reachable", weak.join(", "));
    }
    if !facts.md5_roles.is_empty() {
        let shown: Vec<&str> = facts.md5_roles.iter().take(6).map(String::as_str).collect();
        let more = if facts.md5_roles.len() > shown.len() { " …" } else { "" };
        find("roles-without-scram", format!("{}{more}", shown.join(", ")));
    }
}
