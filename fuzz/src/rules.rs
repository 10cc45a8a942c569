//! A pg_hba.conf out of a fuzzer's bytes that PostgreSQL would load, so that none of them are spent on its grammar; and
//! the connections that tell its rules from one another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use pgseal_conf::hba::{
    AddressMatch, AddressRange, Channel, ClientName, Connection, Purpose, Roles, Rule, World,
};

/// Longer than the 63 bytes that PostgreSQL compares.
const LONG: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
const KINDS: [&str; 8] =
    ["host", "host", "hostnossl", "hostssl", "hostgssenc", "hostnogssenc", "local", "hostnossl"];
const DATABASES: [&str; 16] = [
    "all",
    "all",
    "a",
    "b",
    "c",
    "sameuser",
    "samerole",
    "replication",
    "\"replication\"",
    "\"all\"",
    "/^a",
    "/b$",
    "/^(a|b)$",
    "/[[:<:]]",
    "/.",
    "\"sameuser\"",
];
const USERS: [&str; 14] = [
    "all", "all", "a", "b", "c", "+g", "+c", "+a", "\"+g\"", "/^a", "/^(a|c)$", "/(?i)B", "\"all\"",
    "+nobody",
];
const METHODS: [&str; 6] = ["reject", "reject", "reject", "md5", "trust", "scram-sha-256"];
const NAMES: [&str; 5] = ["h.example", "H.example", ".example", ".org", "x.org"];
const ADDRESSES: [&str; 8] = [
    "10.0.0.0",
    "10.0.0.5",
    "10.128.0.9",
    "0.0.0.0",
    "255.255.255.255",
    "2001:db8::",
    "2001:db8::7",
    "::ffff:10.0.0.5",
];

/// Up to ten lines.
pub fn hba_text(bytes: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    for _ in 0..bytes.int_in_range(1..=10)? {
        let kind = *bytes.choose(&KINDS)?;
        let databases = words(bytes, &DATABASES)?;
        let users = words(bytes, &USERS)?;
        let address = if kind == "local" { String::new() } else { address(bytes)? };
        let method = bytes.choose(&METHODS)?;
        text.push_str(&format!("{kind} {databases} {users} {address} {method}\n"));
    }
    Ok(text)
}

fn words(bytes: &mut Unstructured<'_>, choices: &[&str]) -> Result<String> {
    let mut words = Vec::new();
    for _ in 0..bytes.int_in_range(1..=3)? {
        // A name that is cut, and one that never fits.
        words.push(match bytes.int_in_range(0..=30)? {
            0 => &LONG[..63],
            1 => LONG,
            _ => *bytes.choose(choices)?,
        });
    }
    Ok(words.join(","))
}

fn address(bytes: &mut Unstructured<'_>) -> Result<String> {
    Ok(match bytes.int_in_range(0..=15)? {
        0 | 1 => "all".to_owned(),
        2 => "samehost".to_owned(),
        3 => "samenet".to_owned(),
        4 => (*bytes.choose(&NAMES)?).to_owned(),
        5 => "fe80::1%eth0/64".to_owned(),
        6 => {
            format!("{} {}", Ipv4Addr::from_bits(bytes.arbitrary()?), Ipv4Addr::from_bits(bytes.arbitrary()?))
        }
        7 => {
            format!("{} {}", Ipv6Addr::from_bits(bytes.arbitrary()?), Ipv6Addr::from_bits(bytes.arbitrary()?))
        }
        // Few bits that count, in a mask with holes.
        8 => format!("10.0.0.{} 255.0.0.{}", bytes.int_in_range(0..=7)?, bytes.int_in_range(0..=7)?),
        _ => {
            let address = bytes.choose(&ADDRESSES)?;
            let most = if address.contains(':') { 128 } else { 32 };
            let few = if bytes.ratio(1, 4)? { 0 } else { most - 8 };
            format!("{address}/{}", bytes.int_in_range(few..=most)?)
        }
    })
}

/// A server's surroundings, with nothing left unknown.
pub fn surroundings(bytes: &mut Unstructured<'_>) -> Result<World> {
    let mut roles = Roles::new();
    for name in ["a", "b", "c", "g", "hidden"] {
        roles.add(name);
    }
    for (role, member) in [("g", "a"), ("g", "c"), ("c", "b"), ("c", "g"), ("a", "b"), ("g", "hidden")] {
        if bytes.arbitrary()? {
            roles.grant(role, member);
        }
    }
    let interface = |text: &str, length| AddressRange::with_length(text.parse().ok()?, length);
    let interfaces = [interface("10.0.0.5", 29), interface("2001:db8::7", 64), interface("127.0.0.1", 8)];
    Ok(World { roles: Some(roles), interfaces: Some(interfaces.into_iter().flatten().collect()) })
}

/// What of the surroundings is told.
pub fn told(bytes: &mut Unstructured<'_>, whole: &World) -> Result<World> {
    Ok(World {
        roles: whole.roles.clone().filter(|_| bytes.arbitrary().unwrap_or(false)),
        interfaces: if bytes.arbitrary()? { whole.interfaces.clone() } else { None },
    })
}

/// Connections of every kind of user and database, from both sides of each end of the rules' ranges.
pub fn connections(rules: &[Rule], channel: Channel, name: &ClientName) -> Vec<Connection> {
    let users = ["a", "b", "c", "hidden", "nobody", "all", LONG];
    let databases = ["a", "b", "g", "other", "replication", LONG];
    let purposes =
        databases.map(|name| Purpose::Database(name.into())).into_iter().chain([Purpose::Replication]);
    let purposes: Vec<Purpose> = purposes.collect();
    let mut all = Vec::new();
    for address in places(rules, channel) {
        for user in users {
            all.extend(purposes.iter().map(|purpose| Connection {
                channel,
                address,
                name: name.clone(),
                user: user.into(),
                purpose: purpose.clone(),
            }));
        }
    }
    all
}

fn places(rules: &[Rule], channel: Channel) -> Vec<Option<IpAddr>> {
    if channel == Channel::Local {
        return vec![None];
    }
    let mut places = vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for rule in rules {
        let Some(AddressMatch::Range(range)) = &rule.address else { continue };
        match (range.address(), range.mask()) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                let first = (address & mask).to_bits();
                let last = first | !mask.to_bits();
                let ends = [first, last, last.wrapping_add(1), first.wrapping_sub(1)];
                places.extend(ends.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))));
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                let first = (address & mask).to_bits();
                let last = first | !mask.to_bits();
                let ends = [first, last, last.wrapping_add(1), first.wrapping_sub(1)];
                places.extend(ends.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
            }
            _ => {}
        }
    }
    places.retain(is_a_clients);
    places.sort();
    places.dedup();
    places.truncate(12);
    places.into_iter().map(Some).collect()
}

/// No TCP connection comes from elsewhere; an IPv4 client is never seen as a mapped one.
fn is_a_clients(address: &IpAddr) -> bool {
    let nobody = match address {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    !(nobody || address.is_unspecified() || address.is_multicast())
}
