//! Names of what a handshake agreed on: IANA's, and those that people know.
//!
//! Only what rustls can negotiate has a name here; any other code is shown as a number.

use std::fmt;

/// A cipher suite by its IANA code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub u16);

/// Code, IANA name, OpenSSL name (as in `pg_stat_ssl.cipher`).
const SUITES: [(u16, &str, &str); 9] = [
    (0x1301, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
];

impl CipherSuite {
    /// The name in IANA's registry, such as `TLS_AES_256_GCM_SHA384`.
    pub fn iana_name(self) -> Option<&'static str> {
        SUITES.iter().find(|row| row.0 == self.0).map(|row| row.1)
    }

    /// OpenSSL's name, which is what `pg_stat_ssl` shows.
    pub fn openssl_name(self) -> Option<&'static str> {
        SUITES.iter().find(|row| row.0 == self.0).map(|row| row.2)
    }
}

/// The IANA name, or the code.
impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.iana_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:04x}", self.0),
        }
    }
}

/// A key exchange group by its IANA code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyExchangeGroup(pub u16);

/// Code, IANA name, the name people know.
const GROUPS: [(u16, &str, &str); 8] = [
    (0x0017, "secp256r1", "P-256"),
    (0x0018, "secp384r1", "P-384"),
    (0x0019, "secp521r1", "P-521"),
    (0x001d, "x25519", "X25519"),
    (0x0201, "MLKEM768", "MLKEM768"),
    (0x0202, "MLKEM1024", "MLKEM1024"),
    (0x11eb, "SecP256r1MLKEM768", "SecP256r1MLKEM768"),
    (0x11ec, "X25519MLKEM768", "X25519MLKEM768"),
];

impl KeyExchangeGroup {
    /// The name in IANA's registry, such as `x25519`.
    pub fn iana_name(self) -> Option<&'static str> {
        GROUPS.iter().find(|row| row.0 == self.0).map(|row| row.1)
    }
}

/// The name people know (`X25519`, `P-256`), or the code.
impl fmt::Display for KeyExchangeGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match GROUPS.iter().find(|row| row.0 == self.0) {
            Some(row) => f.write_str(row.2),
            None => write!(f, "0x{:04x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs;

    #[test]
    fn everything_that_rustls_can_negotiate_has_an_iana_name() {
        for suite in aws_lc_rs::ALL_CIPHER_SUITES {
            let code = u16::from(suite.suite());
            assert!(CipherSuite(code).iana_name().is_some(), "{code:04x}");
        }
        for group in aws_lc_rs::ALL_KX_GROUPS {
            let code = u16::from(group.name());
            assert!(KeyExchangeGroup(code).iana_name().is_some(), "{code:04x}");
        }
    }

    #[test]
    fn a_tls_1_3_suite_is_named_as_iana_names_it() {
        assert_eq!(CipherSuite(0x1302).to_string(), "TLS_AES_256_GCM_SHA384");
        assert_eq!(CipherSuite(0xffff).to_string(), "0xffff");
        assert_eq!(KeyExchangeGroup(0x001d).to_string(), "X25519");
    }
}
