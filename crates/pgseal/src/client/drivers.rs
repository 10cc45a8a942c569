//! Drivers: what each has to be told so that it verifies chain and name. The data is drivers.toml.
//!
//! Knows how a driver's text is filled and which row is for which version; refuses to know where the values come from.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::check::string::Said;
use super::nearest::nearest;
use super::syntax::Syntax;
use super::values::Values;
use crate::failure::{Failure, Result};

const DATA: &str = include_str!("drivers.toml");

/// How it is known what a driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Known {
    /// The tests run its text against good and bad servers.
    Run,
    /// It was run against good and bad servers, and the tests do not repeat that.
    Measured,
    /// Its source or its documentation was read, and it was not run.
    Read,
}

impl Known {
    /// The words for people and for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run by the tests",
            Self::Measured => "measured, not run by the tests",
            Self::Read => "read, not run",
        }
    }
}

/// Which names of a certificate count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Names {
    /// Subject alternative names, and the common name where there are none.
    #[default]
    Common,
    /// Subject alternative names alone.
    San,
}

/// A driver, or one span of its versions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    /// What its text is written in.
    pub(crate) language: String,
    /// What it is known of.
    pub(crate) version: String,
    pub(crate) known: Known,
    /// The first version that the row is for.
    since: Option<String>,
    /// The first version that it is not for any more.
    before: Option<String>,
    text: String,
    /// What comes to the text with a client certificate.
    mtls: Option<String>,
    /// What stands in that place without one.
    otherwise: Option<String>,
    /// How a client certificate is given where the text cannot hold it.
    pub(crate) no_mtls: Option<String>,
    /// All in one string.
    url: Option<String>,
    /// What its shorter forms would do.
    pub(crate) short: String,
    pub(crate) source: String,
    /// Why it cannot verify a server by its address, where it cannot.
    pub(crate) no_address: Option<String>,
    #[serde(default)]
    pub(crate) names: Names,
    /// Whether it takes X.509 v3 only, as webpki does.
    #[serde(default)]
    pub(crate) strict: bool,
    /// Whether it binds SCRAM to the certificate unasked, as libpq does.
    #[serde(default)]
    pub(crate) binds: bool,
    /// Parameters of libpq's that it passes over, or that keep it from connecting: why.
    #[serde(default)]
    minds: BTreeMap<String, String>,
    #[serde(default)]
    modes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    driver: Vec<Driver>,
}

/// All that are known, in the order of the data.
pub(crate) fn all() -> Result<Vec<Driver>> {
    let data: Data = toml::from_str(DATA)
        .map_err(|error| Failure::new(format!("the drivers built in cannot be read: {error}")))?;
    Ok(data.driver)
}

/// One by `NAME` or `NAME@VERSION`, the name or an alias in any case; without a version the row of the newest.
pub(crate) fn named(word: &str) -> Result<Driver> {
    let (name, version) = word.split_once('@').map_or((word, None), |(name, version)| (name, Some(version)));
    let drivers = all()?;
    let rows: Vec<&Driver> = drivers.iter().filter(|driver| driver.is_called(name)).collect();
    if rows.is_empty() {
        return Err(unknown(name, &drivers));
    }
    let Some(version) = version else {
        // The row that the tests run comes first where it has no end; otherwise the one without an end.
        let newest = rows.iter().find(|row| row.before.is_none()).or(rows.first());
        return newest.map(|row| (*row).clone()).ok_or_else(|| unknown(name, &drivers));
    };
    let numbers = numbers(version).ok_or_else(|| {
        Failure::usage(format!("{version:?} is no version of {name}")).hint(format!("--driver {name}@8.1"))
    })?;
    rows.iter().find(|row| row.is_for(&numbers)).map(|row| (*row).clone()).ok_or_else(|| {
        let spans = rows.iter().map(|row| row.span()).collect::<Vec<_>>().join(", or ");
        Failure::usage(format!("nothing is known of {name} {version}, only of {spans}"))
            .hint(format!("--driver {name}"))
    })
}

