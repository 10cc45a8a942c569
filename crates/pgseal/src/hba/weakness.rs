//! What a file allows that few people mean: dead lines, and methods that anybody on the way can read
//! or that ask for nothing.

use pgseal_conf::PgVersion;
use pgseal_conf::hba::proof::{Question, Reach, reach};
use pgseal_conf::hba::{Channel, Method, Ruleset, World};
use serde::Serialize;
use time::Date;

use super::enforcement;
use super::judged::{Reading, majors, spelled};
use super::source::Source;
use crate::report::escape::for_terminal;
use crate::report::screen::{Mark, Screen};

/// One line of the file and what is weak about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Weakness {
    /// `exception-expired`, `dead-line`, `trust-reachable`, `password-reachable`, `md5-reachable`, `ident-reachable`.
    name: &'static str,
    file: String,
    line: u32,
    /// Lines that take what this one fits, where it is dead.
    shadowed_by: Vec<u32>,
    /// How it can be reached.
    through: Vec<String>,
    /// Addresses from which it can be reached over TCP, as first-last; some of them where many.
    from: Vec<String>,
    /// A user and a database that reach it; for an exception, who it is for and until when.
    example: Option<String>,
    versions: Vec<u16>,
}

impl Weakness {
    /// Its stable name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Its line, as PostgreSQL counts.
    pub(crate) const fn line_number(&self) -> u32 {
        self.line
    }
}

const CHANNELS: [Channel; 4] = [Channel::Local, Channel::Plain, Channel::Tls, Channel::Gss];

/// Weaknesses of the files that load, each once with its versions.
pub(crate) fn weaknesses(readings: &[Reading], world: &World) -> Vec<Weakness> {
    let mut all: Vec<Weakness> = Vec::new();
    for Reading { versions, ruleset } in readings.iter().filter(|reading| reading.ruleset.loads()) {
        let versions = majors(versions);
        all.extend(
            of(ruleset, world).into_iter().map(|found| Weakness { versions: versions.clone(), ..found }),
        );
    }
    all.sort_by_key(|weakness| weakness.line);
    let mut merged: Vec<Weakness> = Vec::new();
    for weakness in all {
        let same_line = merged.iter_mut().rev().take_while(|known| known.line == weakness.line);
        match same_line.into_iter().find(|known| known.is_as(&weakness)) {
            Some(known) => known.versions.extend(weakness.versions),
            None => merged.push(weakness),
        }
    }
    for weakness in &mut merged {
        weakness.versions.sort_unstable();
    }
    merged
}

/// Exceptions that `hba enforce` put there and whose day has passed.
pub(crate) fn expired_exceptions(source: &Source, versions: &[PgVersion], today: Date) -> Vec<Weakness> {
    let majors = majors(versions);
    let weakness = |(line, who): (u32, String)| Weakness {
        name: "exception-expired",
        file: source.path.to_string(),
        line,
        shadowed_by: Vec::new(),
        through: Vec::new(),
        from: Vec::new(),
        example: Some(who),
        versions: majors.clone(),
    };
    enforcement::expired(&source.text, today).into_iter().map(weakness).collect()
}

fn of(ruleset: &Ruleset, world: &World) -> Vec<Weakness> {
    let reaches: Vec<(Channel, Vec<Reach>)> = CHANNELS
        .into_iter()
        .map(|channel| (channel, reach(&ruleset.rules, &Question::about(channel), world)))
        .collect();
    (0..ruleset.rules.len()).filter_map(|index| of_rule(index, ruleset, &reaches)).collect()
}

fn of_rule(index: usize, ruleset: &Ruleset, reaches: &[(Channel, Vec<Reach>)]) -> Option<Weakness> {
    let rule = ruleset.rules.get(index)?;
    let states: Vec<(Channel, &Reach)> =
        reaches.iter().filter_map(|(channel, all)| Some((*channel, all.get(index)?))).collect();
    let bare = Weakness {
        name: "dead-line",
        file: ruleset.path(rule.file).map(ToString::to_string).unwrap_or_default(),
        line: rule.line,
        shadowed_by: Vec::new(),
        through: Vec::new(),
        from: Vec::new(),
        example: None,
        versions: Vec::new(),
    };
    if states.iter().all(|(_, state)| matches!(state, Reach::Dead { .. } | Reach::NotMet)) {
        return Some(Weakness { shadowed_by: shadows(&states, ruleset), ..bare });
    }
    reached(rule.method, &states, bare)
}

