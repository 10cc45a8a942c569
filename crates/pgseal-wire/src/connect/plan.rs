//! What a mode tries first, and what it tries next. Pure: the table of libpq, as code.
//!
//! Source: `PQconnectPoll` of fe-connect.c in 13 to 16, and `select_next_encryption_method` from
//! 17 on; measured against psql 15, 17 and 18 (the two differ in one message, not in outcome).

use crate::libpq::LibpqVersion;
use crate::sslmode::SslMode;

/// One try on one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// The startup packet in the clear.
    Plain,
    /// TLS; in the clear on the same socket where the server says N.
    TlsUnlessDeclined,
    /// TLS or nothing.
    Tls,
}

/// Why a try came to nothing, as far as it decides about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// TLS was begun and failed: at the roots, the handshake, the chain or the name.
    Handshake,
    /// The server answered with an error before `AuthenticationOk`.
    Refused {
        /// Whether that was under TLS.
        in_tls: bool,
    },
    /// Anything else: silence, garbage, no password, a missing database.
    Otherwise,
}

/// What is tried first. There is no TLS on Unix sockets, whatever the mode.
pub(super) const fn first(mode: SslMode, unix: bool) -> Try {
    match mode {
        _ if unix => Try::Plain,
        SslMode::Disable | SslMode::Allow => Try::Plain,
        SslMode::Prefer => Try::TlsUnlessDeclined,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Try::Tls,
    }
}

/// What is tried after that, on a new socket to the same address.
pub(super) const fn next(
    mode: SslMode,
    unix: bool,
    tried: Try,
    lost: Lost,
    libpq: LibpqVersion,
) -> Option<Try> {
    if unix {
        return None;
    }
    match (mode, tried, lost) {
        (SslMode::Prefer, Try::TlsUnlessDeclined, Lost::Handshake | Lost::Refused { in_tls: true }) => {
            Some(Try::Plain)
        }
        (SslMode::Allow, Try::Plain, Lost::Refused { .. }) if libpq.remembers_lost_methods() => {
            Some(Try::Tls)
        }
        (SslMode::Allow, Try::Plain, Lost::Refused { .. }) => Some(Try::TlsUnlessDeclined),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V15: LibpqVersion = LibpqVersion::new(15);
    const LOSSES: [Lost; 4] =
        [Lost::Handshake, Lost::Refused { in_tls: true }, Lost::Refused { in_tls: false }, Lost::Otherwise];

    #[test]
    fn a_strong_mode_never_tries_plaintext() {
        for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
            assert_eq!(first(mode, false), Try::Tls);
            for lost in LOSSES {
                assert_eq!(next(mode, false, Try::Tls, lost, V15), None);
            }
        }
    }

    #[test]
    fn prefer_falls_back_to_plaintext_on_a_failed_handshake_and_on_a_refusal() {
        let next = |lost| next(SslMode::Prefer, false, Try::TlsUnlessDeclined, lost, V15);
        assert_eq!(next(Lost::Handshake), Some(Try::Plain));
        assert_eq!(next(Lost::Refused { in_tls: true }), Some(Try::Plain));
        assert_eq!(next(Lost::Refused { in_tls: false }), None);
        assert_eq!(next(Lost::Otherwise), None);
    }

    #[test]
    fn allow_asks_for_tls_only_when_plaintext_is_refused() {
        let next = |lost| next(SslMode::Allow, false, Try::Plain, lost, V15);
        assert_eq!(next(Lost::Refused { in_tls: false }), Some(Try::TlsUnlessDeclined));
        assert_eq!(next(Lost::Otherwise), None);
    }

    #[test]
    fn no_mode_tries_more_than_twice_and_none_tries_tls_on_a_socket() {
        for mode in SslMode::ALL {
            assert_eq!(first(mode, true), Try::Plain);
            for lost in LOSSES {
                assert_eq!(next(mode, true, Try::Plain, lost, V15), None);
                let second = next(mode, false, first(mode, false), lost, V15);
                for again in LOSSES {
                    let third = second.and_then(|tried| next(mode, false, tried, again, V15));
                    let looped = mode == SslMode::Prefer && second == Some(Try::Plain);
                    assert!(third.is_none(), "{mode} {lost:?} {again:?} {looped}");
                }
            }
        }
    }
}