fn unknown(name: &str, drivers: &[Driver]) -> Failure {
    let mut names: Vec<&str> = Vec::new();
    for driver in drivers {
        names.extend(std::iter::once(driver.name.as_str()).chain(driver.aliases.iter().map(String::as_str)));
    }
    let near = nearest(name, &names);
    let failure = Failure::usage(format!("no driver {name:?} is known"));
    if near.is_empty() {
        let mut all: Vec<&str> = drivers.iter().map(|driver| driver.name.as_str()).collect();
        all.dedup();
        return failure.because(format!("those that are: {}", all.join(", "))).hint("--driver libpq");
    }
    failure.hint(near.iter().map(|near| format!("--driver {near}")).collect::<Vec<_>>().join(", or "))
}

/// `42.7.4` as numbers; what follows them (`-beta1`) counts for nothing.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let plain: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let found: Option<Vec<u32>> =
        plain.trim_end_matches('.').split('.').map(|part| part.parse().ok()).collect();
    found.filter(|found| !found.is_empty())
}

impl Driver {
    fn is_called(&self, name: &str) -> bool {
        std::iter::once(&self.name).chain(&self.aliases).any(|own| own.eq_ignore_ascii_case(name))
    }

    fn is_for(&self, version: &[u32]) -> bool {
        let bound = |text: &Option<String>| text.as_deref().and_then(numbers);
        // 42.7 stands for the whole of 42.7, so a bound of three parts is compared as far as was said.
        let begins =
            bound(&self.since).is_none_or(|since| version >= since.as_slice() || since.starts_with(version));
        begins && bound(&self.before).is_none_or(|before| version < before.as_slice())
    }

    /// The versions that it is for.
    fn span(&self) -> String {
        match (&self.since, &self.before) {
            (Some(since), Some(before)) => format!("{since} up to {before}"),
            (Some(since), None) => format!("{since} and later"),
            (None, Some(before)) => format!("before {before}"),
            (None, None) => "every version".to_owned(),
        }
    }

    /// Its text with the values in their places; the reason where it cannot hold one of them.
    pub(crate) fn told(&self, values: &Values) -> Result<String, String> {
        let part = if values.own.is_some() { &self.mtls } else { &self.otherwise };
        let mtls = part.as_ref().map_or(Ok(String::new()), |part| fill(part, values, ""))?;
        Ok(fill(&self.text, values, &mtls)?.trim_start_matches('\n').to_owned())
    }

    /// Whether its text says the mode that was asked for, as libpq's own strings do.
    pub(crate) fn follows_mode(&self) -> bool {
        self.text.contains(":uri}") || self.text.contains(":conninfo}")
    }

    /// All in one string, where it has such a form.
    pub(crate) fn url(&self, values: &Values) -> Option<String> {
        self.url.as_ref().and_then(|url| fill(url, values, "").ok())
    }

    /// What an sslmode of its own comes to, `default` where none is said: without a CA and with one.
    pub(crate) fn mode(&self, word: &str) -> Option<(&str, &str)> {
        let told = self.modes.get(&word.to_ascii_lowercase())?;
        Some(told.split_once('|').unwrap_or((told, told)))
    }

    /// What to mind of the parameters that a string has.
    pub(crate) fn minds(&self, said: &Said) -> Vec<(&str, &str)> {
        let minds = self
            .minds
            .iter()
            .filter(|(name, _)| said.get(&[&name.replace('_', "").to_ascii_lowercase()]).is_some());
        minds.map(|(name, why)| (name.as_str(), why.as_str())).collect()
    }

    /// Every word for sslmode that it knows, `default` for none, with what it comes to without a CA and with one.
    pub(crate) fn modes(&self) -> Vec<(&str, &str, &str)> {
        let words = self.modes.keys().map(String::as_str);
        words.filter_map(|word| self.mode(word).map(|(without, with)| (word, without, with))).collect()
    }
}

/// The template with the values in their places.
fn fill(template: &str, values: &Values, mtls: &str) -> Result<String, String> {
    let mut told = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        told.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.find('}') else { break };
        let word = &rest[1..end];
        let filled = if word == "mtls" { Some(Ok(mtls.to_owned())) } else { value(word, values) };
        if let Some(filled) = filled {
            told.push_str(&filled?);
            rest = &rest[end + 1..];
        } else {
            // A brace of the language.
            told.push('{');
            rest = &rest[1..];
        }
    }
    told.push_str(rest);
    Ok(told)
}