/// The lines before a dead one that take what it fits.
fn shadows(states: &[(Channel, &Reach)], ruleset: &Ruleset) -> Vec<u32> {
    let by =
        states.iter().filter_map(|(_, state)| if let Reach::Dead { by } = state { Some(by) } else { None });
    let mut lines: Vec<u32> =
        by.flatten().filter_map(|index| ruleset.rules.get(*index)).map(|rule| rule.line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// As many stretches of addresses as are named.
const STRETCHES: usize = 4;

/// Over which channels a weak method is reached, from where, and by whom for one.
fn reached(method: Method, states: &[(Channel, &Reach)], bare: Weakness) -> Option<Weakness> {
    let mut weakness = bare;
    let mut name = None;
    let mut more = false;
    for (channel, state) in states {
        let Reach::Alive { witness, from: spans, complete } = state else { continue };
        let Some(weak) = weak(method, *channel) else { continue };
        name = Some(weak);
        weakness.through.push(channel.to_string());
        if *channel != Channel::Local {
            for span in spans.iter().take(STRETCHES).map(|span| format!("{}-{}", span.first, span.last)) {
                if !weakness.from.contains(&span) {
                    weakness.from.push(span);
                }
            }
            more |= spans.len() > STRETCHES || !complete;
        }
        let database = witness.database.as_ref().map(|name| format!("database {name}"));
        let purpose = database.unwrap_or_else(|| "replication".to_owned());
        weakness.example.get_or_insert_with(|| format!("user {}, {purpose}", witness.user));
    }
    if more {
        weakness.from.push("more".to_owned());
    }
    name.map(|name| Weakness { name, ..weakness })
}

/// What is weak about a method over a channel.
const fn weak(method: Method, channel: Channel) -> Option<&'static str> {
    match (method, channel) {
        (Method::Trust, _) => Some("trust-reachable"),
        (Method::Password, Channel::Plain | Channel::Tls | Channel::Gss) => Some("password-reachable"),
        (Method::Md5, Channel::Plain | Channel::Tls | Channel::Gss) => Some("md5-reachable"),
        (Method::Ident, _) => Some("ident-reachable"),
        _ => None,
    }
}

impl Weakness {
    /// The same, of whatever versions.
    fn is_as(&self, other: &Self) -> bool {
        let bare = |one: &Self| Self { versions: Vec::new(), ..one.clone() };
        self.line == other.line && self.name == other.name && bare(self) == bare(other)
    }

    /// For a screen about the file `main`.
    pub(crate) fn line(&self, main: &str, judged: usize, screen: Screen) -> String {
        let versions: Vec<_> =
            self.versions.iter().filter_map(|major| major.to_string().parse().ok()).collect();
        let what = match self.name {
            "dead-line" if self.shadowed_by.is_empty() => "dead: nothing ever reaches it".to_owned(),
            "dead-line" => {
                let lines: Vec<String> = self.shadowed_by.iter().take(6).map(ToString::to_string).collect();
                match lines.as_slice() {
                    [line] => format!("dead: line {line} takes all it fits"),
                    _ => format!("dead: lines {} take all it fits", lines.join(", ")),
                }
            }
            "exception-expired" => "the exception's day has passed".to_owned(),
            name => {
                let from = if self.from.is_empty() {
                    String::new()
                } else {
                    let stretches: Vec<&str> = self.from.iter().map(|stretch| told(stretch)).collect();
                    format!(", from {}", stretches.join(", "))
                };
                format!("{name}: over {}{from}", self.through.join(", "))
            }
        };
        let joint = if self.name == "exception-expired" { ": " } else { "; such as " };
        let example = self.example.as_ref().map(|who| format!("{joint}{who}")).unwrap_or_default();
        let versions = if versions.len() == judged {
            String::new()
        } else {
            format!(" (PostgreSQL {})", spelled(&versions))
        };
        let text = format!("{what}{example}{versions}");
        let place = if self.file == main { String::new() } else { format!("{} ", self.file) };
        screen.line(Mark::Mind, &for_terminal(&format!("{place}line {}", self.line)), &for_terminal(&text))
    }
}

/// A stretch of one address is that address.
fn told(stretch: &str) -> &str {
    match stretch.split_once('-') {
        Some((first, last)) if first == last => first,
        _ => stretch,
    }
}
