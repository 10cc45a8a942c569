//! How long a major version of PostgreSQL gets fixes. Knows the calendar of releases.toml, not servers.

use std::collections::BTreeMap;

use pgseal_conf::PgVersion;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::Notes;

pub(super) fn judge(version: PgVersion, now: OffsetDateTime, notes: &mut Notes<'_>) {
    if let Some(last) = last_day(version)
        && now.date() > last
    {
        notes.find("version-end-of-life", format!("PostgreSQL {version} had its last release on {last}"));
    }
}

/// Of a version that is not known here, by its `server_version_num`: whatever came before those that are known had its last
/// release before theirs. Of a later one nothing is said.
pub(super) fn judge_unknown(text: &str, number: u32, notes: &mut Notes<'_>) {
    let [first, ..] = PgVersion::ALL;
    if number / 10_000 < u32::from(first.major())
        && let Some(last) = last_day(first)
    {
        let evidence = format!("PostgreSQL {text}, and even {first} had its last release on {last}");
        notes.find("version-end-of-life", evidence);
    }
}

/// None of a version whose end is not fixed yet.
fn last_day(version: PgVersion) -> Option<Date> {
    // A test reads it; of a broken one no version would have an end.
    let all: BTreeMap<String, String> = toml::from_str(include_str!("releases.toml")).unwrap_or_default();
    let text = all.get(&version.to_string())?;
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: PgVersion, day: Date) -> Vec<&'static str> {
        let mut notes = Notes { word: "15/main", findings: Vec::new(), unseen: Vec::new() };
        judge(version, day.midnight().assume_utc(), &mut notes);
        notes.findings.iter().map(|finding| finding.name).collect()
    }

    #[test]
    fn of_the_versions_that_are_not_known_the_older_ones_are_past_their_end() {
        for (text, number, is_old) in
            [("11.22", 110_022, true), ("9.6.24", 90_624, true), ("20devel", 200_000, false)]
        {
            let mut notes = Notes { word: "15/main", findings: Vec::new(), unseen: Vec::new() };
            judge_unknown(text, number, &mut notes);
            let found: Vec<&str> = notes.findings.iter().map(|finding| finding.name).collect();
            assert_eq!(found, vec!["version-end-of-life"; usize::from(is_old)], "{text}");
        }
    }

    #[test]
    fn every_version_that_was_measured_has_a_last_day_after_which_that_is_found() {
        let days: Vec<Date> =
            PgVersion::MEASURED.into_iter().map(|version| last_day(version).unwrap()).collect();
        assert!(days.is_sorted(), "{days:?}");
        for (version, day) in PgVersion::MEASURED.into_iter().zip(days) {
            assert_eq!(found(version, day), [""; 0], "{version}");
            assert_eq!(found(version, day.next_day().unwrap()), ["version-end-of-life"], "{version}");
        }
    }
}
