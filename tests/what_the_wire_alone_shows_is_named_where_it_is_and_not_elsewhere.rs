//! What only a client meets is named where it is brought about, and not on the same server without it: a name or a CA that
//! do not fit by `doctor` with a connection string, versions, suites and groups by a whole scan. What no OpenSSL of today
//! does any more a stand-in does, and another one does not.

mod stand_ins;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use self::stand_ins::{OfAnotherAge, elsewhere, ends_tls, of_another_age};
use crate::harness::{
    Account, Forge, Install, Key, Living, PASSWORD, Pgseal, Ran, SUPERUSER, Sandbox, Schema, StandIn,
    TlsServer, leaf_params, named_and_gone, named_and_gone_on, record, this_year, versions_in_turn,
};

const PROMISE: &str = "what the wire alone shows is named where it is and not elsewhere";
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

type Told = BTreeMap<String, String>;

fn told(findings: &Value) -> Told {
    let all = findings.as_array().unwrap_or_else(|| panic!("{findings:#}"));
    let text = |one: &Value, field: &str| one[field].as_str().expect("a text").to_owned();
    all.iter().map(|one| (text(one, "name"), text(one, "evidence"))).collect()
}

/// Each is named on the one and not on the other.
#[track_caller]
fn are_told_apart(names: &[&str], ill: &Told, well: &Told, on: &str) {
    for name in names {
        let evidence = ill.get(*name).unwrap_or_else(|| panic!("{name} is not named on {on}: {ill:?}"));
        assert!(!well.contains_key(*name), "{name} is named on the counterpart of {on}: {well:?}");
        named_and_gone_on(name, on, evidence);
        record(PROMISE, 1);
    }
}

/// A certificate that does not fit a client, and whether that is because of its name.
struct Unfit {
    name: &'static str,
    pem: fn(&Forge) -> String,
}

/// Of the CA that the client trusts, but for the last.
const UNFIT: [Unfit; 4] = [
    Unfit { name: "certificate-name-mismatch", pem: |ca| ca.leaf(&["elsewhere.example"]).one_pem() },
    Unfit {
        name: "certificate-name-by-common-name",
        pem: |ca| {
            let (from, until) = this_year();
            let mut params = leaf_params(&[] as &[&str], from, until);
            params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
            ca.sign(&params).one_pem()
        },
    },
    Unfit { name: "certificate-untrusted", pem: |_| Forge::new("another").leaf(&NAMES).one_pem() },
    Unfit {
        name: "certificate-self-signed",
        pem: |_| {
            let (from, until) = this_year();
            let key = rcgen::KeyPair::generate().expect("a key can be made");
            let itself = leaf_params(&NAMES, from, until).self_signed(&key).expect("it can sign itself");
            format!("{}{}", key.serialize_pem(), itself.pem())
        },
    },
];

#[test]
fn a_certificate_that_does_not_fit_its_client_is_named_by_the_clients_own_words() {
    let by = Account::current();
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        living.secured(&by);
        let ca = Forge::of_ca(&living.ca_of(&by));
        let target = format!(
            "postgresql://{SUPERUSER}@localhost:{}/postgres?hostaddr=127.0.0.1&sslrootcert={}",
            living.port(),
            living.ca_file().display()
        );
        let doctor = || {
            let pgseal = Pgseal::new(living.sandbox()).env("PGPASSWORD", PASSWORD).arg("doctor");
            let ran =
                pgseal.arg(&target).args(["--format", "json", "--fail-on", "critical"]).run().succeeded();
            Schema::of("doctor").admits(&ran.json());
            told(&ran.json()["findings"])
        };
        let pem = living.tls_folder().join("server-with-key.pem");
        let good = fs::read(&pem).expect("it can be read");
        for unfit in &UNFIT {
            fs::write(&pem, (unfit.pem)(&ca)).expect("it is the test's");
            living.reload();
            let ill = doctor();
            fs::write(&pem, &good).expect("it is the test's");
            living.reload();
            let evidence = ill.get(unfit.name).unwrap_or_else(|| panic!("{}: {ill:?}", unfit.name));
            assert!(!doctor().contains_key(unfit.name), "{}", unfit.name);
            named_and_gone(unfit.name, version, evidence);
            record(PROMISE, 1);
        }
    }
}

/// As wide as it goes without anonymous ones and NULL, by the client's order, and TLS 1.2 at the most.
const WIDE: &str = "ssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.2'\n\
                    ssl_ciphers = 'AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0'\n\
                    ssl_prefer_server_ciphers = off\nssl_ecdh_curve = 'prime192v1'";
/// What PostgreSQL has no setting for.
const SYSTEM: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = wide\n[wide]\n\
                      CipherString = DEFAULT:@SECLEVEL=0\nMinProtocol = TLSv1\nOptions = -ExtendedMasterSecret\n";

#[test]
fn versions_suites_and_groups_are_named_by_a_whole_scan() {
    for version in versions_in_turn(0) {
        let place = Sandbox::new();
        let system = place.file_of(&Account::current(), "openssl.cnf", 0o644, SYSTEM);
        let system = system.to_str().expect("a path of the tests is UTF-8").to_owned();
        let install = Install::of(version);
        let wide = TlsServer::with(&install, Key::Rsa, |setup| setup.conf(WIDE).env("OPENSSL_CONF", &system));
        let usual = TlsServer::with(&install, Key::Rsa, |setup| {
            setup.conf("ssl_ciphers = 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384'")
        });
        let names = [
            "extended-master-secret-missing",
            "forward-secrecy-missing",
            "group-weak",
            "suites-by-client",
            "suites-too-wide",
            "tls13-missing",
        ];
        let (ill, well) = (told(&wide.scanned(&[])["findings"]), told(&usual.scanned(&[])["findings"]));
        are_told_apart(&names, &ill, &well, &format!("PostgreSQL {version}, by `pgseal scan`"));
    }
}

/// A scan of whatever listens there.
#[track_caller]
fn scanned(port: u16, words: &[&str]) -> Told {
    let sandbox = Sandbox::new();
    let ran: Ran = Pgseal::new(&sandbox)
        .args(["scan", &format!("127.0.0.1:{port}"), "--format", "json", "--fail-on", "never"])
        .args(["--timeout", "40s", "--target-timeout", "5m"])
        .args(words.iter().copied())
        .run();
    let ran = ran.succeeded();
    Schema::of("scan").admits(&ran.json());
    told(&ran.json()["targets"][0]["findings"])
}

#[test]
fn what_no_library_of_today_does_is_named_on_a_stand_in_of_another_age() {
    let ill = scanned(of_another_age(&OfAnotherAge::ILL).port(), &[]);
    let well = scanned(of_another_age(&OfAnotherAge::WELL).port(), &[]);
    let names = [
        "certificate-unreadable",
        "fallback-unprotected",
        "protocol-broken",
        "renegotiation-insecure",
        "suite-broken",
        "suite-export",
        "tls-compression",
    ];
    are_told_apart(&names, &ill, &well, "a stand-in, by `pgseal scan`");
}

#[test]
fn who_ends_tls_before_postgresql_and_who_is_none_is_named() {
    let (without, with): (StandIn, StandIn) = (ends_tls(false), ends_tls(true));
    let (ill, well) = (scanned(without.port(), &["--intrusive"]), scanned(with.port(), &["--intrusive"]));
    are_told_apart(&["direct-tls-without-alpn"], &ill, &well, "a stand-in, by `pgseal scan --intrusive`");
    are_told_apart(
        &["not-postgresql"],
        &scanned(elsewhere().port(), &[]),
        &well,
        "a stand-in, by `pgseal scan`",
    );
}
