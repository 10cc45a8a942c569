//! Secrets of a project, kept off the screen and out of the journal: values of variables that are named as secrets are,
//! wherever they stand, and whatever follows such a name.

use crate::compose::edit::Cut;
use crate::compose::reading::Reading;

/// Names end in them, of variables and of what stands in connection strings.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "_key",
];
/// Shorter ones stand everywhere by chance.
const SHORTEST: usize = 4;
/// The program, and the first password that many people think of. It is shown, and tells nothing.
const PROGRAM: &str = "postgres";
const MASK: &str = "****";

/// What is not to be shown.
pub(super) struct Masks {
    values: Vec<String>,
}

impl Masks {
    /// Of every service of the project.
    pub(super) fn of(reading: &Reading) -> Self {
        let services: Vec<&str> = reading.services().collect();
        let variables = services
            .iter()
            .flat_map(|service| reading.variables(service).into_iter().map(move |name| (*service, name)));
        let named = variables.filter(|(_, name)| {
            let name = name.to_ascii_lowercase();
            WORDS.iter().any(|word| name.ends_with(word))
        });
        let values = named.filter_map(|(service, name)| reading.variable(service, &name));
        Self::with(values.collect())
    }

    fn with(mut values: Vec<String>) -> Self {
        values.retain(|value| value.len() >= SHORTEST && value != PROGRAM);
        // A longer one may hold a shorter one.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// Whether there is anything to mask in these bytes of the text.
    pub(super) fn hide_of(&self, text: &str, cuts: &[Cut]) -> bool {
        let lines = cuts.iter().filter_map(|cut| text.get(cut.at.clone())).flat_map(str::lines);
        lines.into_iter().any(|line| self.line(line) != line)
    }

    /// A line as it may be shown.
    pub(super) fn line(&self, line: &str) -> String {
        let without = self.values.iter().fold(line.to_owned(), |line, value| whole_words(&line, value));
        behind_a_name(&in_addresses(&without))
    }
}

/// The value where it is no part of a longer word.
fn whole_words(line: &str, value: &str) -> String {
    let of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(value) {
        let alone = !before.ends_with(of_a_word) && !after.starts_with(of_a_word);
        out.push_str(before);
        out.push_str(if alone { MASK } else { value });
        rest = after;
    }
    out + rest
}

/// `scheme://user:SECRET@host`.
fn in_addresses(line: &str) -> String {
    let Some((before, after)) = line.split_once("://") else { return line.to_owned() };
    let end = after.find([' ', '\t', '"', '\'', ',', ']', '}']).unwrap_or(after.len());
    let (address, rest) = after.split_at(end);
    let address = match address.rsplit_once('@').and_then(|(who, host)| Some((who.split_once(':')?.0, host)))
    {
        Some((user, host)) => format!("{user}:{MASK}@{host}"),
        None => address.to_owned(),
    };
    format!("{before}://{address}{}", in_addresses(rest))
}

/// What follows a word for a secret and a sign is none of the screen's business, to the end of the line.
fn behind_a_name(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let ends = WORDS.iter().flat_map(|word| lower.match_indices(word).map(|(at, word)| at + word.len()));
    let sign = ends.filter_map(|end| {
        let rest = lower.get(end..)?;
        let sign = rest.trim_start_matches(['"', '\'']).trim_start();
        sign.starts_with(['=', ':']).then(|| end + rest.len() - sign.len())
    });
    match sign.min().and_then(|sign| line.get(..=sign)) {
        Some(shown) if line.len() > shown.len() => format!("{shown}{MASK}"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_beside_what_is_edited_are_masked() {
        let masks = Masks::with(["c0nfidential", "c0nf", "on", "postgres"].map(str::to_owned).to_vec());
        for (line, shown) in [
            ("-    command: -c ssl_cert_file=/c", "-    command: -c ssl_cert_file=/c"),
            ("-[-c, 'primary_conninfo=password=s3cret x', -c]", "-[-c, 'primary_conninfo=password=****"),
            ("+  POSTGRES_PASSWORD: s3cret", "+  POSTGRES_PASSWORD:****"),
            ("+  \"POSTGRES_PASSWORD\" : s3cret", "+  \"POSTGRES_PASSWORD\" :****"),
            ("-c \"a=password='s3cret'\"", "-c \"a=password=****"),
            ("-  -c password_encryption=md5", "-  -c password_encryption=md5"),
            ("-  -c ssl_key_file=/k -c ssl=on", "-  -c ssl_key_file=/k -c ssl=on"),
            ("{API_KEY: s3cret}", "{API_KEY:****"),
            ("- -c # was c0nfidential, or c0nf", "- -c # was ****, or ****"),
            ("/c0nfidentially /c0nfidential", "/c0nfidentially /****"),
            ("command: [ postgres, -c, x ]", "command: [ postgres, -c, x ]"),
            (
                "a=postgres://me:s3:c@ret@h/d 'http://u:p@h/' http://h/",
                "a=postgres://me:****@h/d 'http://u:****@h/' http://h/",
            ),
        ] {
            assert_eq!(masks.line(line), shown);
        }
        let text = "ab # c0nfidential\n";
        assert!(masks.hide_of(text, &[Cut::out(0..2), Cut::out(2..text.len())]));
        assert!(!masks.hide_of(text, &[Cut::out(0..2), Cut::out(2..8)]));
    }
}
