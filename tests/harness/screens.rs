//! Screens held against snapshots. Knows what differs from run to run whatever is shown, not what a verb prints.

use super::depth::record;

/// The names of the two looks, and the locale of each.
pub(crate) const LOCALES: [(&str, &str); 2] = [("utf8", "C.UTF-8"), ("ascii", "C")];

/// Holds the text against the snapshot of that name.
pub(crate) fn compare(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
    record("what people read stays as it is", 1);
}

/// Masks what every run has anew: dates, process numbers, fingerprints, serial numbers, names of changes.
pub(crate) fn mask(text: &str) -> String {
    text.lines().map(mask_line).collect::<Vec<_>>().join("\n")
}

fn mask_line(line: &str) -> String {
    let mut masked = String::new();
    let mut before = "";
    for word in line.split_inclusive(' ') {
        let bare = word.trim_end().trim_end_matches([',', ';', ':', '.', ')']);
        let mask = match bare {
            _ if before == "pid" => "PID",
            _ if before == "serial" => "SERIAL",
            _ if matches!(before, "change" | "pgseal") && is_change(bare) => "CHANGE",
            _ if is_date(bare) => "DATE",
            _ if is_fingerprint(bare) => "FINGERPRINT",
            _ => bare,
        };
        masked.push_str(&word.replacen(bare, mask, 1));
        before = bare;
    }
    masked
}

/// Eight hexadecimal digits.
fn is_change(word: &str) -> bool {
    word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `2026-11-24`, alone or with a time of day.
fn is_date(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    (word.len() == 10 && digits == 8 || word.len() == 20 && digits == 14 && word.ends_with('Z'))
        && word.as_bytes().get(4) == Some(&b'-')
}

/// Pairs of hexadecimal digits, whole or with their middle left out.
fn is_fingerprint(word: &str) -> bool {
    let pairs: Vec<&str> = word.split(':').collect();
    let pair = |text: &&str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    pairs.len() > 3 && pairs.iter().filter(|text| !matches!(**text, "…" | "...")).all(pair)
}
