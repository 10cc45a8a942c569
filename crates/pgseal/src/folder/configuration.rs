//! What a new server is told before it ever listens: TLS on, plaintext refused, one way in for its
//! own user. Values in, text out.

use std::path::Path;

use super::layout::Folder;
use super::settings::Settings;

/// TLS 1.2 suites with forward secrecy and authenticated encryption; TLS 1.3 has no others.
/// In OpenSSL's words, valid in 1.1.1 and 3.
const TLS12_SUITES: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// A Unix socket's path fits 107 bytes (`sun_path`, unix(7)) with `/.s.PGSQL.65535` behind it.
const SOCKET_FOLDER_LIMIT: usize = 107 - "/.s.PGSQL.65535".len();

/// The lines for the end of `postgresql.conf`, where the last one wins (DESIGN, decision 3).
pub(crate) fn settings_lines(folder: &Folder, settings: &Settings) -> Vec<String> {
    let listen: Vec<String> = settings.server.listen.iter().map(ToString::to_string).collect();
    let socket = socket_folder(folder).map_or_else(String::new, |path| path.display().to_string());
    let mut lines = vec![
        format!("listen_addresses = {}", quoted(&listen.join(","))),
        format!("port = {}", settings.server.port),
        format!("unix_socket_directories = {}", quoted(&socket)),
    ];
    lines.extend(tls_lines(&folder.pem()));
    lines
}

/// The lines for a file of its own in a container, where `tls` is the folder that it lies in.
pub(crate) fn contained_lines(tls: &Path) -> Vec<String> {
    let path = |name: &str| quoted(&tls.join(name).display().to_string());
    let mut lines = vec![
        "# Whom compose lets reach the port is said in compose.yaml.".to_owned(),
        "listen_addresses = '*'".to_owned(),
        format!("hba_file = {}", path("pg_hba.conf")),
        format!("ident_file = {}", path("pg_ident.conf")),
    ];
    lines.extend(tls_lines(&tls.join("server-with-key.pem")));
    lines
}

/// What stands in that file before them.
pub(crate) fn contained_head(data: &Path) -> String {
    let file = quoted(&data.join("postgresql.conf").display().to_string());
    format!(
        "# Made by pgseal up. What is not said here is as the data directory's own file has it.\ninclude {file}\n"
    )
}

fn tls_lines(pem: &Path) -> Vec<String> {
    let pem = quoted(&pem.display().to_string());
    vec![
        "ssl = on".to_owned(),
        "# Key and certificate in one file, so that one rename changes both.".to_owned(),
        format!("ssl_cert_file = {pem}"),
        format!("ssl_key_file = {pem}"),
        "ssl_min_protocol_version = 'TLSv1.2'".to_owned(),
        "# TLS 1.2 only; TLS 1.3 has its own suites, all of them good.".to_owned(),
        format!("ssl_ciphers = {}", quoted(TLS12_SUITES)),
        "ssl_prefer_server_ciphers = on".to_owned(),
        "password_encryption = 'scram-sha-256'".to_owned(),
    ]
}

/// The folder for the Unix socket; `None` when its path is too long for one, and then the server
/// has none.
pub(crate) fn socket_folder(folder: &Folder) -> Option<std::path::PathBuf> {
    let run = folder.run();
    let fits = run.as_os_str().len() <= SOCKET_FOLDER_LIMIT && !holds_a_comma(&run);
    fits.then_some(run)
}

/// `unix_socket_directories` is a list, split at commas.
fn holds_a_comma(path: &Path) -> bool {
    path.to_string_lossy().contains(',')
}

/// The whole of `pg_hba.conf`.
pub(crate) fn hba_text(settings: &Settings) -> String {
    let admin = name(&settings.server.username);
    format!(
        "# Made by pgseal up. PostgreSQL takes the first line that matches and no other.
# TYPE     DATABASE     USER  ADDRESS  METHOD

# Without TLS nobody gets further than this. \"all\" does not cover physical
# replication, so that has a line of its own.
hostnossl  all          all   all      reject
hostnossl  replication  all   all      reject

# The server's own user, over the Unix socket, as the superuser (see pg_ident.conf).
local      all          {admin}  peer map=pgseal
local      replication  {admin}  peer map=pgseal
local      all          all   scram-sha-256

# With TLS: passwords that never cross the wire, bound to this TLS session where the client can.
hostssl    all          all   all      scram-sha-256
hostssl    replication  all   all      scram-sha-256
"
    )
}

/// The whole of `pg_ident.conf`: which users of the operating system are the superuser.
pub(crate) fn ident_text(settings: &Settings, system_users: &[&str]) -> String {
    let admin = name(&settings.server.username);
    let lines: String =
        system_users.iter().map(|user| format!("pgseal  {}  {admin}\n", name(user))).collect();
    format!("# Made by pgseal up. MAP  SYSTEM-USER  POSTGRESQL-USER\n{lines}")
}

/// A value of postgresql.conf (guc-file.l): quotes and backslashes doubled.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name in pg_hba.conf or pg_ident.conf (hba.c): quoted, so that it is no keyword.
fn name(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}
