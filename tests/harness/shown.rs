//! What a living server shows from outside: the states that `secure` leads through, and nothing else.
//! It asks psql, and leaves it to the scenario which of them is right.

use super::living::Living;
use super::process::Ran;
use super::template::{PASSWORD, SUPERUSER};

/// A state that somebody gets in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// No TLS.
    Plaintext,
    /// TLS that verifies, and plaintext as before.
    Both,
    /// TLS that verifies, and no plaintext.
    TlsOnly,
}

impl Living {
    /// Logs in as the superuser over TCP, with and without TLS, and over the socket. Fails where nobody gets in, and
    /// where TLS is offered that does not verify.
    #[track_caller]
    pub(crate) fn shown(&self) -> Shown {
        assert_eq!(self.sql("SELECT 1"), "1", "the superuser gets in over the socket");
        let tcp = |sslmode: &str| -> Ran { self.psql_as(SUPERUSER, PASSWORD, sslmode).run("SELECT 1") };
        let (plaintext, tls, any_tls) = (tcp("disable"), tcp("verify-full"), tcp("require"));
        let offered = !any_tls.stderr().contains("server does not support SSL");
        match (plaintext.code(), tls.code()) {
            (Some(0), Some(2)) if !offered => Shown::Plaintext,
            (Some(0), Some(0)) => Shown::Both,
            (Some(2), Some(0)) if plaintext.stderr().contains("pg_hba.conf rejects connection") => {
                Shown::TlsOnly
            }
            _ => panic!("neither the old state nor the new one:\n{plaintext}\n{tls}\n{any_tls}"),
        }
    }

    /// Every file that was never finished, wherever it lies.
    pub(crate) fn half_written(&self) -> Vec<String> {
        let all = self.all_files();
        let names = all.keys().map(|path| path.display().to_string());
        names.filter(|name| name.ends_with(".pgseal-new")).collect()
    }
}
