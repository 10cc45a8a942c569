//! `pgseal verify` of a server that others made: URI, keywords, service, password file and `PG*` variables mean what they
//! mean to psql, and `--sslrootcert` says whom to trust.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::harness::{
    Account, Forge, Holds, Install, NO, Pgseal, Sandbox, Sealed, UNTOLD, all_hold, all_hold_but, record,
};

const NO_LOGIN: &[(&str, Holds)] = &[
    ("no-plaintext-path", UNTOLD),
    ("session-encrypted", UNTOLD),
    ("channel-binding", UNTOLD),
    ("passwords-scram", UNTOLD),
];

fn verify<'s>(server: &'s Sealed, target: &str) -> Pgseal<'s> {
    server.pgseal().args(["verify", target, "--format", "json"])
}

#[test]
fn every_way_to_name_a_server_and_a_password_is_psqls() {
    for account in [Account::current(), Account::ordinary()] {
        let server = Sealed::with(&Install::of(15), &account, &[]);
        let (uri, password, passfile) =
            (server.uri("admin", "mydb"), server.password(), server.fact("passfile"));
        let (port, ca) = (server.port().to_string(), server.at("client/ca.crt"));
        let ca = ca.to_str().unwrap();
        let keywords = format!("host=localhost port={port} user=admin dbname='mydb' sslrootcert={ca}");

        let proved = [
            verify(&server, &uri).env("PGPASSFILE", passfile),
            verify(&server, &uri).env("PGPASSWORD", &password),
            verify(&server, &format!("{uri}&passfile={passfile}")),
            verify(&server, &keywords).env("PGPASSFILE", passfile),
            verify(&server, &format!("{keywords} passfile={passfile}")),
            verify(&server, "service=pgseal").env("PGSERVICEFILE", server.fact("service_file")),
            verify(&server, "postgresql://?service=pgseal").env("PGSERVICEFILE", server.fact("service_file")),
            verify(&server, "postgresql://localhost")
                .env("PGPORT", &port)
                .env("PGUSER", "admin")
                .env("PGDATABASE", "mydb")
                .env("PGSSLROOTCERT", ca)
                .env("PGPASSWORD", &password),
            verify(&server, "user=admin")
                .env("PGHOST", "localhost")
                .env("PGPORT", &port)
                .env("PGDATABASE", "mydb")
                .env("PGSSLROOTCERT", ca)
                .env("PGPASSFILE", passfile),
            // What sslmode says is for clients: here every mode is tried.
            verify(&server, &format!("{uri}&sslmode=disable")).env("PGPASSWORD", &password),
            // Under each of its names.
            verify(&server, &uri.replace("localhost", "127.0.0.1")).env("PGPASSWORD", &password),
            verify(&server, &uri.replace("localhost", "[::1]")).env("PGPASSWORD", &password),
        ];
        for one in proved {
            let ran = one.run().never_mentions(&password);
            all_hold(&ran);
            assert_eq!(ran.stderr(), "");
            let left_out = ran.json()["left_out"].clone();
            assert_eq!(left_out[0]["name"], "certificate-as-issued", "{left_out}");
            record("a connection string is read as libpq reads it", 1);
        }
    }
}

