//! A command line in one text, as compose takes it apart: by the rules of a POSIX shell, without its expansions.

use std::ops::Range;

/// A word, and the bytes of the text that it was.
pub(crate) type Word = (String, Range<usize>);

/// The words; `None` where a quote does not end.
pub(crate) fn split(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut current: Option<(String, usize)> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.char_indices();
    while let Some((at, c)) = letters.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"') | None, '\\') => {
                let (_, next) = letters.next()?;
                let (word, _) = current.get_or_insert((String::new(), at));
                // Within double quotes only these are escaped (XCU 2.2.3).
                if quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                current.get_or_insert((String::new(), at));
            }
            (None, c) if c.is_whitespace() => {
                if let Some((word, start)) = current.take() {
                    words.push((word, start..at));
                }
            }
            (_, c) => current.get_or_insert((String::new(), at)).0.push(c),
        }
    }
    if let Some((word, start)) = current.take() {
        words.push((word, start..text.len()));
    }
    quote.is_none().then_some(words)
}

/// The texts alone.
pub(crate) fn texts(text: &str) -> Option<Vec<String>> {
    Some(split(text)?.into_iter().map(|(word, _)| word).collect())
}

/// A setting that words of a server's command line give: by `-c NAME=VALUE`, `-cNAME=VALUE` or `--NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// As PostgreSQL writes it: in lower case, with `_` for `-` (postgres.c, ParseLongOption).
    pub(crate) name: String,
    pub(crate) value: String,
    /// Which of the words.
    pub(crate) at: Range<usize>,
}

/// Every setting that is given. What is no setting is passed over.
pub(crate) fn given(words: &[String]) -> Vec<Given> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let (text, length) = match word.as_str() {
            "-c" => (words.get(at + 1).map(String::as_str), 2),
            word if word.starts_with("--") => (word.strip_prefix("--"), 1),
            word => (word.strip_prefix("-c"), 1),
        };
        let length = length.min(words.len() - at);
        if let Some((name, value)) = text.and_then(|text| text.split_once('=')) {
            let name = name.to_ascii_lowercase().replace('-', "_");
            all.push(Given { name, value: value.to_owned(), at: at..at + length });
        }
        at += length;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_as_a_shell_does() {
        for (text, expected) in [
            ("", vec![]),
            ("  a  b\n\tc ", vec!["a", "b", "c"]),
            ("-c \"log_line_prefix=%m [%p] \"", vec!["-c", "log_line_prefix=%m [%p] "]),
            ("a'b c'd", vec!["ab cd"]),
            ("a\\ b '' \"\"", vec!["a b", "", ""]),
            ("\"a\\\"b\\n\"", vec!["a\"b\\n"]),
        ] {
            assert_eq!(texts(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(split("'a"), None);
        assert_eq!(split("a\\"), None);
        let at: Vec<_> = split(" a 'b c'").unwrap().into_iter().map(|(_, at)| at).collect();
        assert_eq!(at, [1..2, 3..8]);
    }

    #[test]
    fn settings_are_found_in_every_way_of_giving_them() {
        let words = [
            "postgres",
            "-c",
            "ssl=on",
            "--ssl-cert-file=/a",
            "-cport=5433",
            "-N",
            "5",
            "-c",
            "shared_preload_libraries",
        ];
        let found = given(&words.map(str::to_owned));
        let seen: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.value.as_str(), one.at.clone())).collect();
        assert_eq!(seen, [("ssl", "on", 1..3), ("ssl_cert_file", "/a", 3..4), ("port", "5433", 4..5)]);
        assert!(given(&["-c".to_owned()]).is_empty());
    }
}
