//! A guess at the server's version, from what it says before anybody has logged in. A guess, and called so: a vendor may
//! have changed any of it.
//!
//! Sources: `ProcessStartupPacket` (postmaster.c, from 17 on backend_startup.c), `ClientAuthentication` (auth.c), and ALPN,
//! which servers from 17 on choose; measured on 12 to 18.

use super::knowledge::Knowledge;
use super::probe::Outcome;
use crate::message::ServerError;

/// The oldest version that anything here was measured on.
const OLDEST: u16 = 12;
/// The first version with ALPN, and with backend_startup.c.
const WITH_ALPN: u16 = 17;

/// A guess at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The lowest major version that fits; None where an older one than 12 would fit as well.
    pub lowest: Option<u16>,
    /// The highest that fits; None where newer ones would fit as well.
    pub highest: Option<u16>,
    /// A release that says the same from the same place of its source.
    pub release: Option<&'static str>,
    /// What it rests on.
    pub because: Vec<String>,
}

impl Estimate {
    /// From what is known; None where nothing is.
    pub fn of(known: &Knowledge) -> Option<Self> {
        let mut guess = Self { lowest: None, highest: None, release: None, because: Vec::new() };
        if let Some(chosen) = chooses_alpn(known) {
            if chosen {
                guess.at_least(WITH_ALPN, "it chooses postgresql by ALPN");
            } else {
                guess.at_most(WITH_ALPN - 1, "it passes ALPN over");
            }
        }
        errors(known).for_each(|error| guess.by_protocol(error));
        errors(known).for_each(|error| guess.by_line(error));
        (!guess.because.is_empty()).then_some(guess)
    }

    fn at_least(&mut self, version: u16, why: &str) {
        self.lowest = self.lowest.max(Some(version));
        self.note(why.to_owned());
    }

    fn at_most(&mut self, version: u16, why: &str) {
        self.highest = Some(self.highest.map_or(version, |known| known.min(version)));
        self.note(why.to_owned());
    }

    fn note(&mut self, why: String) {
        if !self.because.contains(&why) {
            self.because.push(why);
        }
    }

    fn by_protocol(&mut self, error: &ServerError) {
        if error.file.as_deref() == Some("backend_startup.c") {
            self.at_least(WITH_ALPN, "a refusal comes from backend_startup.c");
        }
        if error.sqlstate.is_some_and(|code| code.as_str() == "0A000") {
            match protocols(&error.message) {
                Some(("2.0", "3.0")) => self.at_most(13, "it speaks protocol 2.0 to 3.0"),
                Some(("3.0", "3.0")) => {
                    self.at_least(14, "it speaks protocol 3.0 alone");
                    self.at_most(WITH_ALPN, "it speaks protocol 3.0 alone");
                }
                Some(("3.0", "3.2")) => self.at_least(18, "it speaks protocol 3.0 to 3.2"),
                _ => {}
            }
        }
    }

    /// Lines move from release to release: one that does not go with the rest says nothing.
    fn by_line(&mut self, error: &ServerError) {
        let (Some(file), Some(line), Some(routine)) = (&error.file, error.line, &error.routine) else {
            return;
        };
        if let Some(release) = release_at(routine, file, line) {
            let major = release.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(OLDEST);
            if self.lowest.is_some_and(|low| major < low) || self.highest.is_some_and(|high| major > high) {
                return;
            }
            let why = format!("{file} line {line} as in {release}");
            self.at_least(major, &why);
            self.at_most(major, &why);
            self.release = Some(release);
        }
    }

    /// `15`, `15 or 16`, `14 to 17`, `18 or later`, `16 or earlier`.
    pub fn versions(&self) -> String {
        match (self.lowest, self.highest) {
            (Some(low), Some(high)) if low == high => low.to_string(),
            (Some(low), Some(high)) if low + 1 == high => format!("{low} or {high}"),
            (Some(low), Some(high)) if low < high => format!("{low} to {high}"),
            // What it says does not go together: somebody between, or a vendor's own.
            (Some(_), Some(_)) => "of no version that is known".to_owned(),
            (Some(low), None) => format!("{low} or later"),
            (None, Some(high)) => format!("{high} or earlier"),
            (None, None) => "of unknown version".to_owned(),
        }
    }
}

