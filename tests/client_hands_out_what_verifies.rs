//! `pgseal client` hands out what verifies: libpq's own forms work as they are given, for every kind of TARGET, and where no
//! CA is known nothing is handed out unless somebody takes the risk by name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Account, Case, Contained, FURTHER, Forge, Forged, Install, Living, Minted, PASSWORD, Pgseal, Psql, QUICK,
    Ran, SUPERUSER, Sandbox, Schema, Sealed, images_in_turn, record, run, versions,
};

const OWN_ROW: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[track_caller]
fn told(ran: &Ran) -> Value {
    let value = ran.json();
    Schema::of("client").admits(&value);
    value
}

#[track_caller]
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

/// The five forms, each given to psql as a person would; the connection is TLS, by the server's word.
fn every_form_connects(told: &Value, password: &str) {
    let sandbox = Sandbox::new();
    let by = Account::current();
    let home = sandbox.home_of(&by);
    let pgpass = text(told, "/libpq/pgpass").replace(":PASSWORD\n", &format!(":{password}\n"));
    sandbox.file_of(&by, "pgpass", 0o600, &pgpass);
    let passfile = sandbox.join("pgpass");
    let psql = |conninfo: &str| Psql::to(conninfo).home(&home).env("PGPASSFILE", &passfile);
    for form in ["uri", "conninfo"] {
        let ran = psql(text(told, &format!("/libpq/{form}"))).run(OWN_ROW).succeeded();
        assert_eq!(ran.stdout().trim(), "t", "{form}");
    }
    let service = sandbox.file_of(&by, "pg_service.conf", 0o644, text(told, "/libpq/service_file"));
    let by_service = psql(&format!("service={}", text(told, "/libpq/service")));
    assert_eq!(by_service.env("PGSERVICEFILE", &service).run(OWN_ROW).succeeded().stdout().trim(), "t");
    let script = format!("{}psql -X -w -A -t -c \"{OWN_ROW}\"\n", text(told, "/libpq/environment"));
    let mut shell = by.command("sh", &home);
    shell.arg("-e").env("PGPASSFILE", &passfile);
    let ran = run(shell, script.as_bytes(), Duration::from_secs(30)).succeeded();
    assert_eq!(ran.stdout().trim(), "t", "the environment");
    record("a form that client hands out for libpq connects with TLS", 4);
}

#[test]
fn every_form_of_libpqs_connects_as_it_is_handed_out() {
    let server = Sealed::of(15);
    let ran = server.pgseal().args(["client", "sealed", "--format", "json"]).run().succeeded();
    let handed = told(&ran.never_mentions(&server.password()));
    assert_eq!((&handed["verified"], &handed["ca"]["from"]), (&json!(true), &json!("file")));
    assert_eq!(handed["warnings"], json!([]));
    every_form_connects(&handed, &server.password());

    // Any name that PostgreSQL can carry: as the forms are for people to paste, none may break out.
    server.sql("CREATE DATABASE \"a'b c\\d%41&e=f?g/h:i@j#k{}\"");
    let odd = "a'b c\\d%41&e=f?g/h:i@j#k{}";
    let ran = server.pgseal().args(["client", "sealed", "-d", odd, "--format", "json"]).run().succeeded();
    let handed = told(&ran);
    assert_eq!(handed["dbname"], odd);
    every_form_connects(&handed, &server.password());

    let people = server.pgseal().args(["client", "sealed"]).run().succeeded();
    for words in
        ["chain and name verified", "root.crt", "in ~/.pgpass, mode 0600", "postgres.js", "run by the tests"]
    {
        assert!(people.stdout().contains(words), "{words}\n{people}");
    }
}

