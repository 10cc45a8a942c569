//! What a CA has taken back: its revocation list, which is itself the record of that. It lies beside the CA, so that
//! whoever has the one has the other: a list without what stood on it before would let a revoked certificate in again.

use std::path::{Path, PathBuf};

use pgseal_pki::crl::{Reason, RevocationList, Revoked, read_revocation_lists};
use pgseal_pki::{Certificate, CertificateAuthority, ListRequest};
use time::{Duration, OffsetDateTime};

use super::authority::{Role, resolved};
use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};

/// As pgseal-pki reads them, in PEM.
const LIMIT: u64 = 24 << 20;
const PUBLIC: u32 = 0o644;
/// A clock a little behind ours must not find a fresh list "not yet valid".
const BACKDATED: Duration = Duration::minutes(5);

/// What came of it.
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) list: RevocationList,
}

/// Takes a certificate back, by its serial number.
pub(crate) fn revoke(
    authority: &CertificateAuthority,
    (folder, role): (&Path, Role),
    (serial, reason): (Vec<u8>, Option<Reason>),
    life: Duration,
    now: OffsetDateTime,
) -> Result<Written> {
    let mut entries =
        present(authority, folder, role)?.map(|list| list.entries().to_vec()).unwrap_or_default();
    if entries.iter().any(|entry| entry.serial == serial) {
        return Err(Failure::stopped("that certificate is revoked already")
            .because("nothing was changed")
            .hint(format!("pgseal cert crl --ca {} for a list with newer dates", folder.display())));
    }
    entries.push(Revoked { serial, at: now, reason });
    write(authority, folder, role, entries, life, now)
}

/// The list once more, with the next number and newer dates. Entries stay, also of certificates that are over: whoever
/// looks at an old session's certificate still finds it (RFC 5280 section 3.3 asks for them until one list after
/// their end).
pub(crate) fn renew(
    authority: &CertificateAuthority,
    folder: &Path,
    role: Role,
    life: Duration,
    now: OffsetDateTime,
) -> Result<Written> {
    let entries = present(authority, folder, role)?.map(|list| list.entries().to_vec()).unwrap_or_default();
    write(authority, folder, role, entries, life, now)
}

/// The list that lies in a CA's folder; None: nothing was ever taken back.
pub(crate) fn in_folder(folder: &Path, role: Role) -> Result<Option<RevocationList>> {
    let path = resolved(folder)?.join(role.list());
    if files::status(&path).map_err(|error| Failure::io("look at", &path, &error))?.is_none() {
        return Ok(None);
    }
    trusted::file_for_root(&path)?;
    let bytes = files::read_plain(&path, LIMIT).map_err(|error| Failure::io("read", &path, &error))?;
    let lists = read_revocation_lists(&bytes)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    lists.into_iter().next().map(Some).ok_or_else(|| {
        Failure::new(format!("{} holds no revocation list", path.display()))
            .because("what was taken back before stands nowhere else; nothing was changed")
            .hint("put it back from where it was given to")
    })
}

fn present(authority: &CertificateAuthority, folder: &Path, role: Role) -> Result<Option<RevocationList>> {
    let Some(list) = in_folder(folder, role)? else { return Ok(None) };
    match list.check_signed_by(authority.certificate()) {
        Ok(()) => Ok(Some(list)),
        Err(fault) => {
            Err(Failure::new(format!("{} in {} is not this CA's: it {fault}", role.list(), folder.display()))
                .because("nothing was changed")
                .hint("put back the list that this CA signed last"))
        }
    }
}

fn write(
    authority: &CertificateAuthority,
    folder: &Path,
    role: Role,
    revoked: Vec<Revoked>,
    life: Duration,
    now: OffsetDateTime,
) -> Result<Written> {
    let folder = resolved(folder)?;
    let next = next_number(in_folder(&folder, role)?.as_ref())?;
    let request =
        ListRequest { number: next, this_update: now - BACKDATED, next_update: now + life, revoked };
    let pem = authority
        .revocation_list(&request)
        .map_err(|error| Failure::new(format!("the CA could not sign the list: {error}")))?;
    let path = folder.join(role.list());
    files::replace(&path, PUBLIC, pem.as_bytes()).map_err(|error| Failure::io("write", &path, &error))?;
    let list = read_revocation_lists(pem.as_bytes()).ok().and_then(|lists| lists.into_iter().next());
    let list = list.ok_or_else(|| Failure::new("the list that was written cannot be read"))?;
    Ok(Written { path, list })
}

/// One more than the last; from one on.
fn next_number(last: Option<&RevocationList>) -> Result<u64> {
    let number = last.and_then(RevocationList::number).unwrap_or_default();
    let too_long = || Failure::new("the number of the CA's list is too large to be counted on");
    if number.len() > 8 {
        return Err(too_long());
    }
    let value = number.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    value.checked_add(1).ok_or_else(too_long)
}

/// The serial number of a certificate as a list has it.
pub(crate) fn serial_of(certificate: &Certificate) -> Vec<u8> {
    certificate.serial_bytes().to_vec()
}

/// The same from what people copy: hexadecimal digits, with or without colons.
pub(crate) fn serial_from(text: &str) -> Result<Vec<u8>> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let unreadable = || {
        Failure::usage(format!("{text} is neither a file nor a serial number in hexadecimal"))
            .hint("pgseal cert list, or openssl x509 -noout -serial -in FILE")
    };
    if digits.is_empty() || digits.len() > 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(unreadable());
    }
    let even = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
    let mut bytes: Vec<u8> = Vec::with_capacity(even.len() / 2 + 1);
    for at in (0..even.len()).step_by(2) {
        let pair = even.get(at..at + 2).unwrap_or_default();
        bytes.push(u8::from_str_radix(pair, 16).map_err(|_| unreadable())?);
    }
    // As DER has it: in as few bytes as it needs, and positive.
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    bytes.drain(..zeros);
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_as_it_is_printed() {
        for (text, bytes) in [
            ("4F:21", &[0x4f, 0x21][..]),
            ("4f21", &[0x4f, 0x21]),
            ("00", &[0]),
            ("1", &[1]),
            ("9F01", &[0, 0x9f, 1]),
            ("0000ab", &[0, 0xab]),
        ] {
            assert_eq!(serial_from(text).unwrap(), bytes, "{text}");
        }
        for text in ["", ":", "xyz", "-1", &"1".repeat(41)] {
            assert!(serial_from(text).is_err(), "{text}");
        }
    }
}
