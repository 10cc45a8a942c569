//! `pgseal modes` tells of every mode with every kind of roots what psql does, before anybody is bitten: against each
//! server it agrees with psql in every row, sends no password where it should not, and at most one.

use serde_json::{Value, json};

use crate::harness::{
    Account, Case, Forge, Impostor, Install, Minted, PASSWORD, Pgseal, Ran, SUPERUSER, Sandbox, Schema,
    Sealed, Server, asks_cleartext, asks_md5, asks_scram, record, versions,
};

fn modes<'s>(sandbox: &'s Sandbox, server: &Server, further: &str) -> Pgseal<'s> {
    let target =
        format!("host=localhost hostaddr=127.0.0.1 port={} user={SUPERUSER} {further}", server.port());
    Pgseal::new(sandbox).args(["modes", &target, "--format", "json"])
}

#[track_caller]
fn told(ran: &Ran) -> Value {
    let value = ran.json();
    Schema::of("modes").admits(&value);
    value
}

/// The row of a mode and a kind of roots.
#[track_caller]
fn row<'v>(told: &'v Value, sslmode: &str, root: &str) -> &'v Value {
    let rows = told["rows"].as_array().expect("rows");
    rows.iter()
        .find(|row| row["sslmode"] == sslmode && row["root"] == root)
        .unwrap_or_else(|| panic!("there is no row of {sslmode} with {root}: {told:#}"))
}

/// encrypted, chain_verified, name_verified, outcome.
fn verdict(row: &Value) -> (Option<bool>, Option<bool>, Option<bool>, &str) {
    let told = |name: &str| row[name].as_bool();
    (
        told("encrypted"),
        told("chain_verified"),
        told("name_verified"),
        row["outcome"].as_str().unwrap_or_default(),
    )
}

#[test]
fn the_guides_own_server_is_told_before_anybody_is_bitten() {
    let minted = Minted::new();
    let server = minted.server(Case::VersionOne, Install::of(15));
    let sandbox = Sandbox::new();
    let root = minted.right(Case::VersionOne);
    let ran = modes(&sandbox, &server, "dbname=postgres").arg("--sslrootcert").arg(&root).run().succeeded();
    let told = told(&ran);

    for root in ["none", "given"] {
        for mode in ["prefer", "require"] {
            assert_eq!(row(&told, mode, root)["encrypted"], true, "{mode} {root}");
        }
        assert_eq!(
            verdict(row(&told, "disable", root)),
            (Some(false), Some(false), Some(false), "plaintext")
        );
    }
    assert_eq!(verdict(row(&told, "require", "none")), (Some(true), Some(false), Some(false), "tls"));
    assert_eq!(verdict(row(&told, "verify-ca", "given")), (Some(true), Some(true), Some(false), "tls"));
    // Whom a man in the middle would fool.
    let fooled = |mode: &str, root: &str| row(&told, mode, root)["attacker"]["verdict"].clone();
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(fooled(mode, "given"), "relay", "{mode}");
    }
    assert_eq!(
        (fooled("require", "none"), fooled("require", "given")),
        (json!("relay"), json!("pose-with-certificate-of-same-ca"))
    );
    assert_eq!(fooled("verify-full", "given"), "nothing");
    // That verify-full fails, and why.
    let full = row(&told, "verify-full", "given");
    assert_eq!((&full["outcome"], &full["refused_at"]), (&json!("refused"), &json!("name")));
    let words = "server certificate for \"postgres\" does not match host name \"localhost\"";
    assert!(full["libpq"].as_str().is_some_and(|text| text.ends_with(words)), "{full}");
    // That a stale root file makes prefer fall to plaintext, attempt by attempt.
    let fall = row(&told, "prefer", "wrong");
    assert_eq!(verdict(fall), (Some(false), Some(false), Some(false), "plaintext"));
    let steps: Vec<_> = fall["attempts"].as_array().unwrap().iter().map(|one| &one["failed_at"]).collect();
    assert_eq!(steps, [&json!("chain"), &Value::Null]);
    // That rustls clients cannot connect at all.
    let certificate = &told["certificate"];
    assert_eq!((&certificate["version"], &certificate["names"]), (&json!(1), &json!([])));
    assert!(
        certificate["rustls"].as_str().is_some_and(|why| why.contains("not of X.509 version 3")),
        "{certificate}"
    );
    record("modes tells of the guide's own server", 1);

    let people = Pgseal::new(&sandbox)
        .args(["modes", &format!("localhost:{}", server.port()), "-U", SUPERUSER, "--sslrootcert"])
        .arg(&root)
        .run()
        .succeeded();
    for words in [
        "again in plaintext → asked for SCRAM-SHA-256 WITHOUT encryption",
        "clients built on rustls (sqlx, tokio-postgres-rustls) cannot connect in any TLS mode",
        "verify-full does not work: server certificate for \"postgres\" does not match host name \"localhost\"",
        "plaintext is let in",
    ] {
        assert!(people.stdout().contains(words), "{words}\n{people}");
    }
}