#[test]
fn the_ca_of_a_data_directory_is_the_one_beside_its_certificate() {
    let by = Account::current();
    let living = Living::of(18);
    living.secured(&by);
    let sandbox = Sandbox::new();
    let ca = sandbox.join("there.crt");
    let path = ca.to_str().unwrap();
    let ran = living.verb("client", &["--format", "json", "--ca-path", path], &by).run().succeeded();
    let handed = told(&ran.never_mentions(PASSWORD));
    assert_eq!(
        (&handed["ca"]["from"], &handed["ca"]["path"], &handed["ca"]["lies_there"]),
        (&json!("server"), &json!(path), &json!(false))
    );
    fs::write(&ca, text(&handed, "/ca/pem")).unwrap();
    let uri = text(&handed, "/libpq/uri");
    let ran = Psql::to(uri).env("PGPASSWORD", PASSWORD).run(OWN_ROW).succeeded();
    assert_eq!(ran.stdout().trim(), "t");
    record("the CA of a data directory is known", 1);
}

#[test]
fn the_ca_of_a_container_is_known() {
    for image in images_in_turn(0) {
        let contained = Contained::of(&image);
        contained.secure(&[]).run().succeeded();
        let handed = told(&contained.verb("client", &["--format", "json"]).run().succeeded());
        assert_eq!((&handed["ca"]["from"], &handed["verified"]), (&json!("server"), &json!(true)));
        let theirs = fs::read_to_string(contained.ca().join("server-ca.crt")).unwrap();
        assert_eq!(text(&handed, "/ca/pem").trim(), theirs.trim());
        record("the CA of a container is known", 1);
    }
}

