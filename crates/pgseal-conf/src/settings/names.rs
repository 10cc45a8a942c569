//! Which parameters there are, by version. The list was taken from running servers of 12 to 18 (`SHOW`, hidden ones and
//! old names included); what a parameter means is not known here.

use std::sync::LazyLock;

use crate::PgVersion;

/// Sorted lines of name, first version (12: that or earlier) and last version (18: still there).
static PARAMETERS: LazyLock<Vec<(&str, u16, u16)>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let mut columns = line.split(' ');
        Some((columns.next()?, columns.next()?.parse().ok()?, columns.next()?.parse().ok()?))
    };
    include_str!("parameters.txt").lines().filter_map(row).collect()
});

/// Whether a name in a file is a parameter of this version: built in, or with a dot, which may be an extension's. The
/// list ends with 18, so every name passes for 19.
pub fn is_parameter(name: &[u8], version: PgVersion) -> bool {
    if version > PgVersion::V18 || name.contains(&b'.') {
        return true;
    }
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let name = name.to_ascii_lowercase();
    let found = PARAMETERS.binary_search_by_key(&name.as_str(), |(known, _, _)| known);
    let row = found.ok().and_then(|index| PARAMETERS.get(index));
    row.is_some_and(|(_, since, until)| (*since..=*until).contains(&version.major()))
}

/// Names that parameters had once and are still known by, with the version that renamed them (`map_old_guc_names` of
/// `guc.c`; 12: that or earlier).
const OLD_NAMES: [(&[u8], &str, PgVersion); 3] = [
    (b"sort_mem", "work_mem", PgVersion::V12),
    (b"vacuum_mem", "maintenance_work_mem", PgVersion::V12),
    (b"ssl_ecdh_curve", "ssl_groups", PgVersion::V18),
];

/// The name by which a version knows a parameter, in lower case.
pub(super) fn current_name(name: &[u8], version: PgVersion) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    let renamed = OLD_NAMES.iter().find(|(old, _, since)| *old == name && *since <= version);
    renamed.map_or(name, |(_, new, _)| new.as_bytes().to_vec())
}
