//! TLS alerts: RFC names, and the words OpenSSL has for them (so, what psql prints).

use std::fmt;

/// An alert that the server sent (RFC 8446, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

/// Code, RFC name, OpenSSL 3.0's reason text.
const ALERTS: [(u8, &str, &str); 28] = [
    (0, "close_notify", "sslv3 alert close notify"),
    (10, "unexpected_message", "sslv3 alert unexpected message"),
    (20, "bad_record_mac", "sslv3 alert bad record mac"),
    (21, "decryption_failed", "tlsv1 alert decryption failed"),
    (22, "record_overflow", "tlsv1 alert record overflow"),
    (30, "decompression_failure", "sslv3 alert decompression failure"),
    (40, "handshake_failure", "sslv3 alert handshake failure"),
    (42, "bad_certificate", "sslv3 alert bad certificate"),
    (43, "unsupported_certificate", "sslv3 alert unsupported certificate"),
    (44, "certificate_revoked", "sslv3 alert certificate revoked"),
    (45, "certificate_expired", "sslv3 alert certificate expired"),
    (46, "certificate_unknown", "sslv3 alert certificate unknown"),
    (47, "illegal_parameter", "sslv3 alert illegal parameter"),
    (48, "unknown_ca", "tlsv1 alert unknown ca"),
    (49, "access_denied", "tlsv1 alert access denied"),
    (50, "decode_error", "tlsv1 alert decode error"),
    (51, "decrypt_error", "tlsv1 alert decrypt error"),
    (60, "export_restriction", "tlsv1 alert export restriction"),
    (70, "protocol_version", "tlsv1 alert protocol version"),
    (71, "insufficient_security", "tlsv1 alert insufficient security"),
    (80, "internal_error", "tlsv1 alert internal error"),
    (86, "inappropriate_fallback", "tlsv1 alert inappropriate fallback"),
    (90, "user_canceled", "tlsv1 alert user cancelled"),
    (100, "no_renegotiation", "tlsv1 alert no renegotiation"),
    (109, "missing_extension", "tlsv13 alert missing extension"),
    (112, "unrecognized_name", "tlsv1 unrecognized name"),
    (116, "certificate_required", "tlsv13 alert certificate required"),
    (120, "no_application_protocol", "tlsv1 alert no application protocol"),
];

impl Alert {
    /// `protocol_version`: no common TLS version.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// `no_application_protocol`: the server speaks ALPN and not ours.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);

    /// The name in the RFCs, such as `handshake_failure`.
    pub fn rfc_name(self) -> Option<&'static str> {
        ALERTS.iter().find(|row| row.0 == self.0).map(|row| row.1)
    }

    /// OpenSSL 3.0's text, which follows `SSL error: ` in libpq's message.
    pub fn openssl_text(self) -> Option<&'static str> {
        ALERTS.iter().find(|row| row.0 == self.0).map(|row| row.2)
    }
}

/// The RFC name, or the number.
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rfc_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
