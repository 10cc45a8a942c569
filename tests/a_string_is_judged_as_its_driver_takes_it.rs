//! `pgseal client TARGET --check STRING` says what a string would do there, and the driver does just that: for each form and each
//! word for sslmode, on servers with TLS, without it, and of another CA. No password is in what it prints.

use std::path::Path;

use serde_json::Value;

use crate::harness::{
    Case, Driven, FURTHER, Install, Minted, PASSWORD, Pgseal, QUICK, SUPERUSER, Sandbox, Schema, Server,
    is_soak, record, versions,
};

const WORDS: [&str; 7] = ["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

fn driven(name: &str) -> &'static Driven {
    let all = QUICK.iter().chain(&FURTHER);
    all.into_iter().find(|driver| driver.name == name).unwrap_or_else(|| panic!("no {name}"))
}

/// The program of a driver around a string of this form.
fn program(form: &str, string: &str) -> String {
    let literal = serde_json::to_string(string).unwrap();
    match form {
        "libpq" => format!("psql '{}'", string.replace('\'', r"'\''")),
        "psycopg" => format!("import psycopg\nconnection = psycopg.connect({literal})"),
        "asyncpg" => {
            format!("import asyncpg\nasync def connect():\n    return await asyncpg.connect({literal})")
        }
        "pgjdbc@42.5.5" => format!("var connection = java.sql.DriverManager.getConnection({literal});"),
        "node-postgres" => {
            format!("const {{ Client }} = require('pg')\nconst client = new Client({literal})")
        }
        "postgres.js" => format!(
            "const postgres = require('postgres')\nconst sql = postgres({literal}, {{ connect_timeout: 10 }})"
        ),
        "Prisma" => format!(
            "const {{ PrismaPg }} = require('@prisma/adapter-pg')\nconst {{ PrismaClient }} = require('@prisma/client')\n\
             const prisma = new PrismaClient({{ adapter: new PrismaPg({{ connectionString: {literal} }}) }})"
        ),
        "sqlx" => format!("let pool = sqlx::PgPool::connect({literal}).await?;"),
        "PHP PDO" => format!("$connection = new PDO('{}');", string.replace('\'', r"\'")),
        "DBD::Pg" => {
            format!("use DBI; my $connection = DBI->connect('{string}', '', '', {{ RaiseError => 1 }});")
        }
        "pgx@4.15" => format!("conn, err := pgx.Connect(ctx, {literal})"),
        "lib/pq@1.10.7" => format!("db, err := sql.Open(\"postgres\", {literal})"),
        "psqlODBC" => string.to_owned(),
        other => panic!("no program for {other}"),
    }
}

/// The string of a driver with that word and that root file, either maybe none.
fn string(driver: &str, port: u16, word: &str, root: Option<&Path>) -> String {
    let root = root.map(|root| root.to_str().unwrap());
    let list = |between: &str| {
        let mode = (!word.is_empty()).then(|| format!("sslmode={word}"));
        let root = root.map(|root| format!("sslrootcert={root}"));
        mode.into_iter().chain(root).collect::<Vec<_>>().join(between)
    };
    match driver {
        "pgjdbc@42.5.5" => {
            let more = list("&");
            format!(
                "jdbc:postgresql://localhost:{port}/postgres?user={SUPERUSER}&password={}&{more}",
                PASSWORD.replace(' ', "%20")
            )
        }
        "PHP PDO" | "DBD::Pg" => {
            let prefix = if driver == "PHP PDO" { "pgsql" } else { "dbi:Pg" };
            format!("{prefix}:host=localhost;port={port};user={SUPERUSER};dbname=postgres;{}", list(";"))
        }
        "psqlODBC" => {
            let mode = if word.is_empty() { String::new() } else { format!("SSLmode={word};") };
            let root = root.map(|root| format!("pqopt={{sslrootcert={root}}}")).unwrap_or_default();
            format!(
                "Driver={{PostgreSQL Unicode}};Server=localhost;Port={port};Database=postgres;Uid={SUPERUSER};{mode}{root}"
            )
        }
        _ => {
            let more = list("&");
            let question = if more.is_empty() { "" } else { "?" };
            format!(
                "postgres://{SUPERUSER}:{}@localhost:{port}/postgres{question}{more}",
                PASSWORD.replace(' ', "%20")
            )
        }
    }
}

#[track_caller]
fn judged(driver: &str, server: &Server, string: &str, right: &Path) -> Value {
    let sandbox = Sandbox::new();
    let ran = Pgseal::new(&sandbox)
        .args(["client", &format!("host=localhost port={} user={SUPERUSER} dbname=postgres", server.port())])
        .args(["--driver", driver, "--format", "json", "--check", "-", "--sslrootcert"])
        .arg(right)
        .stdin(string)
        .run();
    for password in [PASSWORD.to_owned(), PASSWORD.replace(' ', "%20")] {
        assert!(!ran.stdout().contains(&password) && !ran.stderr().contains(&password), "{ran}");
    }
    let told = ran.json();
    Schema::of("client").admits(&told);
    told["checks"][0].clone()
}

