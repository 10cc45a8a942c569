//! `ldapurl=`, as far as OpenLDAP's parser decides whether a line of `pg_hba.conf` loads. Refuses to know more of LDAP.

/// What of a URL other options would conflict with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) attribute: bool,
    pub(super) filter: bool,
}

impl Parts {
    /// The parts of a URL that [`check`] let pass: `ldap://host:port/dn?attributes?scope?filter`.
    pub(super) fn of(url: &[u8]) -> Self {
        let part = |index| url.split(|byte| *byte == b'?').nth(index).is_some_and(|part| !part.is_empty());
        Self { attribute: part(1), filter: part(3) }
    }
}

/// The error PostgreSQL would name, if any.
pub(super) fn check(url: &[u8]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(url);
    let bare = strip_decoration(url);
    let Some((scheme, rest)) = SCHEMES
        .iter()
        .find_map(|scheme| strip_prefix_ignoring_case(bare, scheme).map(|rest| (*scheme, rest)))
    else {
        // The library's own codes, looked up among LDAP's results: 3 says this.
        return Err(format!("could not parse LDAP URL \"{shown}\": Time limit exceeded"));
    };
    let scheme = scheme.trim_end_matches("://");
    if !matches!(scheme, "ldap" | "ldaps") {
        return Err(format!("unsupported LDAP URL scheme: {scheme}"));
    }
    let scope = rest.split(|byte| *byte == b'?').nth(2).unwrap_or_default();
    let known: [&[u8]; 9] =
        [b"", b"one", b"onelevel", b"base", b"sub", b"subtree", b"subord", b"subordinate", b"children"];
    if !known.iter().any(|word| word.eq_ignore_ascii_case(scope)) {
        return Err(format!("could not parse LDAP URL \"{shown}\": Undefined attribute type"));
    }
    Ok(())
}

const SCHEMES: [&str; 5] = ["ldap://", "ldaps://", "ldapi://", "cldap://", "pldap://"];

/// A URL may stand in angle brackets and after `URL:`.
fn strip_decoration(url: &[u8]) -> &[u8] {
    let url = url.strip_prefix(b"<").unwrap_or(url);
    strip_prefix_ignoring_case(url, "URL:").unwrap_or(url)
}

fn strip_prefix_ignoring_case<'t>(text: &'t [u8], prefix: &str) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}
