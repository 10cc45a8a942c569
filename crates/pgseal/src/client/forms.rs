//! The forms in which libpq is told: URI, conninfo, service file, environment, a line of the password file.
//!
//! Knows what each form can hold, and says where one cannot hold a value; refuses to know passwords.

use pgseal_conf::conninfo::{pgpass, service};
use serde::Serialize;
use zeroize::Zeroizing;

use super::syntax::Syntax;
use super::values::Values;
use crate::failure::Result;

/// What stands where a password goes.
const PASSWORD: &str = "PASSWORD";

/// Each None where the form cannot hold what it would have to.
#[derive(Debug, Serialize)]
pub(crate) struct Forms {
    pub(crate) uri: String,
    pub(crate) conninfo: String,
    /// The name of the section below.
    pub(crate) service: String,
    pub(crate) service_file: Option<String>,
    /// Lines for a POSIX shell.
    pub(crate) environment: String,
    /// With PASSWORD in the place of the password.
    pub(crate) pgpass: Option<String>,
}

/// All of them.
pub(crate) fn of(values: &Values) -> Result<Forms> {
    let service = service_name(&values.dbname);
    Ok(Forms {
        uri: values.uri()?,
        conninfo: values.conninfo()?,
        service_file: service_file(values, &service)?,
        service,
        environment: environment(values)?,
        pgpass: pgpass_line(values, PASSWORD).map(|line| line.to_string()),
    })
}

/// The database's name where a section can be called so.
fn service_name(dbname: &str) -> String {
    let plain =
        !dbname.is_empty() && dbname.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { dbname.to_owned() } else { "pgseal".to_owned() }
}

/// A section; None where libpq would read back something else (a line break, spaces at an end, a line that is too long).
fn service_file(values: &Values, name: &str) -> Result<Option<String>> {
    let parameters = values.parameters()?;
    let mut text = format!("[{name}]\n");
    for (keyword, value) in parameters.iter() {
        text.push_str(&format!("{}={value}\n", keyword.name));
    }
    let read = service::find(&text, name).ok().flatten();
    let same =
        read.is_some_and(|read| read.to_conninfo(SHOWN).as_str() == parameters.to_conninfo(SHOWN).as_str());
    Ok(same.then_some(text))
}

const SHOWN: pgseal_conf::conninfo::Secrets = pgseal_conf::conninfo::Secrets::Shown;

fn environment(values: &Values) -> Result<String> {
    let mut text = String::new();
    for (keyword, value) in values.parameters()?.iter() {
        let Some(variable) = keyword.environment else { continue };
        let value = Syntax::Shell.quote(value).unwrap_or_default();
        text.push_str(&format!("export {variable}={value}\n"));
    }
    Ok(text)
}

/// The line for `~/.pgpass`; None where none can hold these names.
pub(crate) fn pgpass_line(values: &Values, password: &str) -> Option<Zeroizing<String>> {
    let host = Some(values.host.as_str());
    pgpass::line(host, Some(values.port), Some(&values.dbname), Some(&values.user), password).ok()
}

#[cfg(test)]
mod tests {
    use pgseal_conf::conninfo::Conninfo;
    use pgseal_wire::SslMode;
    use proptest::prelude::*;

    use super::*;

    fn odd() -> impl Strategy<Value = String> {
        let odd = prop::sample::select("'\"\\{}#$%@:/?&=;+, \tab\u{1f512}[]".chars().collect::<Vec<_>>());
        prop::collection::vec(odd, 1..16).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_what_libpq_reads(user in odd(), dbname in odd(), password in odd(), host in prop::sample::select(
            vec!["localhost", "::1", "10.0.0.5", "db_1.example.org"]))
        {
            let values = Values {
                host: host.to_owned(), port: 5433, user, dbname, mode: SslMode::VerifyFull,
                ca: "/srv/a b/'ca'.crt".to_owned(), own: None,
            };
            let forms = of(&values).unwrap();
            let wanted = values.parameters().unwrap();
            for text in [&forms.uri, &forms.conninfo] {
                let read = Conninfo::parse(text).unwrap();
                prop_assert_eq!(read.to_conninfo(SHOWN).to_string(), wanted.to_conninfo(SHOWN).to_string(), "{}", text);
            }
            if let Some(text) = &forms.service_file {
                let read = service::find(text, &forms.service).unwrap().unwrap();
                prop_assert_eq!(read.get("user"), Some(values.user.as_str()));
                prop_assert_eq!(read.get("dbname"), Some(values.dbname.as_str()));
            }
            let line = pgpass_line(&values, &password).unwrap();
            let found = pgpass::lookup(line.as_str(), host, "5433", &values.dbname, &values.user).unwrap();
            prop_assert_eq!(found.as_str(), Some(password.as_str()));
        }
    }
}
