//! How each language and each connection string quotes a value, so that any user, database and path survives.
//!
//! Knows the rules of quoting and where they are from; refuses to know what is quoted.

/// A way of writing a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// As it stands, for settings that people type.
    Plain,
    /// Part of a URI: RFC 3986, section 2.1.
    Percent,
    /// A literal in double quotes as JSON has it (RFC 8259, section 7), which Python, JavaScript, Go, C# and YAML read alike.
    String,
    /// Java's: its compiler reads `\u000a` before it reads the literal (JLS, 3.3), so control characters are octal (JLS, 3.10.7).
    Java,
    /// Rust's, with `\u{…}`.
    Rust,
    /// YAML that Spring reads: `${` and `#{` are its own, and nothing escapes them.
    Spring,
    /// YAML that Rails runs through ERB first.
    Erb,
    /// Elixir's, where `#{` interpolates.
    Elixir,
    /// In single quotes with `\\` and `\'` and nothing else: Ruby, PHP, Perl.
    Single,
    /// A word of a POSIX shell.
    Shell,
    /// A value of a .NET connection string, in double quotes that are doubled.
    Net,
    /// A value of a libpq conninfo (`conninfo_parse`, fe-connect.c).
    Conninfo,
    /// A value of an ODBC connection string, in braces of which the closing one is doubled: psqlODBC reads pqopt and Pwd so.
    Odbc,
    /// Server, Database and Uid of psqlODBC: it takes them as they stand up to the semicolon, and braces for part of them
    /// (`copyConnAttributes`, dlg_specific.c).
    OdbcPlain,
    /// A literal of SQL under `standard_conforming_strings`.
    Sql,
    /// A value of postgresql.conf (guc-file.l: doubled quotes, C escapes).
    Conf,
    /// A value of a connection line in pgbouncer.ini, whose quotes are doubled (`cstr_get_pair`, PgBouncer's loader.c).
    Ini,
}

impl Syntax {
    /// By its word in the data.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "" => Self::Plain,
            "percent" => Self::Percent,
            "string" => Self::String,
            "java" => Self::Java,
            "rust" => Self::Rust,
            "spring" => Self::Spring,
            "erb" => Self::Erb,
            "elixir" => Self::Elixir,
            "single" => Self::Single,
            "shell" => Self::Shell,
            "net" => Self::Net,
            "odbc" => Self::Odbc,
            "odbcplain" => Self::OdbcPlain,
            "sql" => Self::Sql,
            "conf" => Self::Conf,
            "ini" => Self::Ini,
            _ => return None,
        })
    }

    /// The value so written; the reason where this syntax cannot hold it.
    pub(crate) fn quote(self, value: &str) -> Result<String, &'static str> {
        let one_line = |why| if value.contains(['\n', '\r']) { Err(why) } else { Ok(()) };
        Ok(match self {
            Self::Plain => {
                one_line("a setting cannot hold a line break")?;
                value.to_owned()
            }
            Self::Percent => percent(value),
            Self::Spring if value.contains("${") || value.contains("#{") => {
                return Err("Spring takes ${ and #{ for its own, and nothing escapes them");
            }
            Self::Erb if value.contains("<%") => return Err("ERB takes <% for its own"),
            Self::String | Self::Spring | Self::Erb => serde_json::Value::from(value).to_string(),
            Self::Java => java(value),
            Self::Rust => format!("{value:?}"),
            Self::Elixir => serde_json::Value::from(value).to_string().replace("#{", "\\#{"),
            Self::Single => format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Shell => format!("'{}'", value.replace('\'', r"'\''")),
            Self::Net => format!("\"{}\"", value.replace('"', "\"\"")),
            Self::Conninfo => conninfo(value),
            Self::Odbc => format!("{{{}}}", value.replace('}', "}}")),
            Self::OdbcPlain if value.contains(';') => {
                return Err("psqlODBC cannot be given a semicolon in a name");
            }
            Self::OdbcPlain if value.starts_with('{') || value.trim() != value => {
                return Err(
                    "psqlODBC cannot be given a name that begins with a brace, or begins or ends with a space",
                );
            }
            Self::OdbcPlain => value.to_owned(),
            Self::Sql => format!("'{}'", value.replace('\'', "''")),
            Self::Conf => {
                one_line("a line of postgresql.conf cannot hold a line break")?;
                format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"))
            }
            Self::Ini => {
                one_line("a line of pgbouncer.ini cannot hold a line break")?;
                format!("'{}'", value.replace('\'', "''"))
            }
        })
    }
}

