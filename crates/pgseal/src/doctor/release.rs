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