/// Whether the server chose `postgresql` where that was offered.
fn chooses_alpn(known: &Knowledge) -> Option<bool> {
    let seen = || known.logins.values().chain(known.direct.get(&true)).flatten();
    let chosen = |alpn: Option<&str>| alpn == Some("postgresql");
    if chosen(known.features.alpn.as_deref()) || seen().any(|seen| chosen(seen.alpn.as_deref())) {
        return Some(true);
    }
    (known.features.seen || seen().next().is_some()).then_some(false)
}

fn errors(known: &Knowledge) -> impl Iterator<Item = &ServerError> {
    let inside = known.logins.values().chain(known.direct.values()).flatten().map(|seen| &seen.outcome);
    known.startups.values().chain(inside).filter_map(|outcome| match outcome {
        Outcome::Refused(error) => Some(&**error),
        _ => None,
    })
}

/// The last two numbers of the form `3.0` in a message: the oldest and newest protocol, in every language.
fn protocols(message: &str) -> Option<(&str, &str)> {
    let mut found = message
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|word| word.len() == 3 && word.as_bytes().get(1) == Some(&b'.'));
    let newest = found.next_back()?;
    let oldest = found.next_back()?;
    Some((oldest, newest))
}

fn release_at(routine: &str, file: &str, line: u32) -> Option<&'static str> {
    include_str!("releases.tsv").lines().filter(|row| !row.starts_with('#')).find_map(|row| {
        let mut fields = row.split('\t');
        let fits = fields.next() == Some(routine)
            && fields.next() == Some(file)
            && fields.next().and_then(|text| text.parse().ok()) == Some(line);
        fits.then(|| fields.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::super::knowledge::{StartupKey, Wish};
    use super::*;

    fn refused(code: &str, message: &str, place: Option<(&str, &str, u32)>) -> Outcome {
        Outcome::Refused(Box::new(ServerError {
            sqlstate: code.parse().ok(),
            message: message.to_owned(),
            routine: place.map(|place| place.0.to_owned()),
            file: place.map(|place| place.1.to_owned()),
            line: place.map(|place| place.2),
            ..ServerError::default()
        }))
    }

    fn guess(outcome: Outcome) -> Option<Estimate> {
        let mut known = Knowledge::new(Wish::default());
        known.startups.insert(StartupKey::Version, outcome);
        Estimate::of(&known)
    }

    #[test]
    fn the_protocols_that_a_server_speaks_tell_its_age_in_every_language() {
        for (message, versions) in [
            ("unsupported frontend protocol 4.0: server supports 2.0 to 3.0", "13 or earlier"),
            ("nicht unterstütztes Frontend-Protokoll 4.0: Server unterstützt 3.0 bis 3.0", "14 to 17"),
            ("unsupported frontend protocol 4.0: server supports 3.0 to 3.2", "18 or later"),
        ] {
            assert_eq!(guess(refused("0A000", message, None)).unwrap().versions(), versions);
        }
        assert_eq!(guess(refused("08P01", "unsupported protocol", None)), None);
    }

    #[test]
    fn a_line_of_the_source_tells_the_major_version() {
        let place = Some(("ClientAuthentication", "auth.c", 476));
        let guess = guess(refused("28000", "pg_hba.conf rejects connection", place)).unwrap();
        assert_eq!((guess.versions(), guess.release), ("15".to_owned(), Some("15.18")));
    }

    #[test]
    fn every_row_of_the_table_can_be_read() {
        for row in include_str!("releases.tsv").lines().filter(|row| !row.starts_with('#')) {
            let [routine, file, line, release] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(release_at(routine, file, line.parse().unwrap()), Some(release), "{row}");
        }
    }
}
