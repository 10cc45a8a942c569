//! One initdb for each PostgreSQL and owner, kept in the cache and copied for each server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::install::{Install, cache};
use super::process::run;
use super::sandbox::Sandbox;
use super::shelf::{copy_tree, lock};

/// The superuser of the harness's own servers.
pub(crate) const SUPERUSER: &str = "postgres";
/// The superuser's password, for logins over TCP.
pub(crate) const PASSWORD: &str = "correct horse";

/// Puts a fresh cluster at `data`: UTF8, C locale, `trust` on the socket, `scram-sha-256` over TCP, 1 MB WAL segments.
pub(crate) fn fresh_cluster(install: &Install, account: &Account, data: &Path) {
    copy_tree(&template(install, account), data);
    // Whatever became of modes in the cache: PostgreSQL refuses any but this one and 0750.
    fs::set_permissions(data, Permissions::from_mode(0o700))
        .unwrap_or_else(|e| panic!("could not change the mode of {}: {e}", data.display()));
}

fn template(install: &Install, account: &Account) -> PathBuf {
    let shelf = cache().join("initdb");
    fs::create_dir_all(&shelf).unwrap_or_else(|e| panic!("could not make {}: {e}", shelf.display()));
    let key: String = format!("{}-{}", install.release(), account.uid())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let template = shelf.join(&key);
    let _held = lock(&shelf.join(format!("{key}.lock")));
    // The cluster is copied in first and named last: what bears the name is whole.
    if !template.exists() {
        let half = shelf.join(format!("{key}.half"));
        let sandbox = Sandbox::new();
        let made = initdb(install, account, &sandbox);
        copy_tree(&made, &half);
        fs::rename(&half, &template).unwrap_or_else(|e| panic!("could not name {}: {e}", template.display()));
    }
    template
}

fn initdb(install: &Install, account: &Account, sandbox: &Sandbox) -> PathBuf {
    let data = sandbox.dir_of(account, "cluster").join("data");
    let password = sandbox.file_of(account, "password", 0o600, PASSWORD);
    let mut initdb = account.command(install.program("initdb"), &sandbox.home_of(account));
    initdb
        .current_dir(sandbox.path())
        .args(["--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg(format!("--username={SUPERUSER}"))
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(&data);
    run(initdb, b"", Duration::from_secs(60)).succeeded();
    data
}
