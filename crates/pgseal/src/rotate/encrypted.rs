//! A server's key behind a passphrase: a reload opens it only where the server is told so, and that is said before
//! anything is written (be-secure-common.c, run_ssl_passphrase_command; be-secure-openssl.c,
//! ssl_passphrase_callback).

use std::path::Path;

use pgseal_pki::{KeyPem, PrivateKey, read_bundle};

use super::wish::Wish;
use crate::failure::{Failure, Result};
use crate::privilege::secret::Secret;
use crate::secure::certificate;
use crate::secure::facts::Facts;

/// The passphrase for a key that is made now: where the present one has one, so has the new one.
pub(super) fn passphrase(facts: &Facts, wish: &Wish) -> Result<Option<Secret>> {
    let is_encrypted = facts.certificate.as_ref().is_ok_and(|present| present.encrypted);
    match &wish.key_passphrase {
        None if !is_encrypted || wish.plain_key => Ok(None),
        None => Err(Failure::usage("the present key is behind a passphrase, and none was given for the new one")
            .because("nothing was changed")
            .hint("--key-passphrase-file with what ssl_passphrase_command prints; --plain-key for a key without one")),
        Some(given) => {
            must_be_opened_by_the_server(facts)?;
            given.reveal("the server's key").map(Some)
        }
    }
}

/// A key that was brought, opened, with its passphrase; `None` where it has none.
pub(super) fn open(key: &Path, facts: &Facts, wish: &Wish) -> Result<Option<(KeyPem, Secret)>> {
    let bundle =
        read_bundle(&certificate::read(key)?).map_err(|error| certificate::unreadable(key, &error))?;
    let Some(PrivateKey::Encrypted(sealed)) = bundle.private_key else { return Ok(None) };
    must_be_opened_by_the_server(facts)?;
    let given = wish.key_passphrase.clone().unwrap_or_default();
    let passphrase = given.reveal(&format!("the key {}", key.display()))?;
    let opened = sealed.open(passphrase.reveal().as_bytes()).map_err(|error| {
        Failure::usage(format!("the key {} could not be opened: {error}", key.display()))
            .because("nothing was changed")
    })?;
    Ok(Some((opened, passphrase)))
}

fn must_be_opened_by_the_server(facts: &Facts) -> Result<()> {
    let command = facts.setting("ssl_passphrase_command");
    if command.is_empty() {
        return Err(Failure::usage("the key is behind a passphrase, and the server has no way to open it")
            .because("ssl_passphrase_command is empty; nothing was changed")
            .hint("set ssl_passphrase_command and ssl_passphrase_command_supports_reload, or bring a key without a passphrase"));
    }
    if facts.setting("ssl_passphrase_command_supports_reload") != "on" {
        return Err(Failure::usage("the key is behind a passphrase, and a reload would not open it")
            .because("ssl_passphrase_command_supports_reload is off: the server would go on with the old certificate")
            .because("nothing was changed")
            .hint("ssl_passphrase_command_supports_reload = on, where the command asks nobody; or a key without a passphrase"));
    }
    Ok(())
}
