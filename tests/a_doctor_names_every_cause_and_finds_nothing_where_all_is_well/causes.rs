//! What can be wrong with a server, each cause as it comes about on one that is healthy. Knows how it is brought about, not
//! what is made of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::harness::{Account, Forge, Living, leaf_params, run, this_year};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Something that is wrong, brought about on a healthy server.
pub(super) struct Ill {
    pub(super) name: &'static str,
    /// The versions it can be brought about on.
    pub(super) of: fn(u32) -> bool,
    pub(super) made: fn(&Living),
    /// Beside the files, which are put back.
    pub(super) healed: fn(&Living),
    /// Whether the server loads it.
    pub(super) reloaded: bool,
}

const fn ill(name: &'static str, made: fn(&Living)) -> Ill {
    Ill { name, of: |_| true, made, healed: |_| (), reloaded: true }
}

pub(super) fn pem(living: &Living) -> std::path::PathBuf {
    living.tls_folder().join("server-with-key.pem")
}

pub(super) fn ills() -> Vec<Ill> {
    [of_rules(), of_settings(), of_certificates(), of_what_is_served(), of_the_inside()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_rules() -> Vec<Ill> {
    vec![
        ill("plaintext-accepted", |living| living.prepend_hba("host all all all scram-sha-256")),
        ill("weak-method-reachable", |living| living.prepend_hba("hostssl all all all trust")),
        ill("ident-reachable", |living| living.prepend_hba("hostssl all all all ident")),
        ill("dead-line", |living| living.prepend_hba("hostssl all all all scram-sha-256")),
        ill("client-certificate-uncheckable", |living| living.prepend_hba("hostssl all nobody all cert")),
        ill("rules-errors", |living| living.prepend_hba("hostssl all all all scram-sha-257")),
        // What anybody meets who comes from outside.
        ill("trust-accepted", |living| living.prepend_hba("hostssl all all all trust")),
        ill("plaintext-replication-accepted", |living| {
            living.prepend_hba("host replication all all scram-sha-256");
        }),
        ill("password-in-clear", |living| living.prepend_hba("host all all all password")),
        ill("password-method", |living| living.prepend_hba("hostssl all all all password")),
        ill("md5-method", |living| {
            // Whoever does not exist is asked in the way of new passwords.
            living.append_conf("password_encryption = 'md5'");
            living.prepend_hba("hostssl all all all md5");
        }),
        ill("breaks-on-upgrade", |living| {
            living.prepend_hba("hostssl all all 10.0.0.0/8 radius radiusservers=a radiussecrets=b");
        }),
    ]
}

fn of_settings() -> Vec<Ill> {
    vec![
        ill("configuration-errors", |living| living.append_conf("no_such_setting = 1")),
        ill("restart-pending", |living| living.append_conf("max_connections = 201")),
        ill("protocol-too-old", |living| living.append_conf("ssl_min_protocol_version = 'TLSv1'")),
        ill("suites-too-wide", |living| living.append_conf("ssl_ciphers = 'ALL'")),
        ill("minimum-above-maximum", |living| {
            living.append_conf("ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'");
        }),
        ill("setting-differs", |living| living.append_conf("ssl_prefer_server_ciphers = off")),
        ill("socket-locked-out", |living| {
            living.write_hba("local all all reject\nhostssl all all all scram-sha-256\n");
        }),
        ill("exception-expired", |living| {
            let words = ["--enforce", "--except", "app@127.0.0.1/32", "--until", "2099-12-31"];
            living.prepend_hba("hostnossl all app 127.0.0.1/32 scram-sha-256");
            living.reload();
            living.secure(&words, &Account::current()).run().succeeded();
            // Years later.
            let rules = living.read("pg_hba.conf");
            assert!(rules.contains("2099-12-31"), "{rules}");
            living.write("pg_hba.conf", &rules.replace("2099-12-31", "2020-01-01"));
        }),
        Ill {
            reloaded: false,
            ..ill("rules-not-loaded", |living| {
                living.prepend_hba("hostssl all all 10.0.0.0/8 reject");
                // Within the second of the last reload nobody could tell.
                let file = fs::File::options().write(true).open(living.data().join("pg_hba.conf")).unwrap();
                file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
            })
        },
        Ill {
            of: |version| version < 14,
            ..ill("breaks-on-upgrade", |living| {
                living.prepend_hba("hostssl all all 10.0.0.0/8 scram-sha-256 clientcert=1");
            })
        },
    ]
}

fn of_certificates() -> Vec<Ill> {
    vec![
        ill("crl-outdated", |living| {
            let authority = Forge::new("clients");
            let gone = authority.revocation_list_until(&[7], this_year().0);
            given(living, "clients.crt", authority.certificate());
            given(living, "clients.crl", &gone);
            living.append_conf("ssl_ca_file = 'clients.crt'\nssl_crl_file = 'clients.crl'");
        }),
        ill("dh-weak", |living| {
            let made = openssl(living, "openssl dhparam -dsaparam 1024");
            given(living, "dh.pem", &made);
            living.append_conf("ssl_dh_params_file = 'dh.pem'");
        }),
        ill("key-weak", |living| {
            let words = "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=localhost -days 90 \
                         -addext subjectAltName=DNS:localhost -keyout /dev/stdout";
            let made = openssl(living, words);
            let (key, certificate) = made.split_at(made.find("-----BEGIN CERT").expect("there is one"));
            given(living, "weak.crt", certificate);
            given(living, "weak.key", key);
            fs::set_permissions(living.data().join("weak.key"), fs::Permissions::from_mode(0o600))
                .expect("it is the test's");
            living.append_conf("ssl_cert_file = 'weak.crt'\nssl_key_file = 'weak.key'");
        }),
        // Key and certificate in one file.
        ill("key-weak", |living| {
            let words = "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=localhost -days 90 \
                         -addext subjectAltName=DNS:localhost -keyout /dev/stdout";
            put(living, &openssl(living, words));
        }),
        ill("channel-binding-impossible", |living| {
            put(living, &Forge::of_ed25519("another").leaf(&["localhost"]).one_pem());
        }),
        ill("key-open-to-others", |living| {
            fs::set_permissions(pem(living), fs::Permissions::from_mode(0o640)).expect("it is the test's");
        }),
        Ill {
            of: |version| version < 18,
            ..ill("curve-list-unsupported", |living| {
                living.append_conf("ssl_ecdh_curve = 'X25519:prime256v1'");
            })
        },
        ill("key-without-reload", |living| living.append_conf("ssl_passphrase_command = 'echo x'")),
        ill("start-would-fail", |living| {
            fs::set_permissions(pem(living), fs::Permissions::from_mode(0o644)).expect("it is the test's");
        }),
        ill("certificate-expiring", |living| {
            let (from, _) = this_year();
            let (from, soon) =
                (from - Duration::from_secs(81 * 86_400), from + Duration::from_secs(9 * 86_400));
            put(
                living,
                &Forge::new("another").leaf_dated(&["localhost", "127.0.0.1", "::1"], from, soon).one_pem(),
            );
        }),
        ill("certificate-unfit", |living| {
            let (from, _) = this_year();
            let gone = from + Duration::from_secs(60);
            put(living, &Forge::new("another").leaf_dated(&["localhost"], from, gone).one_pem());
        }),
        ill("certificate-not-served", |living| {
            // A key of another certificate: the reload keeps what was there, and says so in the log alone.
            let (one, two) = (Forge::new("one").leaf(&["localhost"]), Forge::new("two").leaf(&["localhost"]));
            put(living, &format!("{}{}", one.key, two.certificate));
        }),
        ill("key-unfit", |living| {
            let (one, two) = (Forge::new("one").leaf(&["localhost"]), Forge::new("two").leaf(&["localhost"]));
            put(living, &format!("{}{}", one.key, two.certificate));
        }),
        ill("root-in-chain", |living| {
            let authority = Forge::new("another");
            put(living, &format!("{}{}", authority.leaf(&["localhost"]).one_pem(), authority.certificate()));
        }),
        ill("snakeoil-certificate", |living| {
            let path = living.data().join("ssl-cert-snakeoil.pem");
            fs::copy(pem(living), &path).expect("it is the test's");
            living.account().own(&path);
            living.append_conf(
                "ssl_cert_file = 'ssl-cert-snakeoil.pem'\nssl_key_file = 'ssl-cert-snakeoil.pem'",
            );
        }),
    ]
}

/// PostgreSQL loads and serves each of them without a word.
fn of_what_is_served() -> Vec<Ill> {
    vec![
        ill("certificate-expired", |living| {
            let (from, _) = this_year();
            put(living, &Forge::new("another").leaf_dated(&NAMES, from, from + MINUTE).one_pem());
        }),
        ill("certificate-not-yet-valid", |living| {
            let (from, until) = this_year();
            put(living, &Forge::new("another").leaf_dated(&NAMES, from + 48 * HOUR, until).one_pem());
        }),
        ill("certificate-is-ca", |living| {
            let (from, until) = this_year();
            let mut params = leaf_params(&NAMES, from, until);
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            put(living, &Forge::new("another").sign(&params).one_pem());
        }),
        ill("certificate-version-1", |living| {
            // As guides have it: without extensions it is one of version 1.
            let words = "openssl req -new -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key -out csr && \
                         openssl x509 -req -in csr -signkey key -days 90 && cat key";
            put(living, &openssl(living, words));
        }),
        ill("certificate-address-not-named", |living| {
            // Its common name is all that it has.
            let (from, until) = this_year();
            let mut params = leaf_params(&[] as &[&str], from, until);
            params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
            put(living, &Forge::new("another").sign(&params).one_pem());
        }),
        ill("chain-unordered", |living| {
            let (one, two) = (Forge::new("one"), Forge::new("two"));
            put(living, &format!("{}{}", one.leaf(&NAMES).one_pem(), two.under("three").certificate()));
        }),
    ]
}

fn of_the_inside() -> Vec<Ill> {
    vec![
        Ill {
            healed: |living| {
                living.sql("DROP ROLE old;");
            },
            ..ill("roles-without-scram", |living| {
                living.sql("SET password_encryption = 'md5';\nCREATE ROLE old LOGIN PASSWORD 'x';");
            })
        },
        Ill {
            healed: |living| {
                living.sql("ALTER SUBSCRIPTION s SET (slot_name = NONE);\nDROP SUBSCRIPTION s;");
            },
            ..ill("subscription-unverified", |living| {
                let made = "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 dbname=x password=secret' PUBLICATION p \
                            WITH (connect = false);";
                living.sql(made);
            })
        },
        Ill {
            healed: |living| {
                living.sql("DROP FOREIGN DATA WRAPPER postgres_fdw CASCADE;");
            },
            ..ill("foreign-server-unverified", |living| {
                let made = "CREATE FOREIGN DATA WRAPPER postgres_fdw;\n\
                            CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far', sslmode 'require');";
                living.sql(made);
            })
        },
    ]
}

/// A file of the server's in its data directory.
fn given(living: &Living, name: &str, content: &str) {
    let path = living.data().join(name);
    fs::write(&path, content).expect("it is the test's");
    living.account().own(&path);
}

/// What a command of openssl prints.
fn openssl(living: &Living, words: &str) -> String {
    let mut shell = Account::current().command("sh", living.sandbox().path());
    let folder = living.sandbox().dir_of(&Account::current(), "openssl");
    shell.current_dir(folder).args(["-c", words]);
    run(shell, b"", Duration::from_secs(60)).succeeded().stdout().to_owned()
}

fn put(living: &Living, content: &str) {
    fs::write(pem(living), content).expect("it is the test's");
}
