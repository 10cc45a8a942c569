//! `pgseal hba diff`.

use clap::Args;
use pgseal_conf::PgVersion;
use pgseal_conf::hba::compare::{Comparison, Fate, Region, Wanted, Whose, compare};
use pgseal_conf::hba::proof::AddressSpan;
use pgseal_conf::hba::{Channel, World};
use serde::Serialize;

use super::super::Outcome;
use super::super::options::Format;
use super::source::read;
use crate::failure::{Ending, Failure, Result};
use crate::hba::judged::{Reading, majors, readings, spelled, versions};
use crate::hba::loading::refused;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal hba diff pg_hba.conf.old pg_hba.conf
  pgseal hba enforce pg_hba.conf | pgseal hba diff pg_hba.conf -

The lines may stand in any order and say it in other words: what counts is who gets in.
Exit status: 0, whether they differ or not; 3 when PostgreSQL would not load one of them.")]
pub(crate) struct Options {
    /// The file as it was: a path, `-`, or a server whose own file is meant
    old: String,
    /// The file as it is to be
    new: String,
    /// Judge for this version only [default: 12 to 18]
    #[arg(long, value_name = "N")]
    pg_version: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal hba diff` (docs/schema/hba-diff.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    /// Whether the two let in the same connections by the same methods.
    same: bool,
    complete: bool,
    versions: Vec<VersionRow>,
    /// Versions that would not load one of the two.
    do_not_load: Vec<u16>,
}

#[derive(Debug, Serialize)]
struct VersionRow {
    versions: Vec<u16>,
    complete: bool,
    regions: Vec<RegionRow>,
}

#[derive(Debug, Serialize)]
struct RegionRow {
    /// `gains`, `loses`, `asked-otherwise` or `unclear`.
    change: &'static str,
    /// `local`, `plaintext`, `tls` or `gss`.
    channel: &'static str,
    /// A name, `any`, `any-other`, or `own` (of the user's name); null for physical replication.
    database: Option<String>,
    replication: bool,
    user: String,
    /// First and last address of each stretch; empty for a local socket.
    from: Vec<[String; 2]>,
    old: String,
    new: String,
}

/// Versions that share a comparison.
type Groups = Vec<(Vec<PgVersion>, Comparison)>;

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if options.old == "-" && options.new == "-" {
        return Err(Failure::usage("both files cannot be read from stdin").hint("a path for one of them"));
    }
    let (old, new) = (read(&options.old).await?, read(&options.new).await?);
    let wanted = versions(options.pg_version.as_deref(), old.version.or(new.version))?;
    let (before, after) = (readings(&old, &wanted), readings(&new, &wanted));
    let groups = compared(&wanted, &before, &after, &new.world());
    let unread: Vec<PgVersion> = wanted
        .into_iter()
        .filter(|version| !groups.iter().any(|(known, _)| known.contains(version)))
        .collect();
    if groups.is_empty() {
        let (source, readings) = if before.iter().any(|reading| !reading.ruleset.loads()) {
            (&old, before)
        } else {
            (&new, after)
        };
        let refusing: Vec<Reading> =
            readings.into_iter().filter(|reading| !reading.ruleset.loads()).collect();
        return Err(refused(source, &refusing));
    }
    let ending = if unread.is_empty() { Ending::Well } else { Ending::NotCarriedOut };
    let text = match options.format {
        Format::Json => json::text(&row(&groups, &unread))?,
        Format::Human => human(&groups, &unread, Screen::of_stdout()),
    };
    Ok(Outcome { text, ending })
}

/// One comparison for all versions that read both files alike; none where one of them does not load.
fn compared(wanted: &[PgVersion], before: &[Reading], after: &[Reading], world: &World) -> Groups {
    let of = |readings: &[Reading], version| {
        readings.iter().position(|reading| reading.versions.contains(version) && reading.ruleset.loads())
    };
    let mut pairs: Vec<((usize, usize), Vec<PgVersion>)> = Vec::new();
    for version in wanted {
        let (Some(old), Some(new)) = (of(before, version), of(after, version)) else { continue };
        match pairs.iter_mut().find(|(pair, _)| *pair == (old, new)) {
            Some((_, versions)) => versions.push(*version),
            None => pairs.push(((old, new), vec![*version])),
        }
    }
    let mut groups: Groups = Vec::new();
    for ((old, new), versions) in pairs {
        let (Some(old), Some(new)) = (before.get(old), after.get(new)) else { continue };
        let comparison = compare(&old.ruleset.rules, &new.ruleset.rules, world);
        match groups.iter_mut().find(|(_, known)| *known == comparison) {
            Some((known, _)) => known.extend(versions),
            None => groups.push((versions, comparison)),
        }
    }
    groups
}

fn row(groups: &Groups, unread: &[PgVersion]) -> Row {
    Row {
        schema_version: SCHEMA_VERSION,
        same: unread.is_empty()
            && groups.iter().all(|(_, comparison)| comparison.regions.is_empty() && comparison.complete),
        complete: unread.is_empty() && groups.iter().all(|(_, comparison)| comparison.complete),
        versions: groups.iter().map(|(versions, comparison)| version_row(versions, comparison)).collect(),
        do_not_load: majors(unread),
    }
}

fn version_row(versions: &[PgVersion], comparison: &Comparison) -> VersionRow {
    VersionRow {
        versions: majors(versions),
        complete: comparison.complete,
        regions: comparison.regions.iter().map(region_row).collect(),
    }
}

fn region_row(region: &Region) -> RegionRow {
    RegionRow {
        change: region.change.name(),
        channel: match region.channel {
            Channel::Local => "local",
            Channel::Plain => "plaintext",
            Channel::Tls => "tls",
            Channel::Gss => "gss",
        },
        database: match &region.wanted {
            Wanted::Database(whose) => Some(word(whose)),
            Wanted::Replication => None,
        },
        replication: region.wanted == Wanted::Replication,
        user: word(&region.user),
        from: region.from.iter().map(|span| [span.first.to_string(), span.last.to_string()]).collect(),
        old: fate(&region.old),
        new: fate(&region.new),
    }
}

fn word(whose: &Whose) -> String {
    match whose {
        Whose::Name(name) => name.to_string(),
        Whose::AnyOther => "any-other".to_owned(),
        Whose::UsersOwn => "own".to_owned(),
        Whose::Any => "any".to_owned(),
    }
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Asked(method) => method.name().to_owned(),
        Fate::Refused => "refused".to_owned(),
        Fate::Depends(words) => words.clone(),
    }
}

fn human(groups: &Groups, unread: &[PgVersion], screen: Screen) -> String {
    let mut lines = Vec::new();
    if !unread.is_empty() {
        let versions = format!("PostgreSQL {} would refuse one of the two files", spelled(unread));
        lines.push(screen.line(Mark::HoldsNot, "does not load", &versions));
    }
    for (versions, comparison) in groups {
        lines.push(format!("PostgreSQL {}", spelled(versions)));
        if comparison.regions.is_empty() && comparison.complete {
            lines.push(screen.line(Mark::Holds, "the same", "nobody gains or loses access"));
        }
        lines.extend(comparison.regions.iter().map(|region| region_line(region, screen)));
        if !comparison.complete {
            lines.push(screen.line(Mark::CannotTell, "not all", "there are more names than were compared"));
        }
    }
    lines.join("\n")
}

fn region_line(region: &Region, screen: Screen) -> String {
    let row = region_row(region);
    let mark = match row.change {
        "gains" => Mark::Mind,
        "loses" => Mark::HoldsNot,
        "unclear" => Mark::CannotTell,
        _ => Mark::Holds,
    };
    let shown = |word: &str, kind: &str| match word {
        "any" => format!("any {kind}"),
        "any-other" => format!("any other {kind}"),
        "own" => format!("the {kind} of the user's name"),
        name => format!("{kind} {name}"),
    };
    let wanted =
        row.database.as_deref().map_or_else(|| "replication".to_owned(), |name| shown(name, "database"));
    let from = if region.from.is_empty() { String::new() } else { format!(" from {}", places(&region.from)) };
    let text = format!(
        "{}, {wanted}, {}{from}: {} → {}",
        shown(&row.user, "user"),
        region.channel,
        row.old,
        row.new
    );
    screen.line(mark, row.change, &for_terminal(&screen.spelled(&text)))
}

/// Stretches of addresses, a few of them.
fn places(spans: &[AddressSpan]) -> String {
    const MOST: usize = 4;
    let whole = |first: &str, last: &str| {
        spans.iter().any(|span| span.first.to_string() == first && span.last.to_string() == last)
    };
    let v4 = whole("0.0.0.0", "255.255.255.255");
    let v6 = whole("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    if v4 && v6 {
        return "everywhere".to_owned();
    }
    let one = |span: &AddressSpan| match (
        span.first == span.last,
        v4 && span.first.is_ipv4(),
        v6 && span.first.is_ipv6(),
    ) {
        (_, true, _) => "all IPv4".to_owned(),
        (_, _, true) => "all IPv6".to_owned(),
        (true, ..) => span.first.to_string(),
        _ => format!("{}-{}", span.first, span.last),
    };
    let mut shown: Vec<String> = spans.iter().take(MOST).map(one).collect();
    if spans.len() > MOST {
        shown.push(format!("and {} more stretches", spans.len() - MOST));
    }
    shown.join(", ")
}
