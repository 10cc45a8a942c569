//! Addresses and masks as `getaddrinfo` with `AI_NUMERICHOST` reads them (glibc), since that is whom PostgreSQL asks:
//! IPv4 in all of `inet_aton`'s forms, IPv6 with a zone. Refuses to resolve a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and the mask of the bits that count. The mask may have holes, and the address bits outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    address: IpAddr,
    mask: IpAddr,
}

impl AddressRange {
    /// A range; `None` when address and mask are not of one family.
    pub fn new(address: IpAddr, mask: IpAddr) -> Option<Self> {
        (address.is_ipv4() == mask.is_ipv4()).then_some(Self { address, mask })
    }

    /// The range of an address and a number of leading bits; `None` when there are not so many.
    pub fn with_length(address: IpAddr, length: u8) -> Option<Self> {
        let mask = match address {
            IpAddr::V4(_) if length <= 32 => {
                IpAddr::V4(Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)))
            }
            IpAddr::V6(_) if length <= 128 => {
                IpAddr::V6(Ipv6Addr::from_bits(u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)))
            }
            _ => return None,
        };
        Some(Self { address, mask })
    }

    /// The address as written, bits outside the mask included.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The mask.
    pub fn mask(&self) -> IpAddr {
        self.mask
    }

    /// The number of leading bits that count; `None` when the mask has holes.
    pub fn length(&self) -> Option<u8> {
        let (ones, leading) = match self.mask {
            IpAddr::V4(mask) => (mask.to_bits().count_ones(), mask.to_bits().leading_ones()),
            IpAddr::V6(mask) => (mask.to_bits().count_ones(), mask.to_bits().leading_ones()),
        };
        if ones == leading { u8::try_from(leading).ok() } else { None }
    }

    /// Whether a client of this address is in the range. An IPv4 range never holds an IPv6 address, not even a mapped
    /// one (`check_ip`).
    pub fn contains(&self, client: IpAddr) -> bool {
        match (self.address, self.mask, client) {
            (IpAddr::V4(address), IpAddr::V4(mask), IpAddr::V4(client)) => {
                (address.to_bits() ^ client.to_bits()) & mask.to_bits() == 0
            }
            (IpAddr::V6(address), IpAddr::V6(mask), IpAddr::V6(client)) => {
                (address.to_bits() ^ client.to_bits()) & mask.to_bits() == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for AddressRange {
    /// As `pg_hba.conf` would have it on one field, or on two where the mask has holes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "{}/{length}", self.address),
            None => write!(f, "{} {}", self.address, self.mask),
        }
    }
}

/// An address as `getnameinfo` spells it (glibc): IPv6 that starts with 96 zero bits ends in dotted numbers.
pub(super) fn spelled(address: IpAddr) -> String {
    match address {
        IpAddr::V6(v6) if v6.to_bits() >> 32 == 0 && v6.to_bits() >> 16 != 0 => {
            let [.., a, b, c, d] = v6.octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        _ => address.to_string(),
    }
}

/// What a word is to `getaddrinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numeric {
    Address(IpAddr),
    /// An address whose zone only the server's host can tell.
    NamedZone,
    NoAddress,
}

/// Reads a numeric address.
pub(super) fn numeric(word: &[u8]) -> Numeric {
    let Ok(text) = std::str::from_utf8(word) else { return Numeric::NoAddress };
    if let Some(address) = inet_aton(text) {
        return Numeric::Address(IpAddr::V4(address));
    }
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let Ok(address) = address.parse::<Ipv6Addr>() else { return Numeric::NoAddress };
    match zone {
        None => Numeric::Address(IpAddr::V6(address)),
        // No interface has an empty name.
        Some("") => Numeric::NoAddress,
        Some(zone) if zone.starts_with(|c: char| c.is_ascii_digit()) => {
            let number = zone.bytes().all(|byte| byte.is_ascii_digit()) && zone.parse::<u32>().is_ok();
            if number { Numeric::Address(IpAddr::V6(address)) } else { Numeric::NoAddress }
        }
        Some(_) if is_link_local(address) => Numeric::NamedZone,
        Some(_) => Numeric::NoAddress,
    }
}

/// fe80::/10, and multicast of link-local scope.
fn is_link_local(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    first & 0xffc0 == 0xfe80 || first & 0xff0f == 0xff02
}

/// `inet_aton`: one to four numbers, decimal, octal (0…) or hexadecimal (0x…); the last one fills what is left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = text.split('.').map(inet_number).collect::<Option<_>>()?;
    let (last, leading) = numbers.split_last()?;
    let left = 4usize.checked_sub(leading.len())?;
    if left == 0 || leading.iter().any(|number| *number > 0xff) {
        return None;
    }
    let limit = u32::MAX.checked_shr(8 * u32::try_from(leading.len()).ok()?)?;
    if *last > limit {
        return None;
    }
    let head = leading.iter().fold(0u32, |value, number| value << 8 | number);
    Some(Ipv4Addr::from_bits(head.checked_shl(8 * u32::try_from(left).ok()?).unwrap_or(0) | last))
}

