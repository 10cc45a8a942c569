//! A connection string that somebody has, in any of the forms that drivers take: a URI, JDBC's and R2DBC's, .NET's, ODBC's, the
//! DSN of PDO and DBI, libpq's `keyword=value`.
//!
//! Knows how each form is taken apart; refuses to know what a driver makes of the parameters.

use pgseal_conf::conninfo::{Conninfo, is_uri};

use crate::failure::{Failure, Result};

/// Parameters that are secret, in letters alone.
const SECRET: [&str; 6] =
    ["password", "pwd", "sslpassword", "keystorepassword", "sslkeypassword", "passphrase"];

/// A form, by who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Uri,
    Conninfo,
    Jdbc,
    R2dbc,
    DotNet,
    Odbc,
    Pdo,
    Dbi,
}

impl Form {
    /// The word in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Uri => "uri",
            Self::Conninfo => "conninfo",
            Self::Jdbc => "jdbc",
            Self::R2dbc => "r2dbc",
            Self::DotNet => "dotnet",
            Self::Odbc => "odbc",
            Self::Pdo => "pdo",
            Self::Dbi => "dbi",
        }
    }

    /// The driver whose form it is, where nobody names one.
    pub(crate) const fn driver(self) -> &'static str {
        match self {
            Self::Uri | Self::Conninfo => "libpq",
            Self::Jdbc => "pgjdbc",
            Self::R2dbc => "R2DBC",
            Self::DotNet => "Npgsql",
            Self::Odbc => "psqlODBC",
            Self::Pdo => "PHP PDO",
            Self::Dbi => "DBD::Pg",
        }
    }
}

/// What a string says. The password is left out as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) form: Form,
    pub(crate) host: Option<String>,
    /// Names in letters alone, lower case (`sslrootcert`, `rootcertificate`), with their values.
    parameters: Vec<(String, String)>,
    /// The string as it may be printed.
    pub(crate) masked: String,
    /// Whether there was something to mask.
    pub(crate) has_secret: bool,
}

impl Said {
    /// A parameter by any of these names, the last one said.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Takes a string apart. Errors never hold its text: a password may be anywhere in what cannot be read.
pub(crate) fn read(text: &str) -> Result<Said> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("jdbc:") {
        return of_url(Form::Jdbc, "jdbc:", rest);
    }
    if let Some(rest) = text.strip_prefix("r2dbc:") {
        return of_url(Form::R2dbc, "r2dbc:", rest);
    }
    for (form, prefix) in [(Form::Pdo, "pgsql:"), (Form::Dbi, "dbi:Pg:")] {
        let fits = text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if fits {
            return of_conninfo(form, prefix, &text[prefix.len()..].replace(';', " "));
        }
    }
    if is_uri(text) || text.split_once("://").is_some_and(|(scheme, _)| scheme.starts_with("postgres")) {
        return of_url(Form::Uri, "", text);
    }
    if let Some(said) = of_pairs(text) {
        return Ok(said);
    }
    of_conninfo(Form::Conninfo, "", text)
}

fn unreadable(form: Form, why: &str) -> Failure {
    Failure::usage(format!("the string for --check cannot be read as {}: {why}", form.as_str()))
        .hint("quote it for the shell, and percent-encode what a URI takes for its own")
}

