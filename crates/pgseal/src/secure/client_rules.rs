//! `clientcert=` on every line that lets somebody in over TLS, `host` lines made `hostssl` for it. Every other byte
//! stays. Pure.

use std::ops::Range;

use pgseal_conf::auth::{Line, Token};
use pgseal_conf::hba::{ClientCertificate, ConnectionType, Method, OptionName, Rule, Ruleset};

use super::facts::Facts;
use crate::failure::{Failure, Result};

/// `hostssl` is as many letters longer than `host`: that many of the spaces behind it may go.
const LONGER: usize = 3;

/// The text with every such line made to ask; `None`: all of them do.
pub(super) fn asking(facts: &Facts, text: &[u8], level: ClientCertificate) -> Result<Option<Vec<u8>>> {
    let ruleset = facts.rules.ruleset_of(text.to_vec(), facts.version);
    let open: Vec<&Rule> = ruleset.rules.iter().filter(|rule| lets_in_without(rule, level)).collect();
    if open.is_empty() {
        return Ok(None);
    }
    let word = level.name().unwrap_or_default();
    let mut new = text.to_vec();
    // From the end, so that places before it stay true.
    for rule in open.iter().rev() {
        let line = line_of(&ruleset, rule)?;
        for (place, bytes) in edits(&line, rule, word).ok_or_else(|| cannot(rule, "it was not understood"))? {
            new.splice(place, bytes);
        }
    }
    let after = facts.rules.ruleset_of(new.clone(), facts.version);
    if !after.loads() || after.rules.iter().any(|rule| lets_in_without(rule, level)) {
        let named = facts.hba.named.display();
        return Err(Failure::new(format!("{named} could not be made to ask every client for a certificate"))
            .because("nothing was changed")
            .hint(format!("pgseal hba check {named}")));
    }
    Ok(Some(new))
}

/// Lines that admit TLS and ask less than is wished. `reject` lets nobody in, and `cert` asks for it itself.
fn lets_in_without(rule: &Rule, level: ClientCertificate) -> bool {
    let admits_tls = matches!(
        rule.connection,
        ConnectionType::Host | ConnectionType::HostSsl | ConnectionType::HostNoGssEnc
    );
    admits_tls && !matches!(rule.method, Method::Reject | Method::Cert) && rule.client_certificate < level
}

fn line_of<'r>(ruleset: &'r Ruleset, rule: &Rule) -> Result<Line<'r>> {
    let file = ruleset.files.get(rule.file as usize).filter(|_| rule.file == 0);
    let file = file.ok_or_else(|| cannot(rule, "it stands in an included file"))?;
    file.text.line_numbered(rule.line).ok_or_else(|| cannot(rule, "it was not found"))
}

fn cannot(rule: &Rule, why: &str) -> Failure {
    Failure::new(format!("line {} cannot be made to ask for a client's certificate: {why}", rule.line))
        .because("nothing was changed")
}

/// The last one first.
fn edits(line: &Line<'_>, rule: &Rule, word: &str) -> Option<Vec<(Range<usize>, Vec<u8>)>> {
    let fields: Vec<_> = line.fields().collect();
    let mut edits = Vec::new();
    // What the last one says counts, and PostgreSQL takes several: all of them go.
    let said = fields.iter().skip(4).filter_map(|field| {
        let source = whole(field.tokens())?;
        let text = field.tokens().next()?.text().to_vec();
        text.starts_with(OptionName::ClientCert.name().as_bytes()).then_some(source)
    });
    let said: Vec<Range<usize>> = said.collect();
    let option = format!("{}={word}", OptionName::ClientCert.name());
    if said.is_empty() {
        let end = whole(fields.last()?.tokens())?.end;
        edits.push((end..end, format!(" {option}").into_bytes()));
    }
    edits.extend(said.into_iter().rev().map(|one| (one, option.clone().into_bytes())));
    if rule.connection != ConnectionType::HostSsl {
        let kind = whole(fields.first()?.tokens())?;
        let behind = line.raw().get(kind.end - line.source().start..)?;
        let spaces = behind.iter().take_while(|byte| **byte == b' ').count();
        let longer = LONGER.min(spaces.saturating_sub(1));
        let longer = if rule.connection == ConnectionType::Host { longer } else { 0 };
        edits.push((kind.start..kind.end + longer, ConnectionType::HostSsl.name().as_bytes().to_vec()));
    }
    Some(edits)
}

/// From a field's first token to its last.
fn whole<'t>(tokens: impl Iterator<Item = Token<'t>>) -> Option<Range<usize>> {
    let mut tokens = tokens;
    let first = tokens.next()?.source();
    Some(first.start..tokens.last().map_or(first.end, |last| last.source().end))
}
