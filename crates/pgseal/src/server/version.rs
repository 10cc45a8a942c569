//! PostgreSQL's version numbers.

use std::fmt;

/// A version as `postgres --version` prints it: major and minor, or what stands for the minor in a
/// beta.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PgVersion {
    pub(crate) major: u16,
    minor: u16,
    text: String,
}

/// The oldest version that pgseal works with: `ssl_library` and `-C` behave from here on.
pub(crate) const OLDEST: u16 = 12;

impl PgVersion {
    /// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or the bare number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number =
            text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        let major = digits(number);
        let rest = number.get(major.len()..)?;
        let minor = rest.strip_prefix('.').map(digits).unwrap_or_default();
        // It goes into pgseal.toml, and any program can be named with --bindir.
        let text: String =
            number.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').take(32).collect();
        Some(Self { major: major.parse().ok()?, minor: minor.parse().unwrap_or(0), text })
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_postgres_prints_them() {
        for (text, major, shown) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15, "15.18"),
            ("postgres (PostgreSQL) 19beta1", 19, "19beta1"),
            ("postgres (PostgreSQL) 9.6.24", 9, "9.6.24"),
            ("18.4", 18, "18.4"),
            ("postgres (PostgreSQL) 18.4\u{1b}[2J", 18, "18.4"),
        ] {
            let version = PgVersion::parse(text).unwrap();
            assert_eq!((version.major, version.to_string().as_str()), (major, shown));
        }
        assert_eq!(PgVersion::parse("postgres: command not found"), None);
    }

    #[test]
    fn newer_versions_sort_above_older_ones() {
        let parse = |text| PgVersion::parse(text).unwrap();
        assert!(parse("15.9") < parse("15.18"));
        assert!(parse("9.6") < parse("12.22"));
        assert!(parse("18.4") > parse("17.10"));
    }
}
