//! Drivers: what each has to be told so that it verifies chain and name. The data is drivers.toml.
//!
//! Knows how each syntax quotes; refuses to know where the values come from.

use serde::Deserialize;

use crate::failure::{Failure, Result};

const DATA: &str = include_str!("drivers.toml");

/// How it is known what a driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Known {
    /// It was run against good and bad servers.
    Measured,
    /// Its source was read, and it was not run.
    Read,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    /// What it is known of.
    pub(crate) version: String,
    pub(crate) known: Known,
    text: String,
    /// What its shorter forms would do.
    pub(crate) mind: String,
    /// Why it cannot verify a server by its address, where it cannot.
    pub(crate) no_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    driver: Vec<Driver>,
}

/// What a driver's text is filled with. No password is among it: that comes from a password file or the environment.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) dbname: String,
    /// The file with the CA, absolute.
    pub(crate) ca: String,
    /// With `sslmode=verify-full` and `sslrootcert`, as libpq reads it.
    pub(crate) uri: String,
}

/// All that are known, in the order of the data.
pub(crate) fn all() -> Result<Vec<Driver>> {
    let data: Data = toml::from_str(DATA)
        .map_err(|error| Failure::new(format!("the drivers built in cannot be read: {error}")))?;
    Ok(data.driver)
}

/// One by its name or alias, in any case.
pub(crate) fn named(word: &str) -> Result<Driver> {
    let drivers = all()?;
    let is = |driver: &Driver| {
        let mut names = std::iter::once(&driver.name).chain(&driver.aliases);
        names.any(|name| name.eq_ignore_ascii_case(word))
    };
    let names = drivers.iter().map(|driver| driver.name.as_str()).collect::<Vec<_>>().join(", ");
    drivers.iter().find(|driver| is(driver)).cloned().ok_or_else(|| {
        Failure::usage(format!("no driver {word:?} is known")).hint(format!("--driver {names}"))
    })
}

impl Driver {
    /// Its text with the values in their places.
    pub(crate) fn told(&self, values: &Values) -> Result<String> {
        let mut told = String::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find('{') {
            told.push_str(&rest[..at]);
            rest = &rest[at..];
            let place = rest.find('}').and_then(|end| Some((filled(&rest[1..end], values)?, end)));
            if let Some((value, end)) = place {
                told.push_str(&value?);
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
}

/// The value of `WORD` or `SYNTAX:WORD`; none where it is neither.
fn filled(place: &str, values: &Values) -> Option<Result<String>> {
    let (syntax, word) = place.split_once(':').unwrap_or(("", place));
    let value = match word {
        "host" => values.host.clone(),
        "urlhost" => url_host(&values.host),
        "port" => values.port.to_string(),
        "user" => values.user.clone(),
        "dbname" => values.dbname.clone(),
        "ca" => values.ca.clone(),
        "uri" => values.uri.clone(),
        "plainuri" => format!(
            "postgres://{}@{}:{}/{}",
            percent(&values.user),
            url_host(&values.host),
            values.port,
            percent(&values.dbname)
        ),
        _ => return None,
    };
    match syntax {
        "" => Some(Ok(value)),
        "percent" => Some(Ok(percent(&value))),
        "string" => {
            Some(serde_json::to_string(&value).map_err(|error| Failure::new(format!("no literal: {error}"))))
        }
        "shell" => Some(Ok(format!("'{}'", value.replace('\'', r"'\''")))),
        "net" => Some(Ok(format!("\"{}\"", value.replace('"', "\"\"")))),
        _ => None,
    }
}

fn url_host(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { percent(host) }
}

/// RFC 3986, section 2.3: everything but the unreserved characters, byte by byte.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            host: "::1".into(),
            port: 5433,
            user: "o'neil@\"x\"".into(),
            dbname: "a/b;c".into(),
            ca: "/srv/a b/ca.crt".into(),
            uri: "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/ca.crt".into(),
        }
    }

    fn told(name: &str) -> String {
        named(name).unwrap().told(&values()).unwrap()
    }

    #[test]
    fn every_driver_is_told_to_verify_and_by_which_ca() {
        for driver in all().unwrap() {
            let told = driver.told(&values()).unwrap();
            assert!(told.contains("ca.crt"), "{told}");
            let whole = ["verify-full", "VerifyFull", "ssl: { ca:"];
            assert!(whole.iter().any(|word| told.contains(word)), "{told}");
            for syntax in ["{string:", "{percent:", "{shell:", "{net:", "{port", "{url"] {
                assert!(!told.contains(syntax), "a place that nothing fills: {told}");
            }
        }
    }

    #[test]
    fn each_syntax_quotes_what_it_has_to() {
        assert_eq!(
            told("JDBC"),
            "jdbc:postgresql://[::1]:5433/a%2Fb%3Bc?user=o%27neil%40%22x%22&sslmode=verify-full&sslrootcert=%2Fsrv%2Fa%20b%2Fca.crt"
        );
        assert!(
            told("npgsql")
                .starts_with("Host=\"::1\";Port=5433;Username=\"o'neil@\"\"x\"\"\";Database=\"a/b;c\";")
        );
        assert!(told("postgres.js").contains(r#"fs.readFileSync("/srv/a b/ca.crt", 'utf8')"#));
    }

    #[test]
    fn an_unknown_driver_is_said_with_those_that_are_known() {
        let failure = named("odbcx").unwrap_err();
        assert!(failure.to_string().contains("libpq, asyncpg"), "{failure}");
    }
}
