//! For which versions a file is judged, and how a set of versions reads.

use pgseal_conf::PgVersion;

use crate::failure::{Failure, Result};

/// `--pg-version`, else the version of the live server, else every version that was measured.
pub(crate) fn versions(asked: Option<&str>, live: Option<PgVersion>) -> Result<Vec<PgVersion>> {
    match (asked, live) {
        (Some(text), _) => {
            let version = text.parse().map_err(|error| {
                Failure::usage(format!("--pg-version {text}: {error}")).hint("--pg-version 16")
            })?;
            Ok(vec![version])
        }
        (None, Some(version)) => Ok(vec![version]),
        (None, None) => Ok(PgVersion::MEASURED.to_vec()),
    }
}

/// `12`, `12, 13`, `14 to 18`; neighbours are drawn together.
pub(crate) fn spelled(versions: &[PgVersion]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for major in versions.iter().map(|version| version.major()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == major => *last = major,
            _ => runs.push((major, major)),
        }
    }
    let run = |(first, last): &(u16, u16)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_versions_are_drawn_together() {
        let of = |majors: &[&str]| -> Vec<PgVersion> { majors.iter().map(|m| m.parse().unwrap()).collect() };
        assert_eq!(spelled(&of(&["12", "13"])), "12, 13");
        assert_eq!(spelled(&of(&["12", "14", "15", "16", "18"])), "12, 14 to 16, 18");
    }
}
