//! Names of what a handshake agreed on: IANA's, and those that people know.
//!
//! What they are called stands in [`crate::registry`]; any other code is shown as a number.

use std::fmt;

use crate::registry;

/// A cipher suite by its IANA code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// The name in IANA's registry, such as `TLS_AES_256_GCM_SHA384`.
    pub fn iana_name(self) -> Option<&'static str> {
        registry::suite(self.0).map(|entry| entry.iana)
    }

    /// OpenSSL's name, which is what `pg_stat_ssl` shows.
    pub fn openssl_name(self) -> Option<&'static str> {
        registry::suite(self.0).and_then(|entry| entry.openssl)
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

impl KeyExchangeGroup {
    /// The name in IANA's registry, such as `x25519`.
    pub fn iana_name(self) -> Option<&'static str> {
        registry::group(self.0).map(|entry| entry.iana)
    }
}

/// The name people know (`X25519`, `P-256`), or the code.
impl fmt::Display for KeyExchangeGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match registry::group(self.0) {
            Some(entry) => f.write_str(entry.name),
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
