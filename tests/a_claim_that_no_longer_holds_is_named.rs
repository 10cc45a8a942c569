//! Each promise is broken behind pgseal's back, on a real server. `pgseal verify` names the claims that fell, and those
//! alone; mended, everything is proved again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration as Limit;

use time::{Duration, OffsetDateTime};

use crate::harness::{
    Forge, Forged, Holds, NO, Running, Sealed, UNTOLD, all_hold, all_hold_but, claims, record, versions,
};

/// One way to break a server, and what falls by it.
struct Break {
    what: &'static str,
    by: fn(&Sealed),
    /// Empty: it only looks like a break, and everything still holds.
    falls: &'static [(&'static str, Holds)],
}

/// What `up` promises its certificate for, as far as every machine has it.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const NO_TLS: &[(&str, Holds)] = &[
    ("tls-offered", NO),
    ("tls-version", UNTOLD),
    ("certificate-as-issued", UNTOLD),
    ("chain-verified", UNTOLD),
    ("valid-now", UNTOLD),
    ("names-match", UNTOLD),
    ("no-plaintext-path", UNTOLD),
    ("session-encrypted", UNTOLD),
    ("channel-binding", UNTOLD),
    ("passwords-scram", UNTOLD),
    ("sslmode-require-connects", NO),
    ("sslmode-verify-ca-connects", NO),
    ("sslmode-verify-full-connects", NO),
];

const ENCRYPTION: &[Break] = &[
    Break { what: "TLS is switched off", by: |server| set(server, "ssl = off"), falls: NO_TLS },
    Break {
        what: "nothing newer than TLS 1.1 is spoken",
        by: |server| set(server, "ssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.1'"),
        falls: NO_TLS,
    },
    Break {
        what: "TLS 1.2 alone is spoken, which is as good",
        by: |server| set(server, "ssl_max_protocol_version = 'TLSv1.2'"),
        falls: &[],
    },
];

