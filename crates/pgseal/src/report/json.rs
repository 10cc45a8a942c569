//! JSON on stdout: one object, two spaces, a newline.

use serde::Serialize;

use super::escape::dangerous;
use crate::failure::{Failure, Result};

/// The version of all JSON that pgseal prints. It only grows; a field never changes its meaning.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// JSON lands on terminals too: what a terminal would obey stands there as `\u` and four digits, which
/// is the same JSON.
pub(crate) fn text<T: Serialize>(value: &T) -> Result<String> {
    Ok(harmless(&serde_json::to_string_pretty(value).map_err(|error| unwritten(&error))?))
}

/// The same on a line of its own.
pub(crate) fn line<T: Serialize>(value: &T) -> Result<String> {
    Ok(harmless(&serde_json::to_string(value).map_err(|error| unwritten(&error))?))
}

fn unwritten(error: &serde_json::Error) -> Failure {
    Failure::new(format!("could not write the result as JSON: {error}"))
}

fn harmless(plain: &str) -> String {
    let mut harmless = String::with_capacity(plain.len());
    for c in plain.chars() {
        // A newline here is our own layout: inside strings there are none.
        if c != '\n' && dangerous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                harmless.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            harmless.push(c);
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_harmless_on_a_terminal_and_means_the_same() {
        let hostile = "a\u{1b}]52;c\u{7}\u{9b}2J\u{202e}b\u{feff}\r\n\\ \"Zürich\"";
        let shown = text(&[hostile]).unwrap();
        assert!(shown.chars().all(|c| c == '\n' || !dangerous(c)), "{shown:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [hostile]);
    }
}