/// RFC 3986, section 2.3: everything but the unreserved characters, byte by byte.
pub(crate) fn percent(text: &str) -> String {
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

/// A host in a URI: an IPv6 address in brackets (RFC 3986, section 3.2.2).
pub(crate) fn url_host(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { percent(host) }
}

/// Always quoted: a value may be empty.
fn conninfo(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

fn java(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            // `\\u0041` is no escape: the backslashes before the u are counted (JLS, 3.3).
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use pgseal_conf::conninfo::Conninfo;
    use proptest::prelude::*;

    use super::*;

    /// Whatever a name, a password or a path may hold: any character but NUL.
    fn any_value() -> impl Strategy<Value = String> {
        let odd =
            prop::sample::select("'\"\\{}#$%@:/?&=;+ \u{9}\n`*!é漢\u{1f512}".chars().collect::<Vec<_>>());
        prop::collection::vec(prop_oneof![odd, any::<char>()], 0..24)
            .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
    }

    /// What stands between the first and the last character, with `twice` standing for one.
    fn undoubled(text: &str, twice: char) -> String {
        let inner = &text[1..text.len() - 1];
        let mut out = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c == twice {
                assert_eq!(chars.next(), Some(twice), "a lone {twice} would end the value: {text}");
            }
            out.push(c);
        }
        out
    }

    /// A literal in which a backslash takes the next character as it is.
    fn unslashed(text: &str, quote: char) -> String {
        let inner = &text[1..text.len() - 1];
        let mut out = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            assert_ne!(c, quote, "a lone quote would end the value: {text}");
            out.push(if c == '\\' { chars.next().expect("a backslash ends nothing") } else { c });
        }
        out
    }

    fn unpercented(text: &str) -> String {
        let bytes = text.as_bytes();
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'%' {
                out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
                at += 3;
            } else {
                assert!(bytes[at].is_ascii_alphanumeric() || b"-._~".contains(&bytes[at]));
                out.push(bytes[at]);
                at += 1;
            }
        }
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_value_survives_every_syntax(value in any_value()) {
            let quoted = |syntax: Syntax| syntax.quote(&value).unwrap();
            prop_assert_eq!(&unpercented(&quoted(Syntax::Percent)), &value);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(Syntax::String)).unwrap(), value.clone());
            prop_assert_eq!(&unslashed(&quoted(Syntax::Single), '\''), &value);
            prop_assert_eq!(&undoubled(&quoted(Syntax::Net), '"'), &value);
            prop_assert_eq!(&undoubled(&quoted(Syntax::Odbc), '}'), &value);
            prop_assert_eq!(&undoubled(&quoted(Syntax::Sql), '\''), &value);
            let text = format!("user={} password=x", quoted(Syntax::Conninfo));
            let parsed = Conninfo::parse(&text).unwrap();
            prop_assert_eq!(parsed.get("user"), Some(value.as_str()));
            let elixir = quoted(Syntax::Elixir);
            prop_assert!(!elixir.replace("\\#{", "").contains("#{"), "{}", elixir);
            let java = quoted(Syntax::Java);
            prop_assert!(!java.chars().any(|c| c.is_ascii_control()), "{}", java);
            match Syntax::Conf.quote(&value) {
                Err(_) => prop_assert!(value.contains(['\n', '\r'])),
                Ok(text) => {
                    let back = undoubled(&text.replace(r"\\", "\\"), '\'');
                    prop_assert_eq!(&back, &value);
                }
            }
        }

        #[test]
        fn a_shell_reads_back_what_was_quoted(value in any_value()) {
            // Every quote of the value is outside of quotes and behind a backslash; the rest is inside, where nothing is special.
            let quoted = Syntax::Shell.quote(&value).unwrap();
            let back: Vec<&str> = quoted[1..quoted.len() - 1].split(r"'\''").collect();
            prop_assert!(back.iter().all(|part| !part.contains('\'')));
            prop_assert_eq!(back.join("'"), value);
        }
    }

    #[test]
    fn an_ipv6_host_stands_in_brackets() {
        assert_eq!((url_host("::1").as_str(), url_host("db 1").as_str()), ("[::1]", "db%201"));
    }
}
