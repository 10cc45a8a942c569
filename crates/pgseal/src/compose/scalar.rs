//! Words as YAML 1.2 and 1.1 both read them, and as compose reads them after that.

/// A value for a compose file: plain where every reader takes that for the same text, otherwise in double
/// quotes. `$` is doubled, for compose puts variables in its place.
pub(crate) fn scalar(text: &str) -> String {
    quoted_where_needed(&text.replace('$', "$$"))
}

/// The same without variables, as keys and other tools' files have it.
fn quoted_where_needed(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Always in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            // Line and paragraph separators end lines in YAML 1.1; a byte order mark is none inside.
            c @ ('\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Letters of words and paths; not what some YAML takes for a number, a truth value, a null or a time.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"];
    let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-:".contains(c));
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    letters && begins && !text.ends_with(':') && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_more_than_a_word_to_some_reader_is_quoted() {
        for plain in ["admin", "postgres:16-alpine", "/tls/password", "registry.example.org:5000/pg:18"] {
            assert_eq!(scalar(plain), plain);
        }
        for (text, expected) in [
            ("", "\"\""),
            ("no", "\"no\""),
            ("On", "\"On\""),
            ("12", "\"12\""),
            ("1e3", "\"1e3\""),
            (".inf", "\".inf\""),
            ("a b", "\"a b\""),
            ("a: b", "\"a: b\""),
            ("a:", "\"a:\""),
            ("- a", "\"- a\""),
            ("#a", "\"#a\""),
            ("say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""),
            ("$HOME", "\"$$HOME\""),
            ("bell\u{7}", "\"bell\\x07\""),
            ("größe", "\"größe\""),
        ] {
            assert_eq!(scalar(text), expected, "{text}");
        }
    }
}
