//! Connection parameters written out again, as `keyword=value` or as a URI. Knows both escapings; refuses to show a
//! secret that was not asked for.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use zeroize::Zeroizing;

use super::options::Conninfo;

/// What stands in place of a secret.
pub(super) const MASK: &str = "****";

/// What becomes of passwords, passphrases and secret keys when parameters are written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They are written as they are: for a file with mode 0600 or a pipe, never for a terminal or a log.
    Shown,
    /// `****` stands in their place.
    Masked,
    /// The parameters are left out.
    Omitted,
}

impl Secrets {
    fn apply(self, is_secret: bool, value: &str) -> Option<&str> {
        match self {
            _ if !is_secret => Some(value),
            Self::Shown => Some(value),
            Self::Masked => Some(MASK),
            Self::Omitted => None,
        }
    }
}

/// The parameters to write, secrets treated.
fn shown(options: &Conninfo, secrets: Secrets) -> Conninfo {
    let mut shown = Conninfo::new();
    for (keyword, value) in options.iter() {
        if let Some(value) = secrets.apply(keyword.secret, value) {
            // Cannot fail: the name is a keyword's and the value held no NUL before.
            let _ = shown.set(keyword.name, value);
        }
    }
    shown
}

pub(super) fn conninfo(options: &Conninfo, secrets: Secrets) -> Zeroizing<String> {
    let options = shown(options, secrets);
    let room = options.iter().map(|(keyword, value)| keyword.name.len() + 2 * value.len() + 4).sum();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for (keyword, value) in options.iter() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(keyword.name);
        text.push('=');
        push_quoted(&mut text, value);
    }
    text
}

/// Quotes where libpq's `appendConnStrVal` does: for anything but letters, digits and a few signs.
fn push_quoted(text: &mut String, value: &str) {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | ',' | '*' | '@');
    if !value.is_empty() && value.chars().all(plain) {
        text.push_str(value);
        return;
    }
    text.push('\'');
    for c in value.chars() {
        if matches!(c, '\'' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('\'');
}

pub(super) fn uri(options: &Conninfo, secrets: Secrets) -> Zeroizing<String> {
    let options = shown(options, secrets);
    let room =
        64 + options.iter().map(|(keyword, value)| keyword.name.len() + 6 * value.len() + 8).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str("postgresql://");
    let mut written: Vec<&str> = Vec::new();

    // A URI sets an empty user, password or database to nothing, so empty ones go into the query.
    let place = |name: &str| options.get(name).filter(|value| !value.is_empty());
    if let Some(user) = place("user") {
        push_encoded(&mut text, user);
        written.push("user");
        if let Some(password) = place("password") {
            text.push(':');
            if password == MASK && secrets == Secrets::Masked {
                text.push_str(MASK);
            } else {
                push_encoded(&mut text, password);
            }
            written.push("password");
        }
        text.push('@');
    }
    if let Some(hosts) = netloc(&options) {
        text.push_str(&hosts);
        written.extend(["host", "port"]);
    }
    text.push('/');
    if let Some(dbname) = place("dbname") {
        push_encoded(&mut text, dbname);
        written.push("dbname");
    }
    let mut separator = '?';
    for (keyword, value) in options.iter().filter(|(keyword, _)| !written.contains(&keyword.name)) {
        text.push(separator);
        separator = '&';
        text.push_str(keyword.name);
        text.push('=');
        if keyword.secret && secrets == Secrets::Masked {
            text.push_str(MASK);
        } else {
            push_but(&mut text, value, b"/");
        }
    }
    text
}

/// `host:port,host:port`; `None` where the lists do not pair up, or where a URI would read them differently.
fn netloc(options: &Conninfo) -> Option<String> {
    let hosts: Vec<&str> = match options.get("host") {
        Some("") => return None,
        Some(hosts) => hosts.split(',').collect(),
        None => Vec::new(),
    };
    let ports: Vec<&str> = match options.get("port") {
        Some("") => return None,
        Some(ports) => ports.split(',').collect(),
        None => Vec::new(),
    };
    let count = hosts.len().max(1);
    // Without hosts several ports can only be a mistake or belong to hostaddr: they stay as they are.
    if ports.len() > 1 && ports.len() != hosts.len() || hosts.is_empty() && ports.is_empty() {
        return None;
    }
    let mut text = String::new();
    for index in 0..count {
        if index > 0 {
            text.push(',');
        }
        if let Some(host) = hosts.get(index) {
            push_host(&mut text, host);
        }
        let port = if ports.len() == 1 { ports.first() } else { ports.get(index) };
        if let Some(port) = port.filter(|port| !port.is_empty()) {
            text.push(':');
            push_encoded(&mut text, port);
        }
    }
    Some(text)
}

fn push_host(text: &mut String, host: &str) {
    let address = host.split_once('%').map_or(host, |(address, _zone)| address);
    if address.parse::<Ipv6Addr>().is_err() {
        push_encoded(text, host);
        return;
    }
    text.push('[');
    text.push_str(address);
    push_encoded(text, host.get(address.len()..).unwrap_or_default());
    text.push(']');
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn push_encoded(text: &mut String, value: &str) {
    push_but(text, value, b"");
}

/// The same, with more characters left as they are: RFC 3986 lets a query hold `/`, and paths are for people to read.
fn push_but(text: &mut String, value: &str, plain: &[u8]) {
    for byte in value.bytes() {
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if unreserved || plain.contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}
