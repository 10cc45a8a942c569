//! Records of a server's log as people read them: what was said, severity first, whatever the log is written in. Pure.

use serde::Deserialize;

use crate::place::log::LogFormat;
use crate::server::said::last_lines;
use crate::sessions::csv_fields;

/// jsonlog.c, as far as it tells why something went wrong.
#[derive(Deserialize)]
struct JsonLine {
    error_severity: Option<String>,
    message: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
}

/// Every whole record, a line each; of plain text the lines as they are.
pub(super) fn readable(format: LogFormat, bytes: &[u8]) -> Vec<String> {
    let records = match format {
        LogFormat::Text => return last_lines(bytes, usize::MAX),
        LogFormat::Csv => csv_records(bytes).iter().filter_map(|record| of_csv(record)).collect(),
        LogFormat::Json => String::from_utf8_lossy(bytes).lines().filter_map(of_json).collect::<Vec<_>>(),
    };
    records.iter().flat_map(|record| last_lines(record.as_bytes(), usize::MAX)).collect()
}

/// The same of bytes that begin anywhere: the first line is no whole record. Of CSV it may end within quotes, which is
/// seen by how many records are made out either way.
pub(super) fn readable_from_within(format: LogFormat, bytes: &[u8]) -> Vec<String> {
    let first = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    let rest = bytes.get(first..).unwrap_or_default();
    let outside = readable(format, rest);
    if format != LogFormat::Csv {
        return outside;
    }
    let within = readable(format, &[b"\"", rest].concat());
    if within.len() > outside.len() { within } else { outside }
}

/// A newline in quotes ends no record.
fn csv_records(bytes: &[u8]) -> Vec<String> {
    let mut quoted = false;
    let records = bytes.split(|byte| {
        quoted ^= *byte == b'"';
        *byte == b'\n' && !quoted
    });
    records.map(|record| String::from_utf8_lossy(record).into_owned()).collect()
}

/// error_severity is the twelfth field, then SQLSTATE, message, detail, hint (csvlog.c, write_csvlog).
fn of_csv(record: &str) -> Option<String> {
    let fields = csv_fields(record);
    let field = |at: usize| fields.get(at).map(String::as_str).filter(|text| !text.is_empty());
    Some(one_line(field(11)?, field(13)?, field(14), field(15)))
}

fn of_json(line: &str) -> Option<String> {
    let read: JsonLine = serde_json::from_str(line).ok()?;
    let severity = read.error_severity?;
    Some(one_line(&severity, &read.message?, read.detail.as_deref(), read.hint.as_deref()))
}

/// Newlines in a message begin no other record.
fn one_line(severity: &str, message: &str, detail: Option<&str>, hint: Option<&str>) -> String {
    let further = detail.into_iter().map(|text| format!("  DETAIL:  {text}"));
    let further = further.chain(hint.map(|text| format!("  HINT:  {text}")));
    let line = format!("{severity}:  {message}{}", further.collect::<String>());
    line.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "2026-11-24 12:00:00.123 UTC,,,42,,6744.2a,5,,2026-11-24 12:00:00 UTC,,0,LOG,F0000,\"could not load \"\"a,b\"\":\nno start line\",\"a detail\",,,,,,,,\"\",\"postmaster\",,0\n";

    #[test]
    fn a_record_of_csv_is_one_line_with_its_detail() {
        let text = format!("half a record\"\n{CSV}");
        assert_eq!(
            readable(LogFormat::Csv, CSV.as_bytes()),
            ["LOG:  could not load \"a,b\": no start line  DETAIL:  a detail"]
        );
        // What was cut off in front is no reason to fall.
        assert!(readable(LogFormat::Csv, text.as_bytes()).len() <= 1);
    }

    #[test]
    fn bytes_of_csv_that_begin_within_quotes_lose_that_record_alone() {
        let whole = format!("{CSV}{CSV}");
        for from in 1..CSV.len() {
            let found = readable_from_within(LogFormat::Csv, &whole.as_bytes()[from..]);
            assert_eq!(
                found.last().map(String::as_str),
                readable(LogFormat::Csv, CSV.as_bytes()).last().map(String::as_str),
                "{from}"
            );
        }
    }

    #[test]
    fn a_record_of_json_is_one_line_and_what_is_none_is_passed_over() {
        let text = "{\"timestamp\":\"x\",\"error_severity\":\"LOG\",\"message\":\"SSL configuration was not reloaded\"}\nno json\n{}\n";
        assert_eq!(readable(LogFormat::Json, text.as_bytes()), ["LOG:  SSL configuration was not reloaded"]);
    }

    #[test]
    fn plain_lines_are_as_they_are() {
        assert_eq!(readable(LogFormat::Text, b"one\n\ntwo"), ["one", "two"]);
    }
}
