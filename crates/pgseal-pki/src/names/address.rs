//! Host names that are IP addresses, as libpq's C library reads them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a `host` parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name,
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Host {
    pub(super) fn is_address(self) -> bool {
        self != Self::Name
    }

    pub(super) fn is(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(one), IpAddr::V4(two)) => one == two,
            (Self::V6(one), IpAddr::V6(two)) => one == two,
            _ => false,
        }
    }
}

/// libpq's `is_ip_address`: `inet_aton`, then `inet_pton` for IPv6.
pub(super) fn host_of(text: &str) -> Host {
    inet_aton(text).map(Host::V4).or_else(|| text.parse().ok().map(Host::V6)).unwrap_or(Host::Name)
}

/// `inet_aton(3)` of glibc: one to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`),
/// the last one filling the remaining bytes; anything after white space is not looked at.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let text = text
        .find(|c: char| c.is_ascii_whitespace() || c == '\x0b')
        .map_or(text, |end| text.get(..end).unwrap_or(text));
    let parts: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address = 0_u64;
    for part in leading {
        address = (address << 8) | part;
    }
    let spare_bits = 8 * (4 - leading.len());
    if *last >> spare_bits != 0 {
        return None;
    }
    let address = (address << spare_bits) | last;
    u32::try_from(address).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|value| u32::try_from(*value).is_ok())
}

/// Whether libpq and the C library would take the text for an address.
pub(crate) fn is_ip_address(text: &str) -> bool {
    host_of(text).is_address()
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(sixteen) => sixteen.octets().to_vec(),
    }
}

/// An address's text as PostgreSQL's `pg_inet_net_ntop` writes it: as Rust does, but IPv4 inside
/// IPv6 (`::1.2.3.4`) dotted; other lengths in hexadecimal.
pub(crate) fn ip_text(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(four).to_string();
    }
    let Ok(sixteen) = <[u8; 16]>::try_from(bytes) else {
        return bytes.iter().fold(String::from("0x"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
    };
    let address = Ipv6Addr::from(sixteen);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let embedded = (u32::from(high) << 16) | u32::from(low);
            format!("::{}", Ipv4Addr::from(embedded))
        }
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_read_as_inet_aton_reads_it() {
        let loopback = Some(Ipv4Addr::LOCALHOST);
        for text in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.01",
            "127.0.0.1 trailing",
        ] {
            assert_eq!(inet_aton(text), loopback, "{text}");
        }
        for text in [
            "",
            ".",
            "127.0.0.256",
            "127.0.0.1.",
            "1.2.3.4.5",
            "256.1",
            "localhost",
            "08.0.0.1",
            "127.0.0.-1",
            "0x",
            "4294967296",
            "127..1",
            " 127.0.0.1",
            "1.16777216",
        ] {
            assert_eq!(inet_aton(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_are_written_as_postgresql_writes_them() {
        let text = |ip: &str| ip_text(&octets(ip.parse().unwrap()));
        assert_eq!(text("127.0.0.1"), "127.0.0.1");
        assert_eq!(text("::1"), "::1");
        assert_eq!(text("::ffff:1.2.3.4"), "::ffff:1.2.3.4");
        assert_eq!(text("::1.2.3.4"), "::1.2.3.4");
        assert_eq!(text("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");
    }
}
