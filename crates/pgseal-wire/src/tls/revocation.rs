//! `sslcrl` and `sslcrldir`: whom an authority took back, as libpq finds it.
//!
//! Knows files and directories of lists; refuses to know when a chain is judged by them.

use std::collections::BTreeMap;
use std::path::Path;

use pgseal_pki::{Certificate, RevocationList};
use rustls::pki_types::pem::{PemObject, SectionKind};

use crate::wire_error::system_text;

/// A file of lists larger than this is not read.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// A directory of lists with more entries than this is not read to its end.
const MAX_ENTRIES: usize = 4096;
/// More bytes than this are not read from one directory.
const MAX_DIRECTORY: u64 = 64 * 1024 * 1024;

/// Whether lists are asked, and which (`initialize_SSL`, fe-secure-openssl.c).
#[derive(Debug, Clone, Default)]
pub enum Revocation {
    /// Nobody asks: no file, or none that could be loaded, which libpq passes over in silence.
    #[default]
    NotAsked,
    /// Every certificate of a chain has to be covered by a list.
    Asked(Lists),
}

/// Lists, and the certificates that lay beside them: OpenSSL trusts those too.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    pub(super) lists: Vec<RevocationList>,
    pub(super) certificates: Vec<Certificate>,
}

impl Lists {
    /// The revocation lists.
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }
}

impl Revocation {
    /// Reads `sslcrl` and `sslcrldir`. A file that cannot be loaded makes libpq ask nobody, the
    /// directory neither (`X509_STORE_load_locations`); a directory alone always counts, even if it
    /// does not exist: then no chain can be verified.
    pub fn read(file: Option<&Path>, directory: Option<&Path>) -> Self {
        let mut found = Lists::default();
        if let Some(path) = file
            && !found.load_file(path)
        {
            return Self::NotAsked;
        }
        if let Some(path) = directory {
            found.load_directory(path);
        }
        if file.is_none() && directory.is_none() { Self::NotAsked } else { Self::Asked(found) }
    }

    /// Whether lists are asked.
    pub const fn is_asked(&self) -> bool {
        matches!(self, Self::Asked(_))
    }
}

impl Lists {
    /// OpenSSL's `X509_load_cert_crl_file`: false where nothing was found, or something was broken.
    fn load_file(&mut self, path: &Path) -> bool {
        let Ok(pem) = bounded(path, MAX_FILE) else { return false };
        let Some(found) = sections(&pem) else { return false };
        let any = !found.lists.is_empty() || !found.certificates.is_empty();
        self.take(found);
        any
    }

    /// Files as `openssl rehash` names them: `HASH.rN` holds lists of the issuer with that hash,
    /// `HASH.N` certificates of the subject with it; N counts from 0 without a gap (`by_dir.c`).
    fn load_directory(&mut self, path: &Path) {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        let mut named: BTreeMap<(String, bool), BTreeMap<u32, std::path::PathBuf>> = BTreeMap::new();
        for entry in entries.take(MAX_ENTRIES).flatten() {
            if let Some((hash, is_list, number)) = entry.file_name().to_str().and_then(hashed_name) {
                named.entry((hash, is_list)).or_default().insert(number, entry.path());
            }
        }
        let mut left = MAX_DIRECTORY;
        for ((hash, is_list), files) in named {
            for (expected, (number, file)) in (0..).zip(files) {
                if number != expected {
                    break;
                }
                let Ok(pem) = bounded(&file, MAX_FILE.min(left)) else { break };
                left = left.saturating_sub(pem.len() as u64);
                let Some(mut found) = sections(&pem) else { break };
                found.lists.retain(|list| is_list && list.issuer().openssl_hash() == hash);
                found.certificates.retain(|one| !is_list && one.subject().openssl_hash() == hash);
                self.take(found);
            }
        }
    }

    fn take(&mut self, other: Self) {
        self.lists.extend(other.lists);
        self.certificates.extend(other.certificates);
    }
}

/// `9d66eef0.r0` as hash, whether it holds lists, number.
fn hashed_name(name: &str) -> Option<(String, bool, u32)> {
    let (hash, kind) = name.split_once('.')?;
    let hexadecimal = hash.len() == 8 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (is_list, number) = match kind.strip_prefix('r') {
        Some(number) => (true, number),
        None => (false, kind),
    };
    let plain = number == "0" || !number.starts_with('0');
    let number: u32 = number.parse().ok().filter(|_| plain)?;
    hexadecimal.then(|| (hash.to_owned(), is_list, number))
}

/// Lists and certificates of a PEM text; None where a block is broken.
pub(super) fn sections(pem: &[u8]) -> Option<Lists> {
    let mut found = Lists::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.ok()?;
        match kind {
            SectionKind::Crl => found.lists.push(RevocationList::from_der(&der).ok()?),
            SectionKind::Certificate => found.certificates.push(Certificate::from_der(&der).ok()?),
            _ => {}
        }
    }
    Some(found)
}

/// A regular file of at most so many bytes: reading a pipe could take for ever.
pub(super) fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let said = |error: std::io::Error| system_text(&error);
    if !std::fs::metadata(path).map_err(said)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(said)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > limit {
        return Err(format!("larger than {limit} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_openssl_looks_for_are_read() {
        assert_eq!(hashed_name("9d66eef0.r0"), Some(("9d66eef0".into(), true, 0)));
        assert_eq!(hashed_name("9d66eef0.12"), Some(("9d66eef0".into(), false, 12)));
        for odd in [
            "9D66EEF0.r0",
            "9d66eef.r0",
            "9d66eef0.r00",
            "9d66eef0.r",
            "9d66eef0",
            "root.crl",
            "9d66eef0.r-1",
        ] {
            assert_eq!(hashed_name(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_cannot_be_loaded_is_passed_over_but_a_directory_counts() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("root.crl");
        assert!(!Revocation::read(None, None).is_asked());
        assert!(!Revocation::read(Some(&file), None).is_asked());
        std::fs::write(&file, "no list\n").unwrap();
        assert!(!Revocation::read(Some(&file), None).is_asked());
        assert!(!Revocation::read(Some(&file), Some(home.path())).is_asked());
        assert!(Revocation::read(None, Some(&home.path().join("nowhere"))).is_asked());
    }
}