/// What is said against what the driver does, by the server's word, for every word of sslmode.
fn agrees(driver: &'static str, (what, server): (&str, &Server), root: Option<&Path>, right: &Path) {
    for word in WORDS {
        let string = string(driver, server.port(), word, root);
        let judged = judged(driver, server, &string, right);
        let ran = driven(driver).with(&program(driver, &string), PASSWORD);
        let happened = match (ran.code(), ran.stdout().trim().rsplit('|').next()) {
            (Some(0), Some("true")) => "tls",
            (Some(0), Some("false")) => "plaintext",
            _ => "refused",
        };
        assert_eq!(
            judged["outcome"], happened,
            "{driver}, {word:?} with {root:?} against a server {what}:\n{judged:#}\n{ran}"
        );
        record("what is said of a string is what the driver does", 1);
    }
}

/// The servers and root files that tell most; each server with each file in a soak.
fn all_of(drivers: &[&'static str]) {
    let minted = Minted::new();
    let of = |case| minted.server(case, Install::of(15));
    let (good, off, only, other) =
        (of(Case::Good), of(Case::SslOff), of(Case::HostsslOnly), of(Case::OtherHost));
    let (good, off) = (("with TLS", &good), ("without TLS", &off));
    let (only, other) = (("that takes TLS only", &only), ("of another name", &other));
    let (right, wrong) = (minted.file("right.crt"), minted.file("wrong.crt"));
    let (none, given, stale) = (None, Some(right.as_path()), Some(wrong.as_path()));
    let mut cells = vec![(good, given), (good, stale)];
    if versions().contains(&16) {
        cells.extend([(good, none), (off, given), (only, stale), (other, given)]);
    }
    if is_soak() {
        cells.extend([(off, none), (off, stale), (only, none), (only, given), (other, none), (other, stale)]);
    }
    for driver in drivers {
        for (server, root) in &cells {
            agrees(driver, *server, *root, &right);
        }
    }
}

#[test]
fn what_is_said_of_libpqs_strings_is_what_psql_does() {
    all_of(&["libpq"]);
}

#[test]
fn what_is_said_of_jdbcs_strings_is_what_pgjdbc_does() {
    all_of(&["pgjdbc@42.5.5"]);
}

#[test]
fn what_is_said_of_pythons_strings_is_what_its_drivers_do() {
    all_of(if versions().contains(&16) { &["asyncpg", "psycopg"] } else { &["asyncpg"] });
}

#[test]
fn what_is_said_of_nodes_strings_is_what_its_drivers_do() {
    if versions().contains(&16) {
        all_of(&["node-postgres", "postgres.js", "Prisma"]);
    }
}

#[test]
fn what_is_said_of_dsns_is_what_their_drivers_do() {
    if versions().contains(&16) {
        all_of(&["PHP PDO", "DBD::Pg", "psqlODBC"]);
    }
}

#[test]
fn what_is_said_of_gos_strings_is_what_its_drivers_do() {
    if versions().contains(&16) {
        all_of(&["lib/pq@1.10.7", "pgx@4.15"]);
    }
}

#[test]
fn what_is_said_of_rusts_strings_is_what_its_driver_does() {
    if versions().contains(&16) {
        all_of(&["sqlx"]);
    }
}

#[test]
fn a_string_is_explained_and_mended() {
    let minted = Minted::new();
    let server = minted.server(Case::Good, Install::of(15));
    let sandbox = Sandbox::new();
    let target = format!("host=localhost port={} user={SUPERUSER} dbname=postgres", server.port());
    let ask = |string: &str, words: &[&str]| {
        Pgseal::new(&sandbox)
            .args(["client", &target, "--check", string, "--sslrootcert"])
            .arg(minted.file("right.crt"))
            .args(words.to_vec())
            .run()
            .never_mentions("s3cret")
    };
    ask("Host=localhost;Password=s3cret;SSL Mode=Require;Root Certificate=/etc/ca.crt", &[])
        .ended(1)
        .says("Npgsql 8, require (read, not run)")
        .says("it connects with TLS and verifies nothing")
        .says("SSL Mode=VerifyFull;Root Certificate=")
        .complains("a password on the command line can be seen");
    ask(
        "postgres://u:s3cret@localhost/d?sslmode=verify-full&sslrootcert=/nowhere/ca.crt",
        &["--driver", "Prisma@6"],
    )
    .ended(1)
    .says("with its Rust engine, verify-full (read, not run)")
    .says("sslaccept=strict&sslcert=");
    ask("r2dbc:postgresql://u@localhost/d?sslMode=require", &[])
        .ended(1)
        .says("R2DBC 1.0, require (read, not run)");
    ask("postgres://u@localhost/d", &["--driver", "tokio-postgres-native-tls"])
        .ended(1)
        .says("no sslmode (measured, not run by the tests)");
    ask("postgres://u@localhost/d?sslmode=require&channel_binding=require", &["--driver", "sqlx"])
        .ended(1)
        .says("channel_binding: it passes that over");
    ask("postgres://u@localhost/d?sslmode=verify_full", &["--driver", "libpq"])
        .ended(1)
        .says("libpq has no sslmode \"verify_full\", only");
    let good =
        format!("host=localhost sslmode=verify-full sslrootcert={}", minted.file("right.crt").display());
    ask(&good, &[]).succeeded().says("verifies chain and name");
    ask("host=elsewhere sslmode=verify-full sslrootcert=/etc/ca.crt", &[])
        .ended(1)
        .says("its host is elsewhere, and TARGET's is localhost")
        .says("does not match host name \"elsewhere\"");
    ask("password=s3cret horse", &[]).ended(2).complains("cannot be read as conninfo");
    record("a string is explained and mended", 9);
}