fn inet_number(text: &str) -> Option<u32> {
    // `strtoul` would take signs and blanks; inet_aton wants a digit first.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match (hexadecimal, text.strip_prefix('0')) {
        // A lone `0x` is a zero with a stray letter behind it.
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
        (None, Some("")) => Some(0),
        (None, Some(octal)) => u32::from_str_radix(octal, 8).ok().filter(|_| !octal.starts_with('+')),
        (None, None) => text.parse().ok(),
    }
}

/// The mask of a length as `pg_sockaddr_cidr_mask` reads it: `strtol` over all of the text.
pub(super) fn mask_length(text: &[u8], address: IpAddr) -> Option<u8> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let magnitude = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if magnitude.is_empty() || !magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = magnitude.trim_start_matches('0');
    let length: u8 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    if digits.starts_with('-') && length != 0 {
        return None;
    }
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Numeric {
        Numeric::Address(text.parse().unwrap())
    }

    /// Compared with glibc's getaddrinfo.
    #[test]
    fn addresses_are_read_as_getaddrinfo_reads_them() {
        for (word, expected) in [
            ("10.1", "10.0.0.1"),
            ("10.1.2", "10.1.0.2"),
            ("167772161", "10.0.0.1"),
            ("0x0a.0.0.010", "10.0.0.8"),
            ("0", "0.0.0.0"),
            ("8", "0.0.0.8"),
            ("::1", "::1"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("::1%5", "::1"),
            ("fe80::1%1", "fe80::1"),
        ] {
            assert_eq!(numeric(word.as_bytes()), address(expected), "{word}");
        }
        assert_eq!(numeric(b"fe80::1%eth0"), Numeric::NamedZone);
        for word in [
            "",
            "localhost",
            "10.0.0.256",
            "1.2.3.4.5",
            "10.",
            ".1",
            "08",
            "0x",
            "1 ",
            "+1",
            "::1%lo",
            "fe80::1%",
            "1.2.3.-4",
            "4294967296",
            "1::2::3",
        ] {
            assert_eq!(numeric(word.as_bytes()), Numeric::NoAddress, "{word}");
        }
    }

    #[test]
    fn mask_lengths_are_read_as_strtol_reads_them() {
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        for (text, length) in [("0", 0), ("32", 32), ("+8", 8), ("008", 8), (" 8", 8), ("-0", 0)] {
            assert_eq!(mask_length(text.as_bytes(), v4), Some(length), "{text}");
        }
        assert_eq!(mask_length(b"128", v6), Some(128));
        for text in ["", "33", "-1", "8 ", "8x", "0x8", "99999999999999999999", "+", "255.0.0.0"] {
            assert_eq!(mask_length(text.as_bytes(), v4), None, "{text}");
        }
        assert_eq!(mask_length(b"129", v6), None);
    }

    #[test]
    fn a_range_holds_its_own_family_alone() {
        let range = AddressRange::new("10.1.2.3".parse().unwrap(), "255.0.255.0".parse().unwrap()).unwrap();
        assert!(range.contains("10.9.2.7".parse().unwrap()));
        assert!(!range.contains("10.9.3.7".parse().unwrap()));
        assert!(!range.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert_eq!(range.length(), None);
        assert_eq!(range.to_string(), "10.1.2.3 255.0.255.0");
        let all = AddressRange::with_length("::1".parse().unwrap(), 0).unwrap();
        assert_eq!((all.length(), all.to_string()), (Some(0), "::1/0".to_owned()));
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        assert_eq!(AddressRange::with_length("10.0.0.1".parse().unwrap(), 33), None);
    }
}