#[test]
fn psql_itself_agrees_in_every_row_on_every_server() {
    let minted = Minted::new();
    let sandbox = Sandbox::new();
    let versions = versions();
    for (nth, case) in Case::ALL.into_iter().enumerate() {
        let version = versions[nth % versions.len()];
        let install = Install::of(version);
        let server = minted.server(case, install.clone());
        let psql = if install.psql().is_absolute() { install } else { Install::of(15) };
        let against = format!("psql={}", psql.psql().display());
        let ran = modes(&sandbox, &server, "dbname=postgres")
            .arg("--sslrootcert")
            .arg(minted.right(case))
            .args(["--against", &against])
            .run()
            .succeeded();
        let told = told(&ran);
        assert_eq!(told["against"]["differences"], 0, "{case:?}: {told:#}");
        let compared =
            told["rows"].as_array().unwrap().iter().filter(|row| row["psql"]["same"] == true).count();
        assert_eq!(compared, 24, "{case:?}: {told:#}");
        record("modes agrees with psql on a server", 1);
    }
}

#[test]
fn a_psql_that_says_something_else_is_marked() {
    let minted = Minted::new();
    let server = minted.server(Case::Good, Install::of(15));
    let sandbox = Sandbox::new();
    let liar = sandbox.file_of(
        &Account::current(),
        "psql",
        0o755,
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'psql (PostgreSQL) 15.1' && exit\necho 'psql: error: no, thank you' >&2; exit 2\n",
    );
    let ran = modes(&sandbox, &server, "dbname=postgres")
        .arg("--sslrootcert")
        .arg(minted.right(Case::Good))
        .args(["--against", &format!("psql={}", liar.display())])
        .run()
        .ended(1);
    let told = told(&ran);
    assert_eq!(told["against"]["differences"], 24, "{told:#}");
    assert_eq!(row(&told, "verify-full", "given")["psql"], json!({ "same": false, "said": "no, thank you" }));
}

#[test]
fn one_login_is_made_and_only_where_chain_and_name_are_verified() {
    let minted = Minted::new();
    let sandbox = Sandbox::new();
    for (case, tried) in
        [(Case::Good, true), (Case::OtherHost, false), (Case::Expired, false), (Case::SslOff, false)]
    {
        let server = minted.server(case, Install::of(18));
        let run = |password: &str| {
            let ran = modes(&sandbox, &server, "dbname=postgres")
                .arg("--sslrootcert")
                .arg(minted.right(case))
                .env("PGPASSWORD", password)
                .run()
                .succeeded()
                .never_mentions(password);
            told(&ran)["login"].clone()
        };
        let wrong = run("zephyr-Quixotic-8841");
        assert_eq!(wrong["tried"], tried, "{case:?}: {wrong}");
        let failed = server.log_text().matches("password authentication failed").count();
        assert_eq!(failed, usize::from(tried), "{case:?}:\n{}", server.log_text());
        let right = run(PASSWORD);
        assert_eq!(right["tried"], tried, "{case:?}: {right}");
        if tried {
            assert_eq!(right["method"], "SCRAM-SHA-256-PLUS");
            assert!(
                right["said"].as_str().unwrap().contains("pg_stat_ssl of our own session: TLSv1.3"),
                "{right}"
            );
        }
        record("modes logs in once at most", 1);
    }
}