const CERTIFICATE: &[Break] = &[
    Break {
        what: "the same CA issued another certificate, which is served",
        by: |server| serve(server, &Forge::of_folder(server.dir()).leaf(&names(server))),
        falls: &[("certificate-as-issued", NO)],
    },
    Break {
        what: "another CA's certificate is served",
        by: |server| serve(server, &Forge::new("pgseal server CA vm").leaf(&names(server))),
        falls: &[
            ("certificate-as-issued", NO),
            ("chain-verified", NO),
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", UNTOLD),
            ("passwords-scram", UNTOLD),
            ("sslmode-verify-ca-connects", NO),
            ("sslmode-verify-full-connects", NO),
        ],
    },
    Break {
        what: "the certificate has expired",
        by: |server| issue_dated(server, -Duration::days(30), -Duration::days(1)),
        falls: OUT_OF_DATE,
    },
    Break {
        what: "the certificate is not valid yet",
        by: |server| issue_dated(server, Duration::days(1), Duration::days(30)),
        falls: OUT_OF_DATE,
    },
    Break {
        what: "the certificate is for other names",
        by: |server| issue(server, &Forge::of_folder(server.dir()).leaf(&["db.example.org", "10.0.0.1"])),
        falls: &[
            ("names-match", NO),
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", UNTOLD),
            ("passwords-scram", UNTOLD),
            ("sslmode-verify-full-connects", NO),
        ],
    },
    Break {
        what: "one promised name is missing in the certificate",
        by: |server| issue(server, &Forge::of_folder(server.dir()).leaf(&["localhost", "127.0.0.1"])),
        falls: &[("names-match", NO)],
    },
    Break {
        what: "the guide's self-signed certificate of version 1 is served",
        by: |server| serve(server, &as_the_guide_makes_it()),
        falls: &[
            ("certificate-as-issued", NO),
            ("chain-verified", NO),
            ("names-match", NO),
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", UNTOLD),
            ("passwords-scram", UNTOLD),
            ("sslmode-verify-ca-connects", NO),
            ("sslmode-verify-full-connects", NO),
        ],
    },
    Break {
        what: "the guide's certificate is served and trusted as a root: libpq's verify-ca takes that",
        by: |server| {
            let guides = as_the_guide_makes_it();
            write(server, "client/ca.crt", &guides.certificate);
            serve(server, &guides);
        },
        falls: &[
            ("certificate-as-issued", NO),
            ("names-match", NO),
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", UNTOLD),
            ("passwords-scram", UNTOLD),
            ("sslmode-verify-full-connects", NO),
        ],
    },
    Break {
        what: "the clients' CA file is gone",
        by: |server| fs::remove_file(server.at("client/ca.crt")).unwrap(),
        falls: NOBODY_TO_TRUST,
    },
    Break {
        what: "the clients' CA file holds no certificate",
        by: |server| {
            write(server, "client/ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        },
        falls: NOBODY_TO_TRUST,
    },
    Break {
        what: "the record of the certificate that was issued is broken",
        by: |server| write(server, "ca/server.crt", "no certificate\n"),
        falls: &[("certificate-as-issued", UNTOLD)],
    },
];

const OUT_OF_DATE: &[(&str, Holds)] = &[
    ("chain-verified", NO),
    ("valid-now", NO),
    ("no-plaintext-path", UNTOLD),
    ("session-encrypted", UNTOLD),
    ("channel-binding", UNTOLD),
    ("passwords-scram", UNTOLD),
    ("sslmode-verify-ca-connects", NO),
    ("sslmode-verify-full-connects", NO),
];

const NOBODY_TO_TRUST: &[(&str, Holds)] = &[
    ("chain-verified", UNTOLD),
    ("no-plaintext-path", UNTOLD),
    ("session-encrypted", UNTOLD),
    ("channel-binding", UNTOLD),
    ("passwords-scram", UNTOLD),
    ("sslmode-verify-ca-connects", UNTOLD),
    ("sslmode-verify-full-connects", UNTOLD),
];

const RULES: &[Break] = &[
    Break {
        what: "a host line on top lets plaintext in with a password",
        by: |server| on_top(server, "host all all all scram-sha-256"),
        falls: &[
            ("no-plaintext-path", NO),
            ("plaintext-refused-ipv4", NO),
            ("plaintext-refused-ipv6", NO),
            ("sslmode-disable-refused", NO),
        ],
    },
    Break {
        what: "a host line on top lets replication in",
        by: |server| on_top(server, "host replication all all scram-sha-256"),
        falls: &[
            ("no-plaintext-path", NO),
            ("replication-plaintext-refused-ipv4", NO),
            ("replication-plaintext-refused-ipv6", NO),
        ],
    },
    Break {
        what: "everybody is trusted",
        by: |server| on_top(server, "host all all all trust"),
        falls: &[
            ("no-plaintext-path", NO),
            ("plaintext-refused-ipv4", NO),
            ("plaintext-refused-ipv6", NO),
            ("channel-binding", NO),
            ("sslmode-disable-refused", NO),
        ],
    },
    Break {
        what: "plaintext is let in over IPv4 alone",
        by: |server| on_top(server, "hostnossl all all 127.0.0.0/8 scram-sha-256"),
        falls: &[("no-plaintext-path", NO), ("plaintext-refused-ipv4", NO), ("sslmode-disable-refused", NO)],
    },
    Break {
        what: "plaintext is let in over IPv6 alone, in the one database, for the one user",
        by: |server| on_top(server, "hostnossl mydb admin ::1/128 md5"),
        falls: &[("no-plaintext-path", NO), ("plaintext-refused-ipv6", NO)],
    },
    Break {
        what: "replication is let in in plaintext over IPv4 alone",
        by: |server| on_top(server, "hostnossl replication admin 127.0.0.1/32 trust"),
        falls: &[("no-plaintext-path", NO), ("replication-plaintext-refused-ipv4", NO)],
    },
    Break {
        what: "replication is let in in plaintext over IPv6 alone",
        by: |server| on_top(server, "host replication all ::1/128 scram-sha-256"),
        falls: &[("no-plaintext-path", NO), ("replication-plaintext-refused-ipv6", NO)],
    },
    Break {
        what: "plaintext is let in for another user from another network, where no attempt of ours reaches",
        by: |server| on_top(server, "host invoices billing 10.20.0.0/16 scram-sha-256"),
        falls: &[("no-plaintext-path", NO)],
    },
    Break {
        what: "plaintext is let in for the members of a role, which has one",
        by: |server| {
            server.sql("CREATE ROLE team; CREATE ROLE member LOGIN IN ROLE team");
            on_top(server, "host all +team 10.20.0.0/16 scram-sha-256");
        },
        falls: &[("no-plaintext-path", NO)],
    },
    Break {
        what: "plaintext is let in for hosts of a name, which only DNS tells",
        by: |server| on_top(server, "host all all .example.test scram-sha-256"),
        falls: &[("no-plaintext-path", UNTOLD)],
    },
    Break {
        what: "the rules on disk have an error, so that older ones decide",
        by: |server| on_top(server, "hosst all all all scram-sha-256"),
        falls: &[("no-plaintext-path", UNTOLD)],
    },
    Break {
        what: "over TLS everybody is trusted",
        by: |server| on_top(server, "hostssl all all all trust"),
        falls: &[("channel-binding", NO)],
    },
    Break {
        what: "over TLS the password is asked for in clear, and it is not given",
        by: |server| on_top(server, "hostssl all all all password"),
        falls: &[
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", NO),
            ("passwords-scram", UNTOLD),
            ("sslmode-require-connects", UNTOLD),
            ("sslmode-verify-ca-connects", UNTOLD),
            ("sslmode-verify-full-connects", UNTOLD),
        ],
    },
    Break {
        what: "TLS is refused",
        by: |server| on_top(server, "hostssl all all all reject"),
        falls: NOT_OVER_TLS,
    },
    Break {
        what: "nothing but plaintext is let in",
        by: |server| server.write_hba("local all all peer map=pgseal\nhostnossl all all all scram-sha-256\n"),
        falls: &[
            ("plaintext-refused-ipv4", NO),
            ("plaintext-refused-ipv6", NO),
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", UNTOLD),
            ("passwords-scram", UNTOLD),
            ("sslmode-disable-refused", NO),
            ("sslmode-require-connects", NO),
            ("sslmode-verify-ca-connects", NO),
            ("sslmode-verify-full-connects", NO),
        ],
    },
    Break {
        what: "plaintext is refused by no matching line, which is as good",
        by: |server| server.write_hba("local all all peer map=pgseal\nhostssl all all all scram-sha-256\n"),
        falls: &[],
    },
    Break {
        what: "the md5 method is asked for, which is SCRAM for a SCRAM password",
        by: |server| on_top(server, "hostssl all all all md5"),
        falls: &[],
    },
];

const NOT_OVER_TLS: &[(&str, Holds)] = &[
    ("no-plaintext-path", UNTOLD),
    ("session-encrypted", UNTOLD),
    ("channel-binding", UNTOLD),
    ("passwords-scram", UNTOLD),
    ("sslmode-require-connects", NO),
    ("sslmode-verify-ca-connects", NO),
    ("sslmode-verify-full-connects", NO),
];

const ROLES: &[Break] = &[
    Break {
        what: "a role has an md5 password",
        by: |server| {
            server.sql("SET password_encryption = 'md5'; CREATE ROLE legacy LOGIN PASSWORD 'of old'");
        },
        falls: &[("passwords-scram", NO)],
    },
    Break {
        what: "a role that may not log in has an md5 password, which opens nothing",
        by: |server| {
            server.sql("SET password_encryption = 'md5'; CREATE ROLE legacy PASSWORD 'of old'");
        },
        falls: &[],
    },
    Break {
        what: "the superuser's own password is md5",
        by: |server| {
            let password = server.password();
            server.sql(&format!("SET password_encryption = 'md5'; ALTER ROLE admin PASSWORD '{password}'"));
            on_top(server, "hostssl all all all md5");
        },
        falls: &[("channel-binding", NO), ("passwords-scram", NO)],
    },
    Break {
        what: "the password is another",
        by: |server| {
            server.sql("ALTER ROLE admin PASSWORD 'changed'");
        },
        falls: NO_LOGIN,
    },
    Break {
        what: "the database is gone",
        by: |server| {
            server.sql("DROP DATABASE mydb");
        },
        falls: NO_LOGIN,
    },
    Break {
        what: "the password file is gone",
        by: |server| fs::remove_file(server.at("client/pgpass")).unwrap(),
        falls: &[
            ("no-plaintext-path", UNTOLD),
            ("session-encrypted", UNTOLD),
            ("channel-binding", UNTOLD),
            ("passwords-scram", UNTOLD),
        ],
    },
];

const NO_LOGIN: &[(&str, Holds)] = &[
    ("no-plaintext-path", UNTOLD),
    ("session-encrypted", UNTOLD),
    ("channel-binding", UNTOLD),
    ("passwords-scram", UNTOLD),
    ("sslmode-require-connects", UNTOLD),
    ("sslmode-verify-ca-connects", UNTOLD),
    ("sslmode-verify-full-connects", UNTOLD),
];

#[test]
fn a_claim_about_encryption_that_no_longer_holds_is_named() {
    broken_one_by_one(ENCRYPTION);
}

#[test]
fn a_claim_about_the_certificate_that_no_longer_holds_is_named() {
    broken_one_by_one(CERTIFICATE);
}

#[test]
fn a_claim_about_the_rules_that_no_longer_holds_is_named() {
    broken_one_by_one(RULES);
}

#[test]
fn a_claim_about_roles_and_passwords_that_no_longer_holds_is_named() {
    broken_one_by_one(ROLES);
}

#[test]
fn there_is_no_claim_that_these_scenarios_do_not_break() {
    let server = Sealed::of(15);
    let all: BTreeSet<String> = claims(&server.verify()).into_keys().collect();
    let broken = [ENCRYPTION, CERTIFICATE, RULES, ROLES].into_iter().flatten().flat_map(|one| one.falls);
    assert_eq!(all, broken.map(|(name, _)| (*name).to_owned()).collect());
    assert_eq!(server.verify().json()["left_out"], serde_json::json!([]), "this machine has IPv4 and IPv6");
}

/// What lies on disk is no proof of anything: only what is served counts.
#[test]
fn a_certificate_that_the_server_was_not_told_of_changes_nothing() {
    let server = Sealed::of(18);
    serve(&server, &Forge::new("other").leaf(&NAMES));
    all_hold(&server.verify());
    server.reload();
    assert_eq!(server.verify().code(), Some(1));
}

fn broken_one_by_one(breaks: &[Break]) {
    for version in versions() {
        let server = Sealed::of(*version);
        let sound = Sound::of(&server);
        for one in breaks {
            eprintln!("PostgreSQL {version}: {}", one.what);
            (one.by)(&server);
            server.reload();
            let verified = server.verify();
            if one.falls.is_empty() {
                all_hold(&verified);
            } else {
                all_hold_but(&verified, one.falls);
            }
            sound.restore(&server);
        }
        all_hold(&server.verify());
        let count = u32::try_from(breaks.len()).unwrap();
        record("a claim that no longer holds is named", count);
    }
}

/// What a break may have changed, as it was.
struct Sound {
    files: Vec<(&'static str, String)>,
    verifier: String,
}

impl Sound {
    const FILES: [&str; 6] = [
        "data/postgresql.conf",
        "data/pg_hba.conf",
        "tls/server-with-key.pem",
        "ca/server.crt",
        "client/ca.crt",
        "client/pgpass",
    ];

    fn of(server: &Sealed) -> Self {
        let read = |name: &'static str| (name, fs::read_to_string(server.at(name)).unwrap());
        let verifier = server.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'admin'");
        assert!(verifier.starts_with("SCRAM-SHA-256$"), "{verifier}");
        Self { files: Self::FILES.map(read).to_vec(), verifier }
    }

    /// Mends everything, and proves it: a repair that is not complete would make the next break lie.
    fn restore(&self, server: &Sealed) {
        for (name, content) in &self.files {
            write(server, name, content);
        }
        server.reload();
        server.sql(&format!("ALTER ROLE admin PASSWORD '{}'; DROP ROLE IF EXISTS legacy", self.verifier));
        if server.sql("SELECT count(*) FROM pg_database WHERE datname = 'mydb'") == "0" {
            server.sql("CREATE DATABASE mydb");
        }
        all_hold(&server.verify());
    }
}

fn set(server: &Sealed, lines: &str) {
    server.append_conf(lines);
}

fn on_top(server: &Sealed, line: &str) {
    server.prepend_hba(line);
}

/// Written over, so that owner and mode stay; a file that was removed comes back private.
fn write(server: &Sealed, name: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = server.at(name);
    let gone = !path.exists();
    fs::write(&path, content).unwrap();
    if gone {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Every name that the server's certificate was made for.
fn names(server: &Sealed) -> Vec<String> {
    let settings: toml::Table = fs::read_to_string(server.at("pgseal.toml")).unwrap().parse().unwrap();
    let names = settings["certificate"]["names"].as_array().unwrap();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The server shows it from its next reload on.
fn serve(server: &Sealed, forged: &Forged) {
    write(server, "tls/server-with-key.pem", &forged.one_pem());
}

/// The same, as if pgseal itself had issued it.
fn issue(server: &Sealed, forged: &Forged) {
    write(server, "ca/server.crt", &forged.certificate);
    serve(server, forged);
}

fn issue_dated(server: &Sealed, from: Duration, until: Duration) {
    let now = OffsetDateTime::now_utc();
    let names = names(server);
    issue(server, &Forge::of_folder(server.dir()).leaf_dated(&names, now + from, now + until));
}

/// By the guide's own words: `openssl req -new`, then `openssl x509 -req -signkey`.
fn as_the_guide_makes_it() -> Forged {
    let script = "set -e
        openssl genrsa -out server.key 2048
        openssl req -new -key server.key -out server.csr -subj '/C=US/ST=State/L=City/O=Organization/CN=postgres'
        openssl x509 -req -in server.csr -signkey server.key -out server.crt -days 365";
    let place = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(place.path()).arg("-c").arg(script);
    Running::start(shell, b"").wait(Limit::from_secs(60)).succeeded();
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    Forged { certificate: read("server.crt"), key: read("server.key") }
}
