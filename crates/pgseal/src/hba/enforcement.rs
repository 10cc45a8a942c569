//! The block that refuses plaintext, for the top of a pg_hba.conf (DESIGN, decision 4): two reject
//! lines, above them what must still get in. Pure: rules and wishes in, bytes out.

use std::net::IpAddr;

use pgseal_conf::block::{self, Block, BlockError, Place};
use pgseal_conf::hba::{
    AddressMatch, AddressRange, Channel, ConnectionType, Method, RoleMatch, Rule, Ruleset,
};
use time::Date;
use time::macros::format_description;

use crate::failure::{Failure, Result};

/// The id of our block in a pg_hba.conf.
pub(crate) const ID: &str = "tls-only";

const REJECT: [&str; 2] =
    ["hostnossl  all          all  all  reject", "hostnossl  replication  all  all  reject"];

/// What stands before the date of an exception.
const EXCEPTION: &str = "# exception until ";

/// `--except user@cidr --until DATE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) user: String,
    pub(crate) range: AddressRange,
    pub(crate) until: Date,
}

impl Exception {
    /// Reads `user@10.0.0.0/24`; an address alone means itself. The user may hold an `@`.
    pub(crate) fn parse(word: &str, until: Date) -> Result<Self> {
        let bad =
            |why: &str| Failure::usage(format!("--except {word} {why}")).hint("--except app@10.0.0.0/24");
        let (user, range) = word.rsplit_once('@').ok_or_else(|| bad("is no USER@CIDR"))?;
        if user.is_empty() || user.contains(['"', '\n', '\r', '\0']) {
            return Err(bad("names no user that a line can hold"));
        }
        if user.starts_with('/') {
            // hba.c, regcomp_auth_token (16+): quotes do not take that meaning away.
            return Err(bad("names a user that a line can hold as a regular expression only"));
        }
        let (address, length) =
            range.split_once('/').map_or((range, None), |(ip, length)| (ip, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| bad("has no IP address behind the @"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), str::parse).map_err(|_| bad("has no number behind the /"))?;
        let range =
            AddressRange::with_length(address, length).ok_or_else(|| bad("has a length out of range"))?;
        Ok(Self { user: user.to_owned(), range, until })
    }
}

/// What the block of `pgseal hba enforce` says of itself.
pub(crate) const NOTE: &str = "TLS only. Undo: pgseal hba enforce --undo";

/// What the block of a change says of itself.
pub(crate) fn note_of(change: &str, word: &str) -> String {
    format!("TLS only, change {change}. Undo: pgseal undo {word}")
}

/// The file with the block on top, in place of an earlier one of ours. One that is there and says the same stays,
/// whoever put it there.
pub(crate) fn enforced(
    ruleset: &Ruleset,
    text: &[u8],
    exceptions: &[Exception],
    gss: bool,
    note: &str,
) -> Result<Vec<u8>> {
    let bare = without(text)?;
    let mut lines = Vec::new();
    if gss {
        lines.extend(gss_lines(ruleset)?);
    }
    for exception in exceptions {
        lines.extend(exception_lines(ruleset, exception)?);
    }
    lines.extend(REJECT.map(str::to_owned));
    let blocks = block::find_all(text).map_err(|error| unfit(&error))?;
    let same = |found: &block::Found<'_>| {
        found.id == ID
            && found.range.start == 0
            && found.lines.iter().copied().eq(lines.iter().map(String::as_bytes))
    };
    if blocks.iter().any(same) {
        return Ok(text.to_vec());
    }
    Block::new(ID, note, lines)
        .and_then(|block| block::insert(&bare, Place::Top, &block))
        .map_err(|error| unfit(&error))
}

/// The file without our block: every other byte as it was.
pub(crate) fn without(text: &[u8]) -> Result<Vec<u8>> {
    let blocks = block::find_all(text).map_err(|error| unfit(&error))?;
    if blocks.iter().any(|block| block.id == ID) {
        block::remove(text, ID).map_err(|error| unfit(&error))
    } else {
        Ok(text.to_vec())
    }
}

/// Whether our block is in the file.
pub(crate) fn is_enforced(text: &[u8]) -> bool {
    block::find_all(text).is_ok_and(|blocks| blocks.iter().any(|block| block.id == ID))
}

/// Exceptions in our block whose day has passed: the line of each, and what it says.
pub(crate) fn expired(text: &[u8], today: Date) -> Vec<(u32, String)> {
    let Ok(blocks) = block::find_all(text) else { return Vec::new() };
    let ours = blocks.iter().filter(|block| block.id == ID);
    ours.flat_map(|block| (1..).zip(&block.lines).map(|(offset, line)| (block.line + offset, *line)))
        .filter_map(|(number, line)| {
            let said = std::str::from_utf8(line).ok()?.strip_prefix(EXCEPTION)?;
            let (until, who) = said.split_once(": ")?;
            let until = Date::parse(until, format_description!("[year]-[month]-[day]")).ok()?;
            (until < today)
                .then(|| (u32::try_from(number).unwrap_or(u32::MAX), format!("{who} until {until}")))
        })
        .collect()
}

fn unfit(error: &BlockError) -> Failure {
    Failure::new(format!("the block cannot be written: {error}"))
        .hint("mend the markers by hand, or take them out")
}

