//! What a file allows that few people mean: dead lines, and methods that anybody on the way can read
//! or that ask for nothing.

use pgseal_conf::PgVersion;
use pgseal_conf::hba::proof::{Question, Reach, reach};
use pgseal_conf::hba::{Channel, Method, Ruleset, World};
use serde::Serialize;
use time::Date;

use super::enforcement;
use super::judged::spelled;
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

const CHANNELS: [Channel; 4] = [Channel::Local, Channel::Plain, Channel::Tls, Channel::Gss];

/// Weaknesses of the files that load, each once with its versions.
pub(crate) fn weaknesses(rulesets: &[Ruleset], world: &World) -> Vec<Weakness> {
    let mut all: Vec<Weakness> = Vec::new();
    for ruleset in rulesets.iter().filter(|ruleset| ruleset.loads()) {
        let version = ruleset.server.version.major();
        for found in of(ruleset, world) {
            match all.iter_mut().find(|known| Weakness { versions: Vec::new(), ..(*known).clone() } == found)
            {
                Some(known) => known.versions.push(version),
                None => all.push(Weakness { versions: vec![version], ..found }),
            }
        }
    }
    all.sort_by_key(|weakness| weakness.line);
    all
}

/// Exceptions that `hba enforce` put there and whose day has passed.
pub(crate) fn expired_exceptions(source: &Source, versions: &[PgVersion], today: Date) -> Vec<Weakness> {
    let majors: Vec<u16> = versions.iter().map(|version| version.major()).collect();
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
    let states = || reaches.iter().filter_map(|(channel, all)| Some((*channel, all.get(index)?)));
    let line_of = |index: &usize| ruleset.rules.get(*index).map(|rule| rule.line);
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
    if states().all(|(_, state)| matches!(state, Reach::Dead { .. } | Reach::NotMet)) {
        let mut by: Vec<u32> = states()
            .filter_map(|(_, state)| if let Reach::Dead { by } = state { Some(by) } else { None })
            .flatten()
            .filter_map(line_of)
            .collect();
        by.sort_unstable();
        by.dedup();
        return Some(Weakness { shadowed_by: by, ..bare });
    }
    let mut through = Vec::new();
    let mut from = Vec::new();
    let mut example = None;
    let mut name = None;
    for (channel, state) in states() {
        let Reach::Alive { witness, from: spans, complete } = state else { continue };
        let Some(weak) = weak(rule.method, channel) else { continue };
        name = Some(weak);
        through.push(channel.to_string());
        let shown = spans.iter().take(4).map(|span| format!("{}-{}", span.first, span.last));
        for span in shown.filter(|_| channel != Channel::Local) {
            if !from.contains(&span) {
                from.push(span);
            }
        }
        if (spans.len() > 4 || !complete)
            && channel != Channel::Local
            && !from.iter().any(|span| span == "more")
        {
            from.push("more".to_owned());
        }
        let purpose = witness
            .database
            .as_ref()
            .map_or_else(|| "replication".to_owned(), |name| format!("database {name}"));
        example.get_or_insert(format!("user {}, {purpose}", witness.user));
    }
    name.map(|name| Weakness { name, through, from, example, ..bare })
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
    pub(crate) fn line(&self, judged: usize, screen: Screen) -> String {
        let versions: Vec<_> =
            self.versions.iter().filter_map(|major| major.to_string().parse().ok()).collect();
        let what = match self.name {
            "dead-line" if self.shadowed_by.is_empty() => "dead: nothing ever reaches it".to_owned(),
            "dead-line" => {
                let lines: Vec<String> = self.shadowed_by.iter().take(6).map(ToString::to_string).collect();
                format!("dead: line {} takes all it fits", lines.join(", "))
            }
            "exception-expired" => "the exception's day has passed".to_owned(),
            name => {
                let from = if self.from.is_empty() {
                    String::new()
                } else {
                    format!(", from {}", self.from.join(", "))
                };
                format!("{name}: over {}{from}", self.through.join(" and "))
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
        screen.line(Mark::Mind, &format!("line {}", self.line), &for_terminal(&text))
    }
}
