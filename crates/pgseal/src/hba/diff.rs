//! Two versions of a pg_hba.conf as a unified diff for people: secrets masked, foreign bytes escaped.

use pgseal_conf::PgVersion;
use similar::TextDiff;

use super::mask;
use crate::report::escape::lines_for_terminal;

/// The diff, or nothing where both are the same.
pub(crate) fn unified(name: &str, old: &[u8], new: &[u8], version: PgVersion) -> String {
    let shown = |text| String::from_utf8_lossy(&mask::text(text, version)).into_owned();
    let (before, after) = (shown(old), shown(new));
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let text = diff.unified_diff().context_radius(3).header(name, name).to_string();
    lines_for_terminal(text.trim_end_matches('\n'))
}
