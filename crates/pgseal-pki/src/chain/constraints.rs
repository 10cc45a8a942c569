//! Name constraints (RFC 5280 section 4.2.1.10), compared as OpenSSL 3.0's `crypto/x509/v3_ncons.c`
//! compares them.

use super::{ChainFault, ChainRefusal};
use crate::certificate::Certificate;
use crate::dn::{DistinguishedName, EMAIL_ADDRESS};
use crate::extensions::{AltName, NameConstraints, Subtree};

/// The most comparisons of a name with a subtree that one chain is worth (OpenSSL allows 2^20 for
/// each pair of certificates).
const MAX_COMPARISONS: usize = 1 << 20;

/// Holds every certificate's names against the constraints of the authorities above it.
pub(super) fn check(path: &[&Certificate]) -> Result<(), ChainRefusal> {
    let mut budget = MAX_COMPARISONS;
    for (depth, certificate) in path.iter().enumerate().rev() {
        // Self-issued authorities (key roll-over) are exempt, a leaf is not.
        if depth != 0 && certificate.self_issued() {
            continue;
        }
        let refuse = |fault| ChainRefusal::new(fault, depth, certificate);
        let mut names = None;
        for authority in path.iter().skip(depth + 1).rev() {
            let Some(constraints) = &authority.extensions().name_constraints else {
                continue;
            };
            let names = match &names {
                Some(names) => names,
                None => &*names.insert(Name::all_of(certificate, depth == 0).map_err(refuse)?),
            };
            let trees = constraints.permitted.len() + constraints.excluded.len();
            budget = names
                .len()
                .checked_mul(trees)
                .and_then(|cost| budget.checked_sub(cost))
                .ok_or_else(|| refuse(ChainFault::UncheckableConstraint("too many names")))?;
            for name in names {
                name.obeys(constraints).map_err(refuse)?;
            }
        }
    }
    Ok(())
}