/// `scheme://user:password@host:port/dbname?name=value&…`; JDBC's without a user.
fn of_url(form: Form, prefix: &str, url: &str) -> Result<Said> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| unreadable(form, "there is no ://"))?;
    let (rest, fragment) = rest.split_once('#').map_or((rest, ""), |(rest, fragment)| (rest, fragment));
    if !fragment.is_empty() {
        return Err(unreadable(form, "a # has to be written as %23"));
    }
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
    let (netloc, path) = place.split_once('/').map_or((place, None), |(netloc, path)| (netloc, Some(path)));
    let (user, hosts) = netloc.rsplit_once('@').map_or((None, netloc), |(user, hosts)| (Some(user), hosts));
    let first = hosts.split(',').next().unwrap_or_default();
    let host = host_of(first).map_or_else(String::new, str::to_owned);
    let mut parameters = Vec::new();
    let mut shown = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = letters(name);
        let secret = SECRET.contains(&plain.as_str());
        shown.push(if secret { format!("{name}=****") } else { pair.to_owned() });
        if !secret {
            let value =
                decoded(value).ok_or_else(|| unreadable(form, "a % is not followed by two hex digits"))?;
            parameters.push((plain, value));
        }
    }
    let with_password = user.is_some_and(|user| user.contains(':'));
    let has_secret = with_password || shown.iter().any(|pair| pair.ends_with("=****"));
    let user = user.map(|user| match user.split_once(':') {
        Some((user, _)) => format!("{user}:****@"),
        None => format!("{user}@"),
    });
    let mut masked = format!("{prefix}{scheme}://{}{hosts}", user.unwrap_or_default());
    if let Some(path) = path {
        masked.push('/');
        masked.push_str(path);
    }
    if !shown.is_empty() {
        masked.push('?');
        masked.push_str(&shown.join("&"));
    }
    let host = decoded(&host).ok_or_else(|| unreadable(form, "a % is not followed by two hex digits"))?;
    let named = parameters.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
    Ok(Said {
        form,
        host: named.or(Some(host)).filter(|host| !host.is_empty()),
        parameters,
        masked,
        has_secret,
    })
}

/// `host`, `host:port`, `[::1]:port`.
fn host_of(text: &str) -> Option<&str> {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, _)| host),
        None => Some(text.split_once(':').map_or(text, |(host, _)| host)),
    }
}

/// libpq's own form; libpq's words where it is none.
fn of_conninfo(form: Form, prefix: &str, text: &str) -> Result<Said> {
    // What libpq would say holds words of the string.
    let parsed = Conninfo::parse(text).map_err(|_| {
        unreadable(
            form,
            "it holds something else than keyword=value with libpq's keywords, or a value that wants quotes",
        )
    })?;
    let has_secret = parsed.iter().any(|(keyword, _)| keyword.secret);
    let parameters = parsed
        .iter()
        .filter(|(keyword, _)| !keyword.secret)
        .map(|(keyword, value)| (letters(keyword.name), value.to_owned()))
        .collect();
    let masked = parsed.to_conninfo(pgseal_conf::conninfo::Secrets::Masked).to_string();
    let first = parsed.get("host").and_then(|hosts| hosts.split(',').next()).map(str::to_owned);
    Ok(Said {
        form,
        host: first.filter(|host| !host.is_empty()),
        parameters,
        has_secret,
        masked: format!("{prefix}{masked}"),
    })
}

/// `Name=value;…` of .NET and of ODBC; None where it is none of them.
fn of_pairs(text: &str) -> Option<Said> {
    let mut parameters = Vec::new();
    let mut shown = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, raw, left) = pair_value(after)?;
        let plain = letters(name);
        let secret = SECRET.contains(&plain.as_str());
        let name = name.trim();
        shown.push(if secret { format!("{name}=****") } else { format!("{name}={raw}") });
        if !secret {
            parameters.push((plain, value));
        }
        rest = left;
    }
    let has = |names: &[&str]| parameters.iter().any(|(name, _)| names.contains(&name.as_str()));
    // libpq's words are lower case and parted by spaces; these are parted by semicolons.
    if !text.contains(';') || !has(&["host", "server", "servername", "dsn"]) {
        return None;
    }
    let odbc = has(&["driver", "dsn", "pqopt", "uid", "servername"]);
    let host = parameters.iter().find(|(name, _)| ["host", "server", "servername"].contains(&name.as_str()));
    Some(Said {
        form: if odbc { Form::Odbc } else { Form::DotNet },
        host: host.map(|(_, value)| value.split(',').next().unwrap_or_default().to_owned()),
        has_secret: shown.iter().any(|pair| pair.ends_with("=****")),
        masked: shown.join(";"),
        parameters,
    })
}

