//! `ldapurl=` as OpenLDAP's parser cuts it, measured through PostgreSQL 15. Refuses to know more of LDAP.

/// The parts of a URL. Those that are absent leave what other options set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LdapUrl {
    pub(super) scheme: &'static str,
    pub(super) host: Option<Vec<u8>>,
    pub(super) port: i64,
    pub(super) base_dn: Option<Vec<u8>>,
    pub(super) attribute: Option<Vec<u8>>,
    /// `LDAP_SCOPE_…`: 0 is the base itself, and what is meant when nothing is said.
    pub(super) scope: u8,
    pub(super) filter: Option<Vec<u8>>,
}

/// The library's error codes, in the words under which they stand among LDAP's results.
const BAD_SCHEME: &str = "Time limit exceeded";
const BAD_ENCLOSURE: &str = "Size limit exceeded";
const BAD_URL: &str = "Compare False";
const BAD_SCOPE: &str = "Strong(er) authentication required";
const BAD_EXTENSIONS: &str = "Referral";

const SCHEMES: [&str; 5] = ["ldap", "ldaps", "ldapi", "pldap", "pldaps"];

const SCOPES: [(&str, u8); 9] = [
    ("", 0),
    ("base", 0),
    ("one", 1),
    ("onelevel", 1),
    ("sub", 2),
    ("subtree", 2),
    ("subord", 3),
    ("subordinate", 3),
    ("children", 3),
];

impl LdapUrl {
    /// Cuts a URL; the error is PostgreSQL's message.
    pub(super) fn parse(url: &[u8]) -> Result<Self, String> {
        let parsed = cut(url)
            .map_err(|why| format!("could not parse LDAP URL \"{}\": {why}", String::from_utf8_lossy(url)))?;
        if matches!(parsed.scheme, "ldap" | "ldaps") {
            Ok(parsed)
        } else {
            Err(format!("unsupported LDAP URL scheme: {}", parsed.scheme))
        }
    }
}

fn cut(url: &[u8]) -> Result<LdapUrl, &'static str> {
    let (url, enclosed) = url.strip_prefix(b"<").map_or((url, false), |rest| (rest, true));
    let url = strip_prefix_ignoring_case(url, "URL:").unwrap_or(url);
    let found = SCHEMES.iter().find_map(|scheme| {
        let rest = strip_prefix_ignoring_case(url, scheme)?.strip_prefix(b"://")?;
        Some((*scheme, rest))
    });
    let (scheme, rest) = found.ok_or(BAD_SCHEME)?;
    let rest = if enclosed { rest.strip_suffix(b">").ok_or(BAD_ENCLOSURE)? } else { rest };
    // Without a slash nothing counts but the host.
    let slash = rest.iter().position(|byte| *byte == b'/');
    let end = slash.or_else(|| rest.iter().position(|byte| *byte == b'?')).unwrap_or(rest.len());
    let (host, port) = host_and_port(rest.get(..end).unwrap_or_default())?;
    let default_port = if matches!(scheme, "ldaps" | "pldaps") { 636 } else { 389 };
    let mut parsed = LdapUrl {
        scheme,
        host: Some(unescape(host)).filter(|host| !host.is_empty()),
        port: if port == 0 { default_port } else { port },
        ..LdapUrl::default()
    };
    if let Some(slash) = slash {
        path(rest.get(slash + 1..).unwrap_or_default(), &mut parsed)?;
    }
    Ok(parsed)
}