/// A name to be held against constraints.
enum Name<'a> {
    Dns(Vec<u8>),
    Ip(Vec<u8>),
    Email(&'a [u8]),
    Uri(&'a [u8]),
    Directory(&'a DistinguishedName),
    Other(&'static str),
}

/// How a name and a subtree relate.
enum Fit {
    Inside,
    Outside,
    Different,
}

impl<'a> Name<'a> {
    /// The subject, its e-mail addresses, every alternative name, and for a leaf without DNS names
    /// the common names that look like host names.
    fn all_of(certificate: &'a Certificate, leaf: bool) -> Result<Vec<Self>, ChainFault> {
        let subject = certificate.subject();
        let mut names = Vec::new();
        if !subject.is_empty() {
            names.push(Name::Directory(subject));
        }
        for address in subject.of_type(EMAIL_ADDRESS) {
            if !address.is_ia5() {
                return Err(ChainFault::UncheckableConstraint("an e-mail address that is no IA5String"));
            }
            names.push(Name::Email(address.raw()));
        }
        let alt_names = certificate.alt_names().unwrap_or_default();
        names.extend(alt_names.iter().map(Name::of));
        if leaf && !alt_names.iter().any(|name| matches!(name, AltName::Dns(_))) {
            for common_name in subject.common_names() {
                names.extend(host_like(common_name.value())?.map(Name::Dns));
            }
        }
        Ok(names)
    }

    fn of(name: &'a AltName) -> Self {
        match name {
            AltName::Dns(bytes) => Name::Dns(bytes.clone()),
            AltName::Ip(std::net::IpAddr::V4(address)) => Name::Ip(address.octets().to_vec()),
            AltName::Ip(std::net::IpAddr::V6(address)) => Name::Ip(address.octets().to_vec()),
            AltName::BadIp(bytes) => Name::Ip(bytes.clone()),
            AltName::Email(bytes) => Name::Email(bytes),
            AltName::Uri(bytes) => Name::Uri(bytes),
            AltName::Directory(name) => Name::Directory(name),
            AltName::Other(kind) => Name::Other(kind),
        }
    }

    fn obeys(&self, constraints: &NameConstraints) -> Result<(), ChainFault> {
        let mut permitted = None;
        for tree in &constraints.permitted {
            if permitted == Some(true) {
                break;
            }
            match self.fit(tree)? {
                Fit::Inside => permitted = Some(true),
                Fit::Outside => permitted = Some(false),
                Fit::Different => {}
            }
        }
        if permitted == Some(false) {
            return Err(ChainFault::NameNotPermitted(self.text()));
        }
        for tree in &constraints.excluded {
            if matches!(self.fit(tree)?, Fit::Inside) {
                return Err(ChainFault::NameExcluded(self.text()));
            }
        }
        Ok(())
    }

    fn fit(&self, tree: &Subtree) -> Result<Fit, ChainFault> {
        let inside = match (self, tree) {
            (Name::Dns(name), Subtree::Dns(base)) => dns_within(name, base),
            (Name::Ip(name), Subtree::Ip(base)) => ip_within(name, base)?,
            (Name::Email(name), Subtree::Email(base)) => email_within(name, base)?,
            (Name::Uri(name), Subtree::Uri(base)) => uri_within(name, base)?,
            (Name::Directory(name), Subtree::Directory(base)) => name.is_within(base),
            (Name::Other(one), Subtree::Other(two)) if one == two => {
                return Err(ChainFault::UncheckableConstraint("a constraint of an unsupported type"));
            }
            _ => return Ok(Fit::Different),
        };
        Ok(if inside { Fit::Inside } else { Fit::Outside })
    }

    fn text(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Name::Dns(name) => text(name),
            Name::Ip(bytes) => crate::names::ip_text(bytes),
            Name::Email(name) | Name::Uri(name) => text(name),
            Name::Directory(name) => name.to_string(),
            Name::Other(kind) => (*kind).to_owned(),
        }
    }
}

/// `nc_dns`: zero or more labels may stand to the left of the base.
fn dns_within(name: &[u8], base: &[u8]) -> bool {
    if base.is_empty() {
        return true;
    }
    let Some(cut) = name.len().checked_sub(base.len()) else {
        return false;
    };
    let (left, right) = name.split_at(cut);
    let boundary = left.is_empty() || base.first() == Some(&b'.') || left.last() == Some(&b'.');
    boundary && right.eq_ignore_ascii_case(base)
}

/// `nc_ip`: address and mask.
fn ip_within(name: &[u8], base: &[u8]) -> Result<bool, ChainFault> {
    if !matches!(name.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Err(ChainFault::UncheckableConstraint("an IP address of an odd length"));
    }
    if name.len() * 2 != base.len() {
        return Ok(false);
    }
    let (address, mask) = base.split_at(name.len());
    Ok(name.iter().zip(address).zip(mask).all(|((one, two), mask)| one & mask == two & mask))
}

/// `nc_email`: a whole mailbox, a host, or a domain that starts with a dot.
fn email_within(name: &[u8], base: &[u8]) -> Result<bool, ChainFault> {
    let Some((local, host)) = split_last(name, b'@') else {
        return Err(ChainFault::UncheckableConstraint("an e-mail address without @"));
    };
    match split_last(base, b'@') {
        None if base.first() == Some(&b'.') => Ok(ends_with(name, base)),
        None => Ok(host.eq_ignore_ascii_case(base)),
        Some((base_local, base_host)) => {
            Ok((base_local.is_empty() || base_local == local) && host.eq_ignore_ascii_case(base_host))
        }
    }
}

/// `nc_uri`: the host of the URI, or a domain that starts with a dot. As in OpenSSL 3.0 a user name
/// before the host is not taken off.
fn uri_within(name: &[u8], base: &[u8]) -> Result<bool, ChainFault> {
    let broken = || ChainFault::UncheckableConstraint("a URI without scheme and host");
    let colon = name.iter().position(|byte| *byte == b':').ok_or_else(broken)?;
    let host = name.get(colon..).and_then(|rest| rest.strip_prefix(b"://")).ok_or_else(broken)?;
    let end = [b':', b'/'].iter().find_map(|end| host.iter().position(|byte| byte == end));
    let host = host.get(..end.unwrap_or(host.len())).unwrap_or_default();
    if host.is_empty() {
        return Err(broken());
    }
    Ok(if base.first() == Some(&b'.') { ends_with(host, base) } else { host.eq_ignore_ascii_case(base) })
}

/// `base` is a proper suffix of `name`, letter case aside.
fn ends_with(name: &[u8], base: &[u8]) -> bool {
    name.len() > base.len()
        && name.get(name.len() - base.len()..).is_some_and(|end| end.eq_ignore_ascii_case(base))
}

fn split_last(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().rposition(|byte| *byte == at)?;
    let (left, right) = bytes.split_at(position);
    Some((left, right.get(1..).unwrap_or_default()))
}

/// `cn2dnsid`: a common name of two or more labels that could be a host name.
fn host_like(common_name: &str) -> Result<Option<Vec<u8>>, ChainFault> {
    let name = common_name.trim_end_matches('\0').as_bytes();
    if name.contains(&0) {
        return Err(ChainFault::UncheckableConstraint("a common name with a zero byte"));
    }
    let last = name.len().saturating_sub(1);
    let mut dotted = false;
    for (position, byte) in name.iter().enumerate() {
        let inner = position > 0 && position < last;
        let next = |step: usize| name.get(step).copied().unwrap_or(0);
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => {}
            b'-' if inner => {}
            b'.' if inner && !matches!(next(position + 1), b'.' | b'-') && next(position - 1) != b'-' => {
                dotted = true;
            }
            _ => return Ok(None),
        }
    }
    Ok(dotted.then(|| name.to_vec()))
}
