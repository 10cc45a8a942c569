//! The certificate that a server shows, as openssl sees it: an opinion that is not pgseal's.

use std::time::Duration;

use super::account::Account;
use super::process::run;

/// What openssl prints of the leaf that is served at that port of 127.0.0.1: `sha256` in lower-case pairs with colons
/// between, as pgseal prints it.
#[track_caller]
pub(crate) fn served(port: u16) -> String {
    let script = format!(
        "openssl s_client -starttls postgres -connect 127.0.0.1:{port} </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256"
    );
    let mut shell = Account::current().command("sh", "/nonexistent".as_ref());
    shell.current_dir("/").args(["-c", &script]);
    let ran = run(shell, b"", Duration::from_secs(20)).succeeded();
    let (_, fingerprint) =
        ran.stdout().trim().split_once('=').unwrap_or_else(|| panic!("openssl should print one:\n{ran}"));
    fingerprint.to_ascii_lowercase()
}