/// The value of `WORD` or `SYNTAX:WORD`; none where it is neither.
fn value(place: &str, values: &Values) -> Option<Result<String, String>> {
    let (syntax, word) = place.split_once(':').unwrap_or(("", place));
    let syntax = Syntax::named(syntax)?;
    let value = values.of(word)?;
    // Strings of several parts are quoted already; as they stand they are only quoted again.
    Some(value.and_then(|value| syntax.quote(&value).map_err(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use pgseal_wire::SslMode;

    use super::*;
    use crate::client::values::OwnCertificate;

    fn values(own: bool) -> Values {
        Values {
            host: "::1".into(),
            port: 5433,
            user: "o'neil@\"x\"".into(),
            dbname: "a/b c".into(),
            mode: SslMode::VerifyFull,
            ca: "/srv/a b/ca.crt".into(),
            own: own
                .then(|| OwnCertificate { certificate: "/srv/own.crt".into(), key: "/srv/own.key".into() }),
        }
    }

    #[test]
    fn every_text_names_the_ca_and_leaves_no_place_open() {
        for driver in all().unwrap() {
            for own in [false, true] {
                let told = driver.told(&values(own)).unwrap();
                assert!(told.contains("ca.crt"), "{told}");
                for open in ["string:", "percent:", "single:", "net:", "{port", "{url", "{uri", "{mtls"] {
                    assert!(!told.contains(open), "a place that nothing fills: {told}");
                }
                let held = told.contains("own.crt") && told.contains("own.key");
                assert_eq!(held, own && driver.no_mtls.is_none(), "{} {told}", driver.name);
            }
            let known = [
                "plaintext",
                "plaintext-first",
                "tls",
                "tls-or-plaintext",
                "chain",
                "chain-or-plaintext",
                "full",
                "plaintext-first-chain",
                "full-by-name",
                "public",
                "public-chain",
                "refused",
                "unknown",
            ];
            for word in driver.modes.values().flat_map(|told| told.split('|')) {
                assert!(known.contains(&word), "{}: {word}", driver.name);
            }
        }
    }

    #[test]
    fn each_form_quotes_what_it_has_to() {
        let told = |name: &str| named(name).unwrap().told(&values(false)).unwrap();
        assert_eq!(
            named("jdbc@42.5.5").unwrap().url(&values(false)).unwrap(),
            "jdbc:postgresql://[::1]:5433/a%2Fb%20c?user=o%27neil%40%22x%22&sslmode=verify-full&sslrootcert=%2Fsrv%2Fa%20b%2Fca.crt"
        );
        assert!(
            told("npgsql")
                .starts_with("Host=\"::1\";Port=5433;Username=\"o'neil@\"\"x\"\"\";Database=\"a/b c\";")
        );
        assert!(told("odbc").contains("Database=a/b c;Uid=o'neil@\"x\";SSLmode=verify-full;"));
        assert!(told("pdo").contains(r"new PDO('pgsql:host=\'::1\';port=\'5433\';dbname=\'a/b c\';"));
        assert!(told("postgres.js").contains(r#"fs.readFileSync("/srv/a b/ca.crt", 'utf8')"#));
        let odd = Values { dbname: "a;b".into(), ..values(false) };
        assert_eq!(named("pdo").unwrap().told(&odd), Err("PDO's DSN cannot hold a semicolon".into()));
    }

    #[test]
    fn a_version_finds_its_row_and_an_unknown_one_is_said() {
        let version = |word: &str| named(word).unwrap().version;
        assert_eq!(version("pgjdbc@42.5.5"), "42.5.5");
        assert_eq!(version("pgjdbc@42.7.3"), "42.5.5");
        assert_eq!(version("pgjdbc@42.7.4"), "42.7.12");
        assert_eq!(version("JDBC"), "42.7.12");
        assert_eq!(version("lib/pq@1.10.7"), "1.10.7");
        assert_eq!(version("pg@8.11"), "8.23.0 and before");
        assert!(
            named("pgjdbc@9.4")
                .unwrap_err()
                .to_string()
                .contains("only of 42.2 up to 42.7.4, or 42.7.4 and later")
        );
        assert!(named("pgjdbc@new").unwrap_err().to_string().contains("is no version of pgjdbc"));
    }

    #[test]
    fn an_unknown_driver_is_said_with_its_neighbours() {
        let said = |word: &str| named(word).unwrap_err().to_string();
        assert!(said("psycop").contains("--driver psycopg"), "{}", said("psycop"));
        assert!(said("asynpg").contains("--driver asyncpg"));
        assert!(said("zzzzzz").contains("those that are: libpq, psycopg2"), "{}", said("zzzzzz"));
    }
}