/// A value up to its semicolon, in quotes or braces that are doubled inside: unquoted, as it stands, and what follows.
fn pair_value(text: &str) -> Option<(String, &str, &str)> {
    let start = text.len() - text.trim_start().len();
    let inner = &text[start..];
    let close = match inner.chars().next() {
        Some('"') => '"',
        Some('\'') => '\'',
        Some('{') => '}',
        _ => {
            let end = text.find(';').unwrap_or(text.len());
            return Some((
                text[..end].trim().to_owned(),
                text[..end].trim(),
                text.get(end + 1..).unwrap_or_default(),
            ));
        }
    };
    let mut value = String::new();
    let mut chars = inner.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != close {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == close) {
            value.push(c);
            chars.next();
        } else {
            let after = inner[at + c.len_utf8()..].trim_start();
            let left = after.strip_prefix(';').or_else(|| after.is_empty().then_some(""))?;
            return Some((value, &inner[..=at], left));
        }
    }
    None
}

/// A name without spaces, dashes and case: `SSL Mode`, `sslMode` and `sslmode` are one.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// RFC 3986, section 2.1; None where a `%` stands alone or the bytes are no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit =
                |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_is_told_apart_and_taken_apart() {
        for (text, form, host, mode, masked) in [
            (
                "postgres://app:s3cret@db1:5432/shop?sslmode=require",
                Form::Uri,
                "db1",
                "require",
                "postgres://app:****@db1:5432/shop?sslmode=require",
            ),
            (
                "jdbc:postgresql://[::1]:5432/shop?user=app&password=s3cret&sslmode=verify-full",
                Form::Jdbc,
                "::1",
                "verify-full",
                "jdbc:postgresql://[::1]:5432/shop?user=app&password=****&sslmode=verify-full",
            ),
            (
                "r2dbc:postgresql://app:s3cret@db1/shop?sslMode=require",
                Form::R2dbc,
                "db1",
                "require",
                "r2dbc:postgresql://app:****@db1/shop?sslMode=require",
            ),
            (
                "Host=db1;Username=app;Password=\"s3cret;x\"\"y\";SSL Mode=Require",
                Form::DotNet,
                "db1",
                "Require",
                "Host=db1;Username=app;Password=****;SSL Mode=Require",
            ),
            (
                "Driver={PostgreSQL Unicode};Server=db1;Uid=app;Pwd={s3cret;}}};SSLmode=require",
                Form::Odbc,
                "db1",
                "require",
                "Driver={PostgreSQL Unicode};Server=db1;Uid=app;Pwd=****;SSLmode=require",
            ),
            (
                "pgsql:host=db1;dbname=shop;password=s3cret;sslmode=require",
                Form::Pdo,
                "db1",
                "require",
                "pgsql:password=**** dbname=shop host=db1 sslmode=require",
            ),
            (
                "host=db1 password='s3cret x' sslmode=require",
                Form::Conninfo,
                "db1",
                "require",
                "password=**** host=db1 sslmode=require",
            ),
        ] {
            let said = read(text).unwrap();
            assert_eq!((said.form, said.host.as_deref()), (form, Some(host)), "{text}");
            assert_eq!(said.get(&["sslmode"]), Some(mode), "{text}");
            assert_eq!(said.masked, masked);
        }
        assert_eq!(read("dbi:Pg:host=db1;sslmode=require").unwrap().form, Form::Dbi);
    }

    #[test]
    fn what_cannot_be_read_is_said_without_its_text() {
        for text in ["host=db1 sslmod=require password=s3cret", "postgres://u:s3cret%zz@h/d?a=%zz", "s3cret"]
        {
            let said = read(text).unwrap_err().to_string();
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_password_is_left_in_what_is_shown(password in "[a-zA-Z0-9]{12,20}") {
            for text in [
                format!("postgres://app:{password}@db1/shop"),
                format!("postgres://app@db1/shop?password={password}&sslmode=require"),
                format!("jdbc:postgresql://db1/shop?password={password}&sslpassword={password}"),
                format!("Host=db1;PASSWORD={password};SSL Mode=Require"),
                format!("Server=db1;Uid=a;pwd='{password}'"),
                format!("pgsql:host=db1;password={password}"),
                format!("host=db1 sslpassword={password} password={password}"),
            ] {
                let said = read(&text).unwrap();
                prop_assert!(!said.masked.contains(&password), "{}", said.masked);
                let whole = format!("{said:?}");
                prop_assert!(!whole.contains(&password), "{}", whole);
            }
        }
    }
}
