//! Getting in: each method, each refusal, and how a session ends.

use std::time::{Duration, Instant};

use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{
    ChannelBinding, ConnectOptions, Credentials, Encryption, LoginError, LoginMethod, RootFile, Session,
    SslMode, connect, open,
};
use zeroize::Zeroizing;

use crate::certificates::{authority, good_leaf, self_signed};
use crate::server::{Server, Setup, tester};

async fn login(server: &Server, encryption: Encryption, who: &Credentials) -> Result<Session, LoginError> {
    open(&server.route(), encryption).await.unwrap().login(who).await
}

fn tls() -> Encryption {
    Encryption::tls(TlsWish::new(Check::None, "localhost"))
}

fn binding(channel_binding: ChannelBinding) -> Credentials {
    Credentials { channel_binding, ..tester() }
}

fn with_password(password: &str) -> Credentials {
    Credentials { password: Some(Zeroizing::new(password.to_owned())), ..tester() }
}

fn server(hba: &str) -> Server {
    Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])).hba(hba))
}

#[tokio::test]
async fn scram_is_bound_to_the_channel_where_there_is_one() {
    let server = server("host all all all scram-sha-256");
    let over_tls = async |wanted| login(&server, tls(), &binding(wanted)).await;
    for wanted in [ChannelBinding::Prefer, ChannelBinding::Require] {
        let session = over_tls(wanted).await.unwrap();
        assert_eq!(session.method(), LoginMethod::ScramSha256Plus);
        assert!(session.channel_bound());
        let row = session
            .client()
            .query_one("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
            .await
            .unwrap();
        let facts = session.tls().unwrap();
        assert_eq!(row.get::<_, &str>(0), facts.version.as_str());
        assert_eq!(Some(row.get::<_, &str>(1)), facts.suite.openssl_name());
        assert!(session.parameter("server_version").unwrap().starts_with("15"));
        session.close().await;
    }
    let unbound = over_tls(ChannelBinding::Disable).await.unwrap();
    assert_eq!(unbound.method(), LoginMethod::ScramSha256);

    let plain = login(&server, Encryption::Plaintext, &binding(ChannelBinding::Prefer)).await.unwrap();
    assert_eq!(plain.method(), LoginMethod::ScramSha256);
    let error = login(&server, Encryption::Plaintext, &binding(ChannelBinding::Require)).await.unwrap_err();
    assert_eq!(error.to_string(), "channel binding required, but SSL not in use");
}

#[tokio::test]
async fn the_binding_is_right_for_every_signature_algorithm() {
    let curve = |name: &str| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{name}");
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048".to_owned();
    let pss = |hash: &str| format!("-{hash} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32");
    let cases = [
        (curve("P-256"), "-sha256".to_owned(), "SHA-256"),
        (curve("P-256"), "-sha384".to_owned(), "SHA-384"),
        (curve("P-384"), "-sha512".to_owned(), "SHA-512"),
        (curve("P-256"), "-sha224".to_owned(), "SHA-224"),
        (rsa.clone(), "-sha256".to_owned(), "SHA-256"),
        (rsa.clone(), "-sha384".to_owned(), "SHA-384"),
        (rsa.clone(), "-sha512".to_owned(), "SHA-512"),
        (rsa.clone(), "-sha1".to_owned(), "SHA-256"),
        (rsa.clone(), pss("sha256"), "SHA-256"),
        (rsa, pss("sha384"), "SHA-384"),
    ];
    for (key, sign, hash) in cases {
        let name = format!("{key} {sign}");
        // A server may present what no client would trust: SHA-1 needs a lower security level.
        let setup = Setup::tls(self_signed(&key, &sign)).set("ssl_ciphers = 'DEFAULT:@SECLEVEL=0'");
        let server = Server::start(&setup);
        let session = login(&server, tls(), &binding(ChannelBinding::Require)).await;
        let session = session.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(session.tls().unwrap().binding.as_ref().unwrap().hash_name(), hash, "{name}");
    }
}

#[tokio::test]
async fn a_certificate_without_a_hash_is_logged_in_to_without_binding_and_said_so() {
    let server = Server::start(&Setup::tls(self_signed("-algorithm ed25519", "")));
    let session = login(&server, tls(), &binding(ChannelBinding::Prefer)).await.unwrap();
    assert_eq!(session.method(), LoginMethod::ScramSha256);
    assert_eq!(
        session.tls().unwrap().binding.as_ref().unwrap_err().to_string(),
        "the certificate is signed with Ed25519, which has no hash for tls-server-end-point"
    );
    let error = login(&server, tls(), &binding(ChannelBinding::Require)).await.unwrap_err();
    assert!(error.to_string().starts_with("could not find digest for NID UNDEF: "), "{error}");

    // As libpq: prefer fails too, measured against psql 15.
    let absent = RootFile::Absent { path: "/no".into() };
    let options = ConnectOptions::new(server.route(), SslMode::Require, absent);
    let error = connect(&options, &tester()).await.unwrap_err();
    assert!(error.to_string().ends_with("failed: could not find digest for NID UNDEF"), "{error}");
}

#[tokio::test]
async fn every_refusal_has_its_sqlstate_or_its_name() {
    let server = server("host all all all scram-sha-256");
    let code = |error: LoginError| error.sqlstate().map(|code| code.to_string());
    let wrong = login(&server, tls(), &with_password("wrong")).await.unwrap_err();
    assert_eq!(wrong.to_string(), "FATAL:  password authentication failed for user \"tester\" (28P01)");
    assert_eq!(code(wrong).as_deref(), Some("28P01"));

    let none = Credentials { password: None, ..tester() };
    assert_eq!(login(&server, tls(), &none).await.unwrap_err(), LoginError::NoPassword);
    assert_eq!(login(&server, tls(), &with_password("")).await.unwrap_err(), LoginError::NoPassword);

    let elsewhere = Credentials { dbname: "nowhere".into(), ..tester() };
    let missing = login(&server, tls(), &elsewhere).await.unwrap_err();
    assert!(matches!(missing, LoginError::Refused { authenticated: true, .. }));
    assert_eq!(missing.to_string(), "FATAL:  database \"nowhere\" does not exist (3D000)");
}

#[tokio::test]
async fn passwords_with_odd_characters_get_in() {
    let server = server("host all all all scram-sha-256");
    let admin = login(&server, tls(), &tester()).await.unwrap();
    for password in
        ["ünïcødé", "with 'quotes' and \\", "\u{2168} \u{00a0}normalised", " ", &"long".repeat(200)]
    {
        let quoted = password.replace('\'', "''");
        let sql = format!("SET standard_conforming_strings = on; ALTER ROLE tester PASSWORD '{quoted}'");
        admin.client().batch_execute(&sql).await.unwrap();
        let session = login(&server, tls(), &with_password(password)).await;
        assert!(session.is_ok(), "{password:?}: {session:?}");
    }
}

#[tokio::test]
async fn md5_cleartext_and_trust_are_told_apart() {
    let hba = "host all old all md5\nhost all plain all password\nhost all free all trust\n\
               host all all all scram-sha-256";
    let server = server(hba);
    let admin = login(&server, tls(), &tester()).await.unwrap();
    let roles = "CREATE ROLE plain LOGIN PASSWORD 'p w'; CREATE ROLE free LOGIN; \
                 SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'p w'";
    admin.client().batch_execute(roles).await.unwrap();
    let as_role = |user: &str| Credentials { user: user.into(), ..with_password("p w") };
    let required = |user: &str| Credentials { channel_binding: ChannelBinding::Require, ..as_role(user) };

    let session = login(&server, tls(), &as_role("old")).await.unwrap();
    assert_eq!(session.method(), LoginMethod::Md5);
    let session = login(&server, tls(), &as_role("free")).await.unwrap();
    assert_eq!(session.method(), LoginMethod::NotAsked);

    let error = login(&server, tls(), &as_role("plain")).await.unwrap_err();
    assert_eq!(error, LoginError::CleartextNotAllowed);
    let absent = RootFile::Absent { path: "/no".into() };
    let options = ConnectOptions::new(server.route(), SslMode::Require, absent);
    let connected = connect(&options, &as_role("plain")).await.unwrap();
    assert_eq!(connected.session.method(), LoginMethod::Cleartext);

    let said = async |user| login(&server, tls(), &required(user)).await.unwrap_err().to_string();
    let not_supported = "channel binding required but not supported by server's authentication request";
    assert_eq!(said("old").await, not_supported);
    assert_eq!(said("plain").await, not_supported);
    assert_eq!(
        said("free").await,
        "channel binding required, but server authenticated client without channel binding"
    );
}

#[tokio::test]
async fn a_session_ends_with_its_owner_and_without_a_line_in_the_log() {
    let server = server("host all all all scram-sha-256");
    let watcher = login(&server, tls(), &tester()).await.unwrap();
    let others = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                   AND pid <> pg_backend_pid()";
        watcher.client().query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    let before = server.log();
    let closed = login(&server, tls(), &tester()).await.unwrap();
    let dropped = login(&server, Encryption::Plaintext, &tester()).await.unwrap();
    assert_eq!(others().await, 2);
    closed.close().await;
    drop(dropped);
    let begun = Instant::now();
    while others().await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "a session outlives its owner");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.log(), before);
}