#[test]
fn nobody_who_cannot_be_verified_hears_of_the_password_and_nobody_hears_it_in_clear() {
    const SECRET: &str = "zephyr-Quixotic-8841";
    let sandbox = Sandbox::new();
    let ours = Forge::new("ours");
    let words =
        [("in clear", asks_cleartext as fn() -> Vec<u8>), ("as MD5", asks_md5), ("by SCRAM", asks_scram)];
    for (certificate, trusted) in
        [(ours.leaf(&["localhost"]), true), (Forge::new("theirs").leaf(&["localhost"]), false)]
    {
        for (way, words) in words {
            let impostor = Impostor::saying(words(), &certificate);
            let ca = sandbox.file_of(&Account::current(), "roots.crt", 0o644, ours.certificate());
            let target = format!("postgresql://app@localhost:{}/shop?hostaddr=127.0.0.1", impostor.port());
            Pgseal::new(&sandbox)
                .args(["modes", &target, "--sslrootcert"])
                .arg(ca)
                .env("PGPASSWORD", SECRET)
                .run()
                .succeeded()
                .never_mentions(SECRET);
            let heard = impostor.heard();
            assert!(heard.iter().any(|one| one.tls) && heard.iter().any(|one| !one.tls), "{heard:?}");
            let answered = heard.iter().filter(|one| one.was_answered()).count();
            assert_eq!(
                answered,
                usize::from(trusted && way != "in clear"),
                "{trusted}, asked {way}: {heard:?}"
            );
            let all: Vec<u8> = heard.iter().flat_map(|one| one.answer.clone()).collect();
            assert!(!all.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
        }
    }
}

#[test]
fn the_systems_roots_count_where_they_lead_to_the_server() {
    let minted = Minted::new();
    let server = minted.server(Case::Good, Install::of(15));
    let sandbox = Sandbox::new();
    let run = |libpq: &str| {
        let ran = modes(&sandbox, &server, "dbname=postgres")
            .args(["--libpq", libpq])
            .env("SSL_CERT_FILE", minted.right(Case::Good))
            .run()
            .succeeded();
        told(&ran)
    };
    let new = run("18");
    assert_eq!(verdict(row(&new, "verify-full", "system")), (Some(true), Some(true), Some(true), "tls"));
    assert_eq!(row(&new, "verify-ca", "system")["refused_at"], "parameters");
    // To an older libpq it is the name of a file that is not there.
    let old = run("15");
    assert_eq!(verdict(row(&old, "prefer", "system")), (Some(true), Some(false), Some(false), "tls"));
    assert_eq!(row(&old, "verify-full", "system")["refused_at"], "roots");
    let advice = new["advice"].to_string();
    assert!(advice.contains("sslmode=verify-full with sslrootcert=system"), "{advice}");
}

#[test]
fn a_folder_a_data_directory_and_a_socket_are_targets_too() {
    let sealed = Sealed::of(18);
    let folder = told(&sealed.pgseal().args(["modes", "sealed", "--format", "json"]).run().succeeded());
    assert_eq!(verdict(row(&folder, "verify-full", "given")), (Some(true), Some(true), Some(true), "tls"));
    assert_eq!(row(&folder, "verify-full", "given")["own"], true);
    assert_eq!(
        (&folder["login"]["succeeded"], &folder["certificate"]["rustls"]),
        (&json!(true), &Value::Null)
    );
    let refused = row(&folder, "disable", "none");
    assert_eq!((verdict(refused).3, &refused["refused_at"]), ("refused", &json!("startup")));
    assert_eq!(refused["eavesdropper"]["verdict"], "names");

    let server = Server::of(15);
    let target = format!("dir:{}", server.data().display());
    let directory = Pgseal::new(server.sandbox())
        .args(["modes", &target, "--format", "json"])
        .env("PGUSER", SUPERUSER)
        .run()
        .succeeded();
    let directory = told(&directory);
    assert_eq!(row(&directory, "prefer", "none")["outcome"], "plaintext");
    assert_eq!(directory["tls"], Value::Null);

    let socket = format!(
        "host={} port={} user={SUPERUSER} dbname=postgres",
        server.socket_dir().display(),
        server.port()
    );
    let socket =
        told(&Pgseal::new(server.sandbox()).args(["modes", &socket, "--format", "json"]).run().succeeded());
    let full = row(&socket, "verify-full", "none");
    assert_eq!(verdict(full).3, "plaintext", "libpq has no TLS on sockets and no error either");
    assert_eq!(
        (&full["eavesdropper"]["verdict"], &full["attacker"]["verdict"]),
        (&json!("nothing"), &json!("nothing"))
    );
}

#[test]
fn what_cannot_be_tried_is_said_in_libpqs_words() {
    let sandbox = Sandbox::new();
    let run = |args: &[&str]| Pgseal::new(&sandbox).arg("modes").args(args).run();
    run(&["host=localhost port=1 user=x"])
        .ended(3)
        .complains("could not reach the server: ")
        .complains("Connection refused");
    run(&["host=localhost sslmode"])
        .ended(2)
        .complains("missing \"=\" after \"sslmode\" in connection info string");
    run(&["host=localhost user=x channel_binding=always"])
        .ended(2)
        .complains("invalid channel_binding value: \"always\"");
    run(&["host=localhost user=x ssl_min_protocol_version=TLSv9"])
        .ended(2)
        .complains("invalid \"ssl_min_protocol_version\" value: \"TLSv9\"");
    run(&["host=localhost user=x require_auth=md5", "--libpq", "15"])
        .ended(2)
        .complains("invalid connection option \"require_auth\"");
    run(&["host=localhost user=x", "--libpq", "12"]).ended(2);
    run(&["localhost:1", "--against", "pg_dump"]).ended(2).complains("--against takes psql or psql=PATH");
    run(&["localhost:1", "--against", "psql=/nonexistent"]).ended(3).complains("/nonexistent");
    run(&["dbname=x"]).ended(2).complains("names no host");
    let told = run(&["postgresql://u:geheim@localhost:1/d"]).ended(3);
    assert!(told.stderr().contains("a password on the command line can be seen"), "{told}");
    assert!(!told.stdout().contains("geheim") && !told.stderr().contains("geheim"), "{told}");
}