#[test]
fn without_a_ca_nothing_is_handed_out_unless_somebody_takes_the_risk() {
    let minted = Minted::new();
    let server = minted.server(Case::VersionOne, Install::of(15));
    let sandbox = Sandbox::new();
    let target = format!("host=localhost port={} user={SUPERUSER} dbname=postgres", server.port());
    let ask = |words: &[&str]| Pgseal::new(&sandbox).args(["client", &target]).args(words.to_vec()).run();
    let ran = ask(&[]).ended(1);
    assert!(ran.stdout().is_empty(), "{ran}");
    ran.complains("is known, and without one no driver verifies the server")
        .complains("somebody in the middle at this moment would be believed");

    let handed = told(&ask(&["--trust-on-first-use", "--format", "json"]).ended(1));
    assert_eq!(handed["ca"]["from"], "first-use");
    // The guide's own certificate: what is told does not verify, and that is said; so is who meets what.
    assert_eq!(handed["verified"], false);
    assert_eq!(
        text(&handed, "/ca/pem").trim(),
        fs::read_to_string(minted.right(Case::VersionOne)).unwrap().trim()
    );
    let said = handed["warnings"].to_string();
    for words in [
        "nobody vouched",
        "clients built on rustls cannot connect",
        "does not match host name \\\"localhost\\\"",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let drivers = handed["drivers"].as_array().unwrap();
    let of = |name: &str| drivers.iter().find(|row| row["driver"] == name).unwrap()["warnings"].to_string();
    assert!(of("sqlx").contains("not of X.509 version 3"), "{}", of("sqlx"));
    assert!(of("libpq").contains("does not match host name"), "{}", of("libpq"));

    // A CA that the server does not send cannot be believed.
    let good = minted.server(Case::Good, Install::of(15));
    let target = format!("host=localhost port={} user={SUPERUSER}", good.port());
    Pgseal::new(&sandbox)
        .args(["client", &target, "--trust-on-first-use"])
        .run()
        .ended(1)
        .complains("shows its certificate without the authority that signed it")
        .complains("CN=the right CA");
    record("without a CA nothing is handed out unasked", 1);
}

#[test]
fn what_a_certificate_does_not_work_with_is_said_beside_the_driver() {
    let minted = Minted::new();
    let sandbox = Sandbox::new();
    let ask = |case: Case, host: &str| {
        let server = minted.server(case, Install::of(15));
        let target = format!("host={host} port={} user={SUPERUSER} dbname=postgres", server.port());
        let ran = Pgseal::new(&sandbox)
            .args(["client", &target, "--format", "json", "--sslrootcert"])
            .arg(minted.right(case))
            .run();
        told(&ran)
    };
    let row = |told: &Value, name: &str| {
        told["drivers"].as_array().unwrap().iter().find(|row| row["driver"] == name).unwrap().clone()
    };
    let common_name = ask(Case::CommonNameOnly, "localhost");
    assert_eq!(common_name["verified"], true);
    assert!(row(&common_name, "pgx")["warnings"].to_string().contains("a common name does not count there"));
    assert_eq!(row(&common_name, "pgjdbc")["warnings"], json!([]));
    let by_address = ask(Case::Good, "127.0.0.1");
    assert!(text(&row(&by_address, "postgres.js"), "/cannot").contains("use a host name"));
    assert_eq!(row(&by_address, "postgres.js")["text"], Value::Null);
    assert!(row(&by_address, "libpq")["text"].is_string());
    let expired = ask(Case::Expired, "localhost");
    assert_eq!(expired["verified"], false);
    assert!(expired["warnings"].to_string().contains("has expired"));
    let off = ask(Case::SslOff, "localhost");
    assert_eq!(off["verified"], false);
    assert!(text(&off, "/said").contains("server does not support SSL"));
    record("what a certificate does not work with is said", 4);
}

/// Where the certificate's signature has no hash libpq cannot bind SCRAM to it; what counts is the issuer's key.
#[test]
fn a_certificate_that_no_login_can_be_bound_to_is_said_beside_each_driver_that_binds() {
    let minted = Minted::new();
    let signed_so = Forge::of_ed25519("an Ed25519 CA");
    let root = minted.write("ed25519.crt", signed_so.certificate());
    let sandbox = Sandbox::new();
    let drivers = |identity: &Forged, root: &Path| {
        let server = minted.showing(identity, Case::Good, Install::of(15));
        let target = format!("host=localhost port={} user={SUPERUSER} dbname=postgres", server.port());
        let ask = |words: &[&str]| {
            let ran = Pgseal::new(&sandbox)
                .args(["client", &target, "--format", "json", "--sslrootcert"])
                .arg(root)
                .args(words.to_vec())
                .run();
            told(&ran.succeeded())
        };
        let handed = ask(&[]);
        for driver in &QUICK {
            let row = ask(&["--driver", driver.name])["drivers"][0].clone();
            let binds = row["warnings"].to_string().contains("it cannot log in with SCRAM");
            let ran = driver.with(row["text"].as_str().unwrap(), PASSWORD);
            assert_eq!(ran.code() == Some(0), !binds, "{}: {row:#}\n{ran}", driver.name);
            record("a driver logs in where the certificate is said to work with it", 1);
        }
        let uri = text(&handed, "/libpq/uri").to_owned() + "&channel_binding=disable";
        Psql::to(&uri).env("PGPASSWORD", PASSWORD).run(OWN_ROW).succeeded();
        handed
    };
    let ill = drivers(&signed_so.leaf(&["localhost"]), &root);
    assert!(ill["warnings"].to_string().contains("signed with Ed25519, which has no hash"), "{ill:#}");
    // An Ed25519 key that an ECDSA key has signed for is bound to.
    let well = drivers(&minted.ours.ed25519_leaf(&["localhost"]), &minted.file("right.crt"));
    assert_eq!(well["warnings"], json!([]));
}

#[test]
fn a_driver_that_takes_no_address_is_not_handed_one() {
    if !versions().contains(&16) {
        return;
    }
    let minted = Minted::new();
    let server = minted.server(Case::AddressOnly, Install::of(15));
    let sandbox = Sandbox::new();
    let target = format!("host=127.0.0.1 port={} user={SUPERUSER} dbname=postgres", server.port());
    for name in ["node-postgres", "postgres.js"] {
        let ran = Pgseal::new(&sandbox)
            .args(["client", &target, "--format", "json", "--driver", name, "--sslrootcert"])
            .arg(minted.file("right.crt"))
            .run()
            .succeeded();
        let row = told(&ran)["drivers"][0].clone();
        let driver = FURTHER.iter().find(|driver| driver.name == name).unwrap();
        let ran = if let Some(text) = row["text"].as_str() {
            driver.with(text, PASSWORD)
        } else {
            assert!(text(&row, "/cannot").contains("use a host name"));
            let ca = serde_json::to_string(&minted.file("right.crt")).unwrap();
            let against_advice = format!(
                "const sql = require('postgres')({{ host: '127.0.0.1', port: {}, user: '{SUPERUSER}', \
                     database: 'postgres', ssl: {{ ca: require('fs').readFileSync({ca}, 'utf8') }} }})",
                server.port()
            );
            driver.with(&against_advice, PASSWORD)
        };
        assert_eq!(ran.code() == Some(0), row["text"].is_string(), "{name}\n{ran}");
        record("a driver connects to an address or is not handed one", 1);
    }
}

#[test]
fn a_user_certificate_is_among_what_is_handed_out() {
    let minted = Minted::new();
    let server = minted.server(Case::ClientCertificate, Install::of(15));
    let sandbox = Sandbox::new();
    let target = format!("host=localhost port={} user={SUPERUSER} dbname=postgres", server.port());
    let ask = || {
        Pgseal::new(&sandbox)
            .args(["client", &target, "--format", "json", "--sslrootcert"])
            .arg(minted.right(Case::Good))
    };
    let without = told(&ask().run());
    assert_eq!(without["client_certificate_wanted"], true);
    assert!(without["warnings"].to_string().contains("wants a client certificate"), "{without:#}");
    let (certificate, key) = (minted.file("client.crt"), minted.file("client.key"));
    let handed = told(&ask().arg("--cert").arg(&certificate).arg("--key").arg(&key).run().succeeded());
    assert_eq!(handed["warnings"], json!([]));
    every_form_connects(&handed, PASSWORD);
    // A key that others can read is refused in libpq's own words.
    let open =
        told(&ask().arg("--cert").arg(&certificate).arg("--key").arg(minted.file("open.key")).run().ended(1));
    assert!(text(&open, "/said").contains("has group or world access"), "{open:#}");
    record("a user certificate is handed out", 1);
}

#[test]
fn what_cannot_be_told_is_refused_with_the_next_command() {
    let sandbox = Sandbox::new();
    let refused = |words: &[&str]| Pgseal::new(&sandbox).arg("client").args(words.to_vec()).run().ended(2);
    refused(&["db1:5432", "--driver", "psycop"]).complains("--driver psycopg");
    refused(&["db1:5432", "--driver", "pgjdbc@9.4"]).complains("only of 42.2 up to 42.7.4");
    refused(&["db1:5432", "--mode", "Verify-Full"]).complains("invalid sslmode value: \"Verify-Full\"");
    refused(&["host=/tmp user=x"]).complains("is a Unix socket, which never carries TLS");
    refused(&["hostaddr=127.0.0.1"]).complains("host name must be specified for a verified SSL connection");
    refused(&["host=a,b"]).complains("names 2 servers");
    refused(&["postgresql://a b"]).complains("the connection string cannot be read");
    let managed = Pgseal::new(&sandbox)
        .args(["client", "host=shop.abc.eu-west-1.rds.amazonaws.com hostaddr=127.0.0.1 port=1"])
        .run()
        .ended(1);
    managed.complains("Amazon RDS or Aurora").complains("global-bundle.pem");
    record("what cannot be told is refused with the next command", 8);
}

#[test]
fn files_are_written_for_a_client_and_nothing_is_overwritten() {
    let minted = Minted::new();
    let server = minted.server(Case::ClientCertificate, Install::of(15));
    let sandbox = Sandbox::new();
    let work = Pgseal::new(&sandbox).work_dir();
    fs::create_dir(work.join(".git")).unwrap();
    let target = format!("host=localhost port={} user={SUPERUSER} dbname=postgres", server.port());
    let ask = |words: &[&str]| {
        Pgseal::new(&sandbox)
            .args(["client", &target, "--format", "json", "--sslrootcert"])
            .arg(minted.file("right.crt"))
            .arg("--cert")
            .arg(minted.file("client.crt"))
            .arg("--key")
            .arg(minted.file("client.key"))
            .env("PGPASSWORD", PASSWORD)
            .args(words.to_vec())
            .run()
    };
    let handed = told(&ask(&["--write", "app"]).never_mentions(PASSWORD).succeeded());
    assert!(handed["warnings"].to_string().contains("lies in the git work tree"), "{handed:#}");
    let at = |name: &str| work.join("app").join(name);
    for (name, mode) in [
        ("ca.crt", 0o644),
        ("pg_service.conf", 0o644),
        ("client.key", 0o600),
        ("pgpass", 0o600),
        (".env", 0o600),
        ("secret.yaml", 0o600),
    ] {
        let found =
            fs::metadata(at(name)).unwrap_or_else(|e| panic!("{name}: {e}")).permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{name}");
    }
    // The folder alone is enough for a client.
    let by_service = Psql::to("service=postgres").env("PGSERVICEFILE", at("pg_service.conf"));
    assert_eq!(by_service.run(OWN_ROW).succeeded().stdout().trim(), "t");
    let script = format!("set -a; . {}; psql -X -w -A -t -c \"{OWN_ROW}\"", at(".env").display());
    let mut shell = Account::current().command("sh", &sandbox.home_of(&Account::current()));
    shell.args(["-ec", &script]);
    assert_eq!(run(shell, b"", Duration::from_secs(30)).succeeded().stdout().trim(), "t");
    let manifest = fs::read_to_string(at("secret.yaml")).unwrap();
    assert!(
        manifest.contains("sslrootcert=/etc/pgseal-client/ca.crt") && manifest.contains(PASSWORD),
        "{manifest}"
    );

    let before = fs::read(at("pgpass")).unwrap();
    ask(&["--write", "app"])
        .ended(2)
        .complains("is there already")
        .complains("nothing is written over")
        .complains("another folder for --write");
    assert_eq!(fs::read(at("pgpass")).unwrap(), before);
    // What does not verify is not written.
    Pgseal::new(&sandbox)
        .args(["client", &target, "--write", "other", "--sslrootcert"])
        .arg(minted.file("wrong.crt"))
        .run()
        .ended(1)
        .complains("nothing was written")
        .complains("certificate verify failed");
    assert!(!work.join("other").exists());
    record("files are written for a client", 1);
}

#[test]
fn an_application_in_the_project_is_told_the_services_name() {
    let minted = Minted::new();
    let server = minted.server(Case::Good, Install::of(15));
    let sandbox = Sandbox::new();
    let target = format!("host=localhost port={} user={SUPERUSER} dbname=a$b", server.port());
    let ask = |word: &str| {
        Pgseal::new(&sandbox)
            .args(["client", &target, word, "--format", "json", "--sslrootcert"])
            .arg(minted.file("right.crt"))
            .run()
    };
    let handed = told(&ask("--compose=localhost").succeeded());
    let lines = text(&handed, "/compose");
    for words in [
        "PGHOST: \"localhost\"",
        "PGDATABASE: \"a$$b\"",
        "PGSSLMODE: verify-full",
        "PGSSLROOTCERT: /run/secrets/pgseal-ca",
    ] {
        assert!(lines.contains(words), "{words}\n{lines}");
    }
    ask("--compose").ended(2).complains("--compose=SERVICE");
    ask("--compose=db")
        .ended(1)
        .complains("does not match host name \"db\"")
        .complains("pgseal rotate TARGET --san db");
    record("an application in the project is told the service's name", 1);
}