/// `dn?attributes?scope?filter?extensions`.
fn path(text: &[u8], parsed: &mut LdapUrl) -> Result<(), &'static str> {
    let mut parts = text.split(|byte| *byte == b'?');
    parsed.base_dn = parts.next().map(unescape);
    let attributes = parts.next().unwrap_or_default();
    let first = attributes.split(|byte| *byte == b',').find(|attribute| !attribute.is_empty());
    parsed.attribute = first.map(unescape);
    if parsed.attribute.is_none() && !attributes.is_empty() {
        // A list of nothing, which the server does not survive.
        return Err(BAD_URL);
    }
    let scope = parts.next().unwrap_or_default();
    let known = SCOPES.iter().find(|(word, _)| word.as_bytes().eq_ignore_ascii_case(scope));
    parsed.scope = known.ok_or(BAD_SCOPE)?.1;
    parsed.filter = parts.next().map(unescape).filter(|filter| !filter.is_empty());
    let extensions = parts.next();
    if parts.next().is_some() {
        return Err(BAD_URL);
    }
    match extensions {
        Some(list) if list.iter().all(|byte| *byte == b',') => Err(BAD_EXTENSIONS),
        _ => Ok(()),
    }
}

/// Host and port; 0 where none is given.
fn host_and_port(text: &[u8]) -> Result<(&[u8], i64), &'static str> {
    let (host, rest) = if let Some(bracketed) = text.strip_prefix(b"[") {
        let close = bracketed.iter().position(|byte| *byte == b']').ok_or(BAD_URL)?;
        (bracketed.get(..close), bracketed.get(close + 1..).unwrap_or_default())
    } else {
        let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        (text.get(..colon), text.get(colon..).unwrap_or_default())
    };
    let host = host.unwrap_or_default();
    match rest.split_first() {
        None => Ok((host, 0)),
        Some((b':', port)) => Ok((host, number(&unescape(port)).ok_or(BAD_URL)?)),
        Some(_) => Err(BAD_URL),
    }
}

/// `strtol` over all of the text.
fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).parse().ok()
}

/// Percent-decoded up to a NUL or a broken escape.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
            match (digit(), digit()) {
                (Some(high), Some(low)) => u8::try_from(high << 4 | low).unwrap_or_default(),
                _ => break,
            }
        } else {
            byte
        };
        if byte == 0 {
            break;
        }
        plain.push(byte);
    }
    plain
}

fn strip_prefix_ignoring_case<'t>(text: &'t [u8], prefix: &str) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was asked of PostgreSQL 15.18 with OpenLDAP.
    #[test]
    fn urls_are_cut_as_openldap_cuts_them() {
        let url = |text: &str| LdapUrl::parse(text.as_bytes()).unwrap();
        let whole = url("<URL:LDAPS://%41b:7/dc=x?uid,cn?ONE?%28a=b%29?!e=v>");
        assert_eq!((whole.scheme, whole.host, whole.port), ("ldaps", Some(b"Ab".to_vec()), 7));
        assert_eq!((whole.base_dn, whole.attribute), (Some(b"dc=x".to_vec()), Some(b"uid".to_vec())));
        assert_eq!((whole.scope, whole.filter), (1, Some(b"(a=b)".to_vec())));
        let bare = url("ldap://h?uid");
        assert_eq!((bare.port, bare.base_dn, bare.attribute, bare.scope), (389, None, None, 0));
        assert_eq!(url("ldap:///").base_dn, Some(Vec::new()));
        assert_eq!((url("ldaps://[::1]/x").host, url("ldaps://h:0/").port), (Some(b"::1".to_vec()), 636));
    }

    #[test]
    fn what_openldap_refuses_is_refused() {
        for (text, why) in [
            ("", BAD_SCHEME),
            ("http://h", BAD_SCHEME),
            ("ldap:/h", BAD_SCHEME),
            ("<ldap://h/x", BAD_ENCLOSURE),
            ("ldap://h:/x", BAD_URL),
            ("ldap://h:5x/x", BAD_URL),
            ("ldap://[::1/x", BAD_URL),
            ("ldap://::1/x", BAD_URL),
            ("ldap://h/x?????", BAD_URL),
            ("ldap://h/x??bad", BAD_SCOPE),
            ("ldap://h/x????", BAD_EXTENSIONS),
        ] {
            let message = format!("could not parse LDAP URL \"{text}\": {why}");
            assert_eq!(LdapUrl::parse(text.as_bytes()), Err(message));
        }
        assert_eq!(LdapUrl::parse(b"ldapi://h/x"), Err("unsupported LDAP URL scheme: ldapi".to_owned()));
    }
}
