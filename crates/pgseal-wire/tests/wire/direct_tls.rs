//! TLS from the first byte on: PostgreSQL 17 and later, and nobody before.

use std::path::PathBuf;

use pgseal_wire::message::StartupParameters;
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{
    ChannelBinding, ConnectOptions, Credentials, Encryption, FirstAnswer, RootFile, SslMode, SslNegotiation,
    connect, open,
};

use crate::certificates::{authority, good_leaf, roots};
use crate::server::{Server, Setup, tester};

/// The bin directory of a PostgreSQL 17 or later.
fn bin_of_18() -> PathBuf {
    let bin = std::env::var_os("PGSEAL_TEST_PG18_BIN").map(PathBuf::from);
    bin.expect("name the bin directory of a PostgreSQL 17 or later in PGSEAL_TEST_PG18_BIN")
}

#[tokio::test]
async fn a_server_before_17_hangs_up_on_it() {
    let server = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])));
    let wish = TlsWish::new(Check::None, "localhost");
    let error = open(&server.route(), Encryption::direct_tls(wish)).await.unwrap_err();
    assert_eq!(
        error.handshake().unwrap().to_string(),
        "the server closed the connection without answering the TLS handshake"
    );
}

#[tokio::test]
#[ignore = "needs a PostgreSQL 17 or later: PGSEAL_TEST_PG18_BIN"]
async fn a_server_from_17_on_speaks_it_and_echoes_alpn() {
    let ours = authority("CA");
    let setup = Setup { bin: bin_of_18(), ..Setup::tls(good_leaf(&ours, &["localhost"])) };
    let server = Server::start(&setup);
    let trusted = roots(&ours.certificate_pem());
    let wish = || TlsWish::new(Check::ChainAndName(trusted.clone()), "localhost");

    for encryption in [Encryption::direct_tls(wish()), Encryption::tls(wish())] {
        let channel = open(&server.route(), encryption.clone()).await.unwrap();
        assert_eq!(channel.tls().unwrap().alpn.as_deref(), Some("postgresql"));
        assert!(channel.tls().unwrap().name_verified);
        let answer = channel.ask(&StartupParameters::new("nobody", "nothing")).await.unwrap();
        assert!(matches!(answer, FirstAnswer::Asked(request) if request.offers_channel_binding()));

        let channel = open(&server.route(), encryption).await.unwrap();
        let who = Credentials { channel_binding: ChannelBinding::Require, ..tester() };
        assert!(channel.login(&who).await.unwrap().channel_bound());
    }

    let mut options = ConnectOptions::new(server.route(), SslMode::VerifyFull, RootFile::Loaded(trusted));
    options.negotiation = SslNegotiation::Direct;
    let connected = connect(&options, &tester()).await.unwrap();
    assert_eq!(connected.attempts.len(), 1);
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(connected.session.client().query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
#[ignore = "needs a PostgreSQL 17 or later: PGSEAL_TEST_PG18_BIN"]
async fn a_server_without_tls_hangs_up_on_it() {
    let setup = Setup { bin: bin_of_18(), ..Setup::without_tls() };
    let server = Server::start(&setup);
    let wish = TlsWish::new(Check::None, "localhost");
    let error = open(&server.route(), Encryption::direct_tls(wish)).await.unwrap_err();
    assert_eq!(
        error.handshake().unwrap().to_string(),
        "the server closed the connection without answering the TLS handshake"
    );
}