#[tokio::test]
async fn a_session_serves_large_answers_and_transactions() {
    let server = server("host all all all scram-sha-256");
    let mut session = login(&server, tls(), &tester()).await.unwrap();
    let sql = "SELECT repeat('x', 5000000)";
    let row = session.client().query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0).len(), 5_000_000);
    let transaction = session.client_mut().transaction().await.unwrap();
    transaction
        .batch_execute("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)")
        .await
        .unwrap();
    let rows = transaction.query("SELECT n FROM t", &[]).await.unwrap();
    assert_eq!(rows.len(), 1000);
    transaction.commit().await.unwrap();
    session.close().await;
}

#[tokio::test]
async fn a_full_server_says_so_in_its_own_words() {
    let setup = Setup::tls(good_leaf(&authority("CA"), &["localhost"]));
    let server = Server::start(&setup.set("max_connections = 4").set("superuser_reserved_connections = 0"));
    let mut held = Vec::new();
    let error = loop {
        match login(&server, tls(), &tester()).await {
            Ok(session) => held.push(session),
            Err(error) => break error,
        }
    };
    assert_eq!(held.len(), 4);
    assert_eq!(error.to_string(), "FATAL:  sorry, too many clients already (53300)");
}

#[test]
fn credentials_show_no_password() {
    let shown = format!("{:?}", with_password("geheim"));
    assert!(!shown.contains("geheim"), "{shown}");
}
