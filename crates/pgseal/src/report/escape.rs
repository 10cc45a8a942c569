//! Foreign text made harmless for a terminal: servers, certificates and files may say anything.

/// Replaces what could move the cursor, hide or reorder text: control characters (C0, C1, DEL), line
/// and paragraph separators, the bidirectional controls, and what is no character at all. Everything else stays as it is.
pub(crate) fn for_terminal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if dangerous(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}

/// The same, line by line, for text whose newlines are our own.
pub(crate) fn lines_for_terminal(text: &str) -> String {
    text.split('\n').map(for_terminal).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal would obey it instead of showing it.
pub(crate) fn dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_cannot_write_to_the_clipboard_or_turn_text_around() {
        let hostile = "a\u{1b}]52;c;ZXZpbA==\u{7}b\u{202e}c\r\nd\u{9b}2J";
        let shown = for_terminal(hostile);
        assert!(shown.chars().all(|c| !dangerous(c)), "{shown}");
        assert_eq!(shown, "a\\u{1b}]52;c;ZXZpbA==\\u{7}b\\u{202e}c\\r\\nd\\u{9b}2J");
    }

    #[test]
    fn ordinary_words_in_any_script_stay_as_they_are() {
        assert_eq!(for_terminal("Zürich 東京 — ✓"), "Zürich 東京 — ✓");
    }
}
