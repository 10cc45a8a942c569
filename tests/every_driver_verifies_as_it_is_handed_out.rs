//! What `pgseal client` hands out for a driver is run by that driver: it connects to the good server with TLS, whatever user,
//! database and path are called, and refuses a server of another CA, of another name, and one that has expired.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{
    Case, Driven, FURTHER, Install, Minted, PASSWORD, Pgseal, QUICK, SUPERUSER, Sandbox, Schema, Server,
    record, versions,
};

/// A user and a database with everything that a URI, a conninfo or a language takes for its own.
const ODD: (&str, &str) = (r#"o'neil "x" %41\{}#{1}$y@h:/?&=;é"#, r#"shop'"\ %42{}#{1}$z@:/?&=;+é"#);
/// The same without what PDO's DSN and psqlODBC (a semicolon) and DBD::Pg's (a double quote) cannot hold.
const LESS_ODD: (&str, &str) = (r#"o'neil "x" %41\{}#{1}$y@h:/?&=é"#, r"shop'\ %42{}#{1}$z@:/?&=+é");
const ODD_PASSWORD: &str = r#"p'w"d \%43{}#{1}$@:/?&=+;é"#;

struct Servers {
    minted: Minted,
    good: Server,
    other_host: Server,
    expired: Server,
    certified: Server,
}

impl Servers {
    fn start() -> Self {
        let minted = Minted::new();
        let of = |case| minted.server(case, Install::of(15));
        let servers = Self {
            good: of(Case::Good),
            other_host: of(Case::OtherHost),
            expired: of(Case::Expired),
            certified: of(Case::ClientCertificate),
            minted,
        };
        let quoted = |name: &str| name.replace('"', "\"\"");
        for (user, dbname) in [ODD, LESS_ODD] {
            servers.good.sql(&format!(
                "SET password_encryption = 'scram-sha-256'; CREATE ROLE \"{}\" LOGIN PASSWORD '{}';",
                quoted(user),
                ODD_PASSWORD.replace('\'', "''")
            ));
            servers.good.sql(&format!("CREATE DATABASE \"{}\"", quoted(dbname)));
        }
        servers
    }
}

/// The text for a driver, or why there is none; `further` are words of the command line.
#[track_caller]
fn told(
    driver: &Driven,
    server: &Server,
    who: (&str, &str),
    root: &Path,
    further: &[&str],
) -> Result<String, String> {
    told_of(driver, &format!("localhost:{}", server.port()), who, root, further)
}

/// The same for any TARGET.
#[track_caller]
fn told_of(
    driver: &Driven,
    target: &str,
    (user, dbname): (&str, &str),
    root: &Path,
    further: &[&str],
) -> Result<String, String> {
    let sandbox = Sandbox::new();
    let ran = Pgseal::new(&sandbox)
        .args(["client", target, "-U", user, "-d", dbname])
        .args(["--driver", driver.name, "--format", "json", "--sslrootcert"])
        .arg(root)
        .args(further.iter().copied())
        .run();
    let handed: Value = ran.json();
    Schema::of("client").admits(&handed);
    let row = &handed["drivers"][0];
    assert_eq!(row["known"], "run by the tests", "{}", driver.name);
    row["text"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| row["cannot"].as_str().unwrap_or_default().to_owned())
}

/// A driver against all of them.
fn verifies(servers: &Servers, driver: &Driven) {
    // A path that quoting is needed for.
    let root = servers.minted.file("the 'right' ca.crt");
    fs::copy(servers.minted.file("right.crt"), &root).expect("a copy can be made");
    let (who, odd) = match told(driver, &servers.good, ODD, &root, &[]) {
        Ok(text) => (ODD, text),
        // Said, rather than written as something else.
        Err(why) => {
            let known =
                ["PDO's DSN cannot hold a semicolon", "a semicolon in a name", "cannot hold a double quote"];
            assert!(known.iter().any(|known| why.contains(known)), "{}: {why}", driver.name);
            (LESS_ODD, told(driver, &servers.good, LESS_ODD, &root, &[]).expect("a text"))
        }
    };
    let ran = driver.with(&odd, ODD_PASSWORD).succeeded();
    assert_eq!(ran.stdout().trim(), format!("{}|{}|true", who.0, who.1), "{}\n{odd}", driver.name);
    record("a driver connects with TLS as it is handed out", 1);

    let right = servers.minted.file("right.crt");
    let bad = [
        ("another CA", &servers.good, servers.minted.file("wrong.crt")),
        ("another name", &servers.other_host, right.clone()),
        ("past its end", &servers.expired, right.clone()),
    ];
    for (what, server, root) in bad {
        let text = told(driver, server, (SUPERUSER, "postgres"), &root, &[]).expect("a text");
        let ran = driver.with(&text, PASSWORD);
        let words = ran.stderr().to_lowercase() + &ran.stdout().to_lowercase();
        assert_ne!(ran.code(), Some(0), "{} took {what}:\n{ran}", driver.name);
        let about = ["certificate", "certification", "host name", "hostname", "altnames"];
        assert!(about.iter().any(|word| words.contains(word)), "{} of {what}:\n{ran}", driver.name);
        record("a driver refuses a bad server as it is handed out", 1);
    }
    // Its own certificate, where PEM files are what it takes.
    if !driver.name.starts_with("pgjdbc") {
        let (certificate, key) = (servers.minted.file("client.crt"), servers.minted.file("client.key"));
        let own = ["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let text = told(driver, &servers.certified, (SUPERUSER, "postgres"), &right, &own).expect("a text");
        let ran = driver.with(&text, PASSWORD).succeeded();
        assert_eq!(ran.stdout().trim(), format!("{SUPERUSER}|postgres|true"), "{}", driver.name);
        record("a driver shows its own certificate as it is handed out", 1);
    }
}

/// A driver by an IPv6 address, which each form writes in a way of its own.
fn reaches_an_address(minted: &Minted, server: &Server, driver: &Driven) {
    let root = minted.file("right.crt");
    let target = format!("[::1]:{}", server.port());
    match told_of(driver, &target, (SUPERUSER, "postgres"), &root, &[]) {
        Ok(text) => {
            let ran = driver.with(&text, PASSWORD).succeeded();
            assert_eq!(ran.stdout().trim(), format!("{SUPERUSER}|postgres|true"), "{}\n{text}", driver.name);
        }
        Err(why) => assert!(why.contains("use a host name"), "{}: {why}", driver.name),
    }
    record("a driver reaches an IPv6 address as it is handed out", 1);
}

#[test]
fn an_ipv6_address_is_written_as_each_driver_takes_it() {
    let further = if versions().contains(&16) { FURTHER.as_slice() } else { &[] };
    let minted = Minted::new();
    let server = minted.showing(&minted.ours.leaf(&["::1"]), Case::Good, Install::of(15));
    for driver in QUICK.iter().chain(further) {
        reaches_an_address(&minted, &server, driver);
    }
}

#[test]
fn drivers_that_are_quickly_had_verify_as_they_are_told() {
    let servers = Servers::start();
    for driver in &QUICK {
        verifies(&servers, driver);
    }
}

fn of_the_deeper_runs(which: impl Fn(&str) -> bool) {
    if !versions().contains(&16) {
        return;
    }
    let servers = Servers::start();
    for driver in FURTHER.iter().filter(|driver| which(driver.name)) {
        verifies(&servers, driver);
    }
}

const OF_NODE: [&str; 7] =
    ["node-postgres", "postgres.js", "Sequelize", "TypeORM", "Knex", "Drizzle", "Prisma"];
/// Each text is compiled first.
const OF_RUST: [&str; 2] = ["tokio-postgres", "sqlx"];

#[test]
fn drivers_of_node_verify_as_they_are_told() {
    of_the_deeper_runs(|name| OF_NODE.contains(&name));
}

#[test]
fn drivers_of_frameworks_and_of_the_system_verify_as_they_are_told() {
    of_the_deeper_runs(|name| !OF_NODE.contains(&name) && !OF_RUST.contains(&name));
}

#[test]
fn drivers_of_rust_verify_as_they_are_told() {
    of_the_deeper_runs(|name| OF_RUST.contains(&name));
}

/// What the data calls run is run here, and nothing else is called so.
#[test]
fn what_is_called_run_is_run() {
    let path = crate::harness::project().join("crates/pgseal/src/client/drivers.toml");
    let data: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows = data["driver"].as_array().unwrap();
    let called: Vec<&str> = rows
        .iter()
        .filter(|row| row["known"].as_str() == Some("run"))
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    let mut ran: Vec<&str> =
        QUICK.iter().chain(&FURTHER).map(|driver| driver.name.split('@').next().unwrap()).collect();
    let mut called_too = called.clone();
    called_too.sort_unstable();
    ran.sort_unstable();
    assert_eq!(called_too, ran);
    record("what is called run is run", 1);
}
