//! Names and classes of what TLS negotiates: cipher suites, key exchange groups, signature schemes.
//!
//! The tables are data files beside this one, for people to correct. They know the registries of IANA and the names and
//! the order of OpenSSL; they refuse to know which of it is good.

use std::sync::LazyLock;

/// A cipher suite of the table.
#[derive(Debug)]
pub struct SuiteEntry {
    /// The code point.
    pub code: u16,
    /// The name in IANA's registry, or the one that old libraries give to what IANA has not registered.
    pub iana: &'static str,
    /// OpenSSL's name, which is what `pg_stat_ssl` and `ssl_ciphers` use.
    pub openssl: Option<&'static str>,
    /// Words such as `aead`, `cbc`, `null`, `anonymous`, `export`, `forward-secrecy`, `auth-ecdsa`, `tls1.2`.
    pub classes: &'static str,
    /// The place in the order of OpenSSL 3.0, where it has one.
    pub place: Option<u16>,
}

/// A key exchange group of the table.
#[derive(Debug)]
pub struct GroupEntry {
    /// The code point.
    pub code: u16,
    /// The name in IANA's registry.
    pub iana: &'static str,
    /// The name that people know, such as `P-256`.
    pub name: &'static str,
    /// Strength in bits against a classical attacker.
    pub bits: u16,
    /// `tls1.2`, `tls1.3`, `ffdhe`, `post-quantum`, `hybrid`.
    pub classes: &'static str,
    /// The place in the order of OpenSSL 3.5, where it has one.
    pub place: Option<u16>,
}

/// A signature scheme of the table.
#[derive(Debug)]
pub struct SchemeEntry {
    /// The code point.
    pub code: u16,
    /// The name in IANA's registry; before TLS 1.3 made up of key and hash.
    pub iana: &'static str,
    /// The kind of key, `weak`, `tls1.3`.
    pub classes: &'static str,
    /// The place in the order of OpenSSL 3.0.
    pub place: Option<u16>,
}

static SUITES: LazyLock<Vec<SuiteEntry>> = LazyLock::new(|| {
    rows(include_str!("suites.tsv"), |code, [iana, openssl, classes, place]| SuiteEntry {
        code,
        iana,
        openssl: (openssl != "-").then_some(openssl),
        classes,
        place: place.parse().ok(),
    })
});

static GROUPS: LazyLock<Vec<GroupEntry>> = LazyLock::new(|| {
    rows(include_str!("groups.tsv"), |code, [iana, name, bits, classes, place]| GroupEntry {
        code,
        iana,
        name,
        bits: bits.parse().unwrap_or(0),
        classes,
        place: place.parse().ok(),
    })
});

static SCHEMES: LazyLock<Vec<SchemeEntry>> = LazyLock::new(|| {
    rows(include_str!("schemes.tsv"), |code, [iana, classes, place]| SchemeEntry {
        code,
        iana,
        classes,
        place: place.parse().ok(),
    })
});

/// The lines of a table that hold a code and `N` more fields. That none is passed over is tested.
fn rows<T, const N: usize>(text: &'static str, entry: impl Fn(u16, [&'static str; N]) -> T) -> Vec<T> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (code, rest) = line.split_once('\t')?;
            let fields: Vec<&'static str> = rest.split('\t').collect();
            Some(entry(u16::from_str_radix(code, 16).ok()?, fields.try_into().ok()?))
        })
        .collect()
}

/// Every cipher suite, by code.
pub fn suites() -> &'static [SuiteEntry] {
    &SUITES
}

/// Every key exchange group.
pub fn groups() -> &'static [GroupEntry] {
    &GROUPS
}

/// Every signature scheme.
pub fn schemes() -> &'static [SchemeEntry] {
    &SCHEMES
}

/// The suite of that code.
pub fn suite(code: u16) -> Option<&'static SuiteEntry> {
    let at = SUITES.binary_search_by_key(&code, |entry| entry.code).ok()?;
    SUITES.get(at)
}

/// The group of that code.
pub fn group(code: u16) -> Option<&'static GroupEntry> {
    GROUPS.iter().find(|entry| entry.code == code)
}

/// The scheme of that code.
pub fn scheme(code: u16) -> Option<&'static SchemeEntry> {
    SCHEMES.iter().find(|entry| entry.code == code)
}

impl SuiteEntry {
    /// Whether it is of this class.
    pub fn is(&self, class: &str) -> bool {
        self.classes.split(' ').any(|word| word == class)
    }
}

impl GroupEntry {
    /// Whether it is of this class.
    pub fn is(&self, class: &str) -> bool {
        self.classes.split(' ').any(|word| word == class)
    }
}

impl SchemeEntry {
    /// Whether it is of this class.
    pub fn is(&self, class: &str) -> bool {
        self.classes.split(' ').any(|word| word == class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn every_line_of_every_table_is_read_and_no_code_stands_twice() {
        assert_eq!(suites().len(), lines(include_str!("suites.tsv")));
        assert_eq!(groups().len(), lines(include_str!("groups.tsv")));
        assert_eq!(schemes().len(), lines(include_str!("schemes.tsv")));
        let codes: [Vec<u16>; 3] = [
            suites().iter().map(|entry| entry.code).collect(),
            groups().iter().map(|entry| entry.code).collect(),
            schemes().iter().map(|entry| entry.code).collect(),
        ];
        assert!(codes[0].is_sorted(), "suites are looked up by halves");
        for mut all in codes {
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }

    #[test]
    fn the_classes_of_a_suite_are_those_that_its_name_says() {
        for suite in suites().iter().filter(|suite| !suite.is("scsv")) {
            let says = |words: &[&str]| words.iter().any(|word| suite.iana.contains(word));
            let iana = suite.iana;
            let aead = says(&["GCM", "CCM", "POLY1305", "AEGIS"]);
            assert_eq!(suite.is("aead"), aead, "{iana}");
            assert_eq!(suite.is("cbc"), says(&["_CBC_"]), "{iana}");
            assert_eq!(suite.is("anonymous"), says(&["anon", "NULL_WITH_NULL"]), "{iana}");
            let unencrypted = says(&["WITH_NULL", "TLS_SHA256", "TLS_SHA384"]);
            assert_eq!(suite.is("null"), unencrypted, "{iana}");
            assert_eq!(suite.is("rc4"), says(&["RC4"]), "{iana}");
            assert_eq!(suite.is("3des"), says(&["3DES"]), "{iana}");
            assert_eq!(suite.is("export"), says(&["EXPORT", "DES40", "_40_"]), "{iana}");
            let ephemeral = says(&["DHE", "anon", "CECPQ1", "ECCPWD"]) || suite.is("tls1.3");
            assert_eq!(suite.is("forward-secrecy"), ephemeral, "{iana}");
            assert_eq!(suite.is("auth-ecdsa"), says(&["_ECDSA_"]) && !says(&["TLS_ECDH_"]), "{iana}");
        }
    }

    #[test]
    fn what_is_looked_up_is_found() {
        let suite = suite(0xc02b).unwrap();
        assert_eq!(suite.openssl, Some("ECDHE-ECDSA-AES128-GCM-SHA256"));
        assert!(suite.is("tls1.2") && suite.is("aead") && !suite.is("auth-rsa"));
        assert_eq!(group(0x11ec).unwrap().name, "X25519MLKEM768");
        assert_eq!(scheme(0x0403).unwrap().iana, "ecdsa_secp256r1_sha256");
        assert!(super::suite(0x0a0a).is_none());
    }
}