/// `hostnossl` also meets GSS-encrypted clients (ssl_in_use is false for them: hba.c, check_hba), so
/// whatever line decides for them is put above, for them alone.
fn gss_lines(ruleset: &Ruleset) -> Result<Vec<String>> {
    let mut lines = vec!["# GSS-encrypted clients as before".to_owned()];
    for rule in ruleset.rules.iter().filter(|rule| Channel::Gss.meets(rule.connection)) {
        lines.push(copied(ruleset, rule, ConnectionType::HostGssEnc)?);
    }
    Ok(if lines.len() == 1 { Vec::new() } else { lines })
}

/// The rule's own line with another connection type in front, continuations joined.
fn copied(ruleset: &Ruleset, rule: &Rule, connection: ConnectionType) -> Result<String> {
    let cannot = |why: &str| Failure::new(format!("line {} cannot be copied for --gss: {why}", rule.line));
    let file = ruleset.files.get(rule.file as usize).filter(|_| rule.file == 0);
    let file = file.ok_or_else(|| cannot("it stands in an included file"))?;
    let line = file.text.line_numbered(rule.line).ok_or_else(|| cannot("it was not found"))?;
    let first =
        line.fields().next().and_then(|field| field.tokens().next()).ok_or_else(|| cannot("it is empty"))?;
    let end = line.comment().map_or(line.raw().len(), |comment| comment - line.source().start);
    let rest = line.raw().get(first.source().end - line.source().start..end).unwrap_or_default();
    let rest = std::str::from_utf8(rest).map_err(|_| cannot("it is not UTF-8"))?;
    let rest = rest.replace("\\\r\n", "").replace("\\\n", "");
    Ok(format!("{}{}", connection.name(), rest.trim_end()))
}

/// Every line that decides for this user's plaintext connections from this range now, for this user
/// and range alone. A line whose fitting is not known from the file stops it.
fn exception_lines(ruleset: &Ruleset, exception: &Exception) -> Result<Vec<String>> {
    let mut lines = vec![format!("{EXCEPTION}{}: {}@{}", exception.until, exception.user, exception.range)];
    let mut lets_in = false;
    for rule in ruleset.rules.iter().filter(|rule| Channel::Plain.meets(rule.connection)) {
        let Some(range) = shared(rule, exception)? else { continue };
        if !meant(rule, exception)? {
            continue;
        }
        lets_in |= rule.method != Method::Reject;
        lines.push(narrowed(ruleset, rule, exception, range)?);
    }
    if !lets_in {
        return Err(Failure::usage(format!(
            "--except {}@{}: no line lets that user in from there without TLS now",
            exception.user, exception.range
        ))
        .hint("pgseal hba explain FILE -U USER -d DBNAME --addr IP --no-tls"));
    }
    Ok(lines)
}

fn stop(rule: &Rule, why: &str) -> Failure {
    Failure::new(format!("line {} decides for the exception, and {why}", rule.line))
        .hint("write the exception by hand, above the two reject lines")
}

/// The addresses that rule and exception share: the smaller of the two where one holds the other.
fn shared(rule: &Rule, exception: &Exception) -> Result<Option<AddressRange>> {
    match &rule.address {
        Some(AddressMatch::All) => Ok(Some(exception.range)),
        Some(AddressMatch::Range(range)) => {
            let length = range.length().ok_or_else(|| stop(rule, "its mask has holes"))?;
            let own = exception.range.length().unwrap_or(0);
            let (wide, narrow) =
                if length <= own { (range, exception.range) } else { (&exception.range, *range) };
            Ok(wide.contains(narrow.address()).then_some(narrow))
        }
        Some(_) => Err(stop(rule, "it names addresses that the file alone does not tell")),
        None => Ok(None),
    }
}

fn meant(rule: &Rule, exception: &Exception) -> Result<bool> {
    for role in &rule.roles {
        match role {
            RoleMatch::All => return Ok(true),
            RoleMatch::Name(name) if *name == *exception.user => return Ok(true),
            RoleMatch::Name(_) => {}
            RoleMatch::MemberOf(_) | RoleMatch::Regex(_) => {
                return Err(stop(rule, "it names users that the file alone does not tell"));
            }
        }
    }
    Ok(false)
}

/// The rule for this user and these addresses, its databases, method and options as written.
fn narrowed(ruleset: &Ruleset, rule: &Rule, exception: &Exception, range: AddressRange) -> Result<String> {
    let file = ruleset.files.get(rule.file as usize).filter(|_| rule.file == 0);
    let file = file.ok_or_else(|| stop(rule, "it stands in an included file"))?;
    let line = file.text.line_numbered(rule.line).ok_or_else(|| stop(rule, "it was not found"))?;
    let fields: Vec<_> = line.fields().collect();
    let own = |from: usize, to: usize| {
        let start = line.source().start;
        let first = fields.get(from)?.tokens().next()?.source().start;
        let last = fields.get(to)?.tokens().last()?.source().end;
        std::str::from_utf8(line.raw().get(first - start..last - start)?).ok()
    };
    // TYPE DATABASE USER ADDRESS [MASK] METHOD [OPTIONS]: the method is the word that names it.
    let method = fields.iter().skip(4).position(|field| {
        field.tokens().next().is_some_and(|token| token.text() == rule.method.name().as_bytes())
    });
    let (Some(databases), Some(rest)) =
        (own(1, 1), method.and_then(|method| own(method + 4, fields.len().saturating_sub(1))))
    else {
        return Err(stop(rule, "it is not UTF-8"));
    };
    Ok(format!(
        "hostnossl  {databases}  \"{}\"  {range}  {}",
        exception.user,
        rest.replace("\\\r\n", "").replace("\\\n", "")
    ))
}