#[test]
fn the_home_files_are_looked_at_where_nothing_else_is_said() {
    let server = Sealed::of(15);
    let home = server.sandbox().home_of(&Account::current());
    let plain = format!("postgresql://admin@localhost:{}/mydb", server.port());
    all_hold_but(&verify(&server, &plain).run(), &nobody_trusted());
    fs::create_dir(home.join(".postgresql")).unwrap();
    fs::copy(server.at("client/ca.crt"), home.join(".postgresql/root.crt")).unwrap();
    all_hold_but(&verify(&server, &plain).run(), NO_LOGIN);
    fs::copy(server.at("client/pgpass"), home.join(".pgpass")).unwrap();
    all_hold(&verify(&server, &plain).run());
    let service = "[mine]\nhost=localhost\nuser=admin\ndbname=mydb\n";
    fs::write(home.join(".pg_service.conf"), format!("{service}port={}\n", server.port())).unwrap();
    all_hold(&verify(&server, "service=mine").run());
    verify(&server, "service=yours").run().ended(3).complains("definition of service \"yours\" not found");

    fs::set_permissions(home.join(".pgpass"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = verify(&server, &plain).run().never_mentions(&server.password());
    all_hold_but(&open, NO_LOGIN);
    open.complains("WARNING: password file").complains("has group or world access");

    // As libpq says it; a pipe is no password file, and nobody waits for it.
    let pipe = home.join("pipe");
    assert!(Command::new("mkfifo").arg("-m").arg("600").arg(&pipe).status().unwrap().success());
    let piped = verify(&server, &plain).env("PGPASSFILE", &pipe).run();
    all_hold_but(&piped, NO_LOGIN);
    piped.complains("is not a plain file");
    let missing = verify(&server, "service=mine").env("PGSERVICEFILE", home.join("none")).run().ended(3);
    missing.complains("service file \"").complains("not found");
}

#[test]
fn what_a_proof_does_not_act_on_is_refused_and_not_passed_over() {
    let server = Sealed::of(15);
    let uri = server.uri("admin", "mydb");
    for (more, named) in [
        ("sslcrl=/nope", "sslcrl"),
        ("require_auth=md5", "require_auth"),
        ("channel_binding=disable", "channel_binding"),
        ("ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version"),
        ("gssencmode=require", "gssencmode"),
    ] {
        let said = format!("a proof does not act on {named} yet");
        verify(&server, &format!("{uri}&{more}")).run().ended(2).complains(&said);
    }
    verify(&server, &uri).env("PGSSLCRL", "/nope").run().ended(2).complains("sslcrl");
    // These a client may well have: the proof looks at them anyway.
    let usual = format!("{uri}&channel_binding=require&gssencmode=disable&connect_timeout=5");
    all_hold(&verify(&server, &usual).env("PGPASSFILE", server.fact("passfile")).run());
}

#[test]
fn direct_tls_is_proved_where_the_connection_string_asks_for_it() {
    let new = Sealed::of(18);
    let direct = |server: &Sealed| server.uri("admin", "mydb") + "&sslnegotiation=direct";
    let ran = verify(&new, &direct(&new)).env("PGPASSFILE", new.fact("passfile")).run();
    all_hold(&ran);
    let claim = crate::harness::claim(&ran, "tls-offered");
    assert!(claim["evidence"].as_str().unwrap().starts_with("direct TLS on "), "{claim}");
    // Before 17 nobody speaks it.
    let old = Sealed::of(15);
    let ran = verify(&old, &direct(&old)).env("PGPASSFILE", old.fact("passfile")).run().ended(1);
    assert_eq!(crate::harness::claim(&ran, "tls-offered")["holds"], false, "{ran}");
}

#[test]
fn sslrootcert_says_whom_to_trust() {
    let server = Sealed::of(18);
    let uri = format!("postgresql://admin@localhost:{}/mydb", server.port());
    let theirs =
        server.sandbox().file_of(&Account::current(), "theirs.crt", 0o644, Forge::new("a").certificate());
    let ours = server.at("client/ca.crt");
    let verify = |roots: &std::path::Path| {
        verify(&server, &uri).arg("--sslrootcert").arg(roots).env("PGPASSFILE", server.fact("passfile"))
    };
    let stranger = [
        NO_LOGIN,
        &[("chain-verified", NO), ("sslmode-verify-ca-connects", NO), ("sslmode-verify-full-connects", NO)],
    ]
    .concat();
    all_hold(&verify(&ours).run());
    all_hold_but(&verify(&theirs).run(), &stranger);
    // It goes before what the connection string and the environment say.
    all_hold(&verify(&ours).env("PGSSLROOTCERT", &theirs).run());
    all_hold_but(&verify("none".as_ref()).env("PGSSLROOTCERT", &ours).run(), &nobody_trusted());
    all_hold_but(&verify("/nonexistent/roots".as_ref()).run(), &nobody_trusted());
    // The system's store is OpenSSL's, which SSL_CERT_FILE names.
    all_hold(&verify("system".as_ref()).env("SSL_CERT_FILE", &ours).run());
    all_hold_but(&verify("system".as_ref()).env("SSL_CERT_FILE", &theirs).run(), &stranger);
    let folder = server.pgseal().args(["verify", "sealed", "--sslrootcert", "none"]).run();
    folder.ended(2).complains("a folder has its own CA");
}

fn nobody_trusted() -> Vec<(&'static str, Holds)> {
    let mut all = NO_LOGIN.to_vec();
    all.extend([
        ("chain-verified", UNTOLD),
        ("sslmode-verify-ca-connects", UNTOLD),
        ("sslmode-verify-full-connects", UNTOLD),
    ]);
    all
}

#[test]
fn what_cannot_be_told_without_a_login_or_without_rights_is_not_proved() {
    let server = Sealed::of(18);
    let password = "of an ordinary role";
    server.sql(&format!("CREATE ROLE app LOGIN PASSWORD '{password}'"));
    let (uri, admin) = (server.uri("app", "mydb"), server.uri("admin", "mydb"));

    let without = verify(&server, &admin).run();
    all_hold_but(&without, NO_LOGIN);
    for (name, _) in NO_LOGIN {
        let claim = crate::harness::claim(&without, name);
        assert!(claim["reason"].as_str().unwrap().contains("no password was given"), "{claim}");
    }
    let ordinary = verify(&server, &uri).env("PGPASSWORD", password).run().never_mentions(password);
    all_hold_but(&ordinary, &[("no-plaintext-path", UNTOLD), ("passwords-scram", UNTOLD)]);
    let claim = crate::harness::claim(&ordinary, "passwords-scram");
    assert!(claim["reason"].as_str().unwrap().contains("permission denied"), "{claim}");

    let wrong = verify(&server, &uri).env("PGPASSWORD", "not it").run().never_mentions("not it");
    let mut fallen = NO_LOGIN.to_vec();
    fallen.extend([
        ("sslmode-require-connects", UNTOLD),
        ("sslmode-verify-ca-connects", UNTOLD),
        ("sslmode-verify-full-connects", UNTOLD),
    ]);
    all_hold_but(&wrong, &fallen);
    let claim = crate::harness::claim(&wrong, "channel-binding");
    assert!(claim["reason"].as_str().unwrap().contains("password authentication failed"), "{claim}");
}

#[test]
fn a_password_in_the_connection_string_is_used_and_warned_about() {
    let server = Sealed::of(15);
    let password = server.password();
    let uri = server.uri("admin", "mydb").replace("admin@", &format!("admin:{password}@"));
    let ran = verify(&server, &uri).run().never_mentions(&password);
    all_hold(&ran);
    ran.complains("can be seen by every user of this machine");
}

#[test]
fn a_name_that_leads_elsewhere_is_found_by_hostaddr_and_compared() {
    let server = Sealed::of(15);
    let uri = server.uri("admin", "mydb").replace("localhost", "db.example.org") + "&hostaddr=127.0.0.1";
    let mut fallen = NO_LOGIN.to_vec();
    fallen.extend([("names-match", NO), ("sslmode-verify-full-connects", NO)]);
    let ran = verify(&server, &uri).env("PGPASSFILE", server.fact("passfile")).run();
    all_hold_but(&ran, &fallen);
    let left_out = ran.json()["left_out"].clone();
    let names: Vec<&str> =
        left_out.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    let no_ipv6 = ["plaintext-refused-ipv6", "replication-plaintext-refused-ipv6"];
    assert!(no_ipv6.iter().all(|name| names.contains(name)), "{left_out}");
}

#[test]
fn a_target_that_cannot_be_verified_is_named_with_a_way_out() {
    let sandbox = Sandbox::new();
    let nobody = crate::harness::Port::free();
    let unreachable = format!("postgresql://app@127.0.0.1:{}/shop", nobody.number());
    for (target, ending, said) in [
        ("/nonexistent", 2, "there is no folder /nonexistent"),
        ("dir:/nonexistent", 3, "there is no folder /nonexistent"),
        ("host=/var/run/postgresql user=app", 2, "is a Unix socket"),
        ("postgresql://a.example.org,b.example.org/shop", 2, "names 2 servers"),
        ("postgresql://app@localhost:0/shop", 2, "invalid port number"),
        ("host=localhost nonsense=1", 2, "nonsense"),
        ("user=app", 2, "names no host"),
        ("host=no-such-name.invalid user=app", 3, "could not translate host name"),
        (unreachable.as_str(), 3, "could not reach 127.0.0.1"),
    ] {
        let ran = Pgseal::new(&sandbox).args(["verify", target]).run().ended(ending).complains(said);
        assert!(ran.stdout().is_empty(), "{ran}");
        assert!(ran.stderr().contains("\n  try: "), "a way out:\n{ran}");
    }
}
