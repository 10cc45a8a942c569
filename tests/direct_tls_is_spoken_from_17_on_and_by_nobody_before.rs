//! TLS from the first byte on (sslnegotiation=direct): PostgreSQL 17 and later speak it, with ALPN; earlier ones
//! hang up, and so does one whose ssl is off.

use pgseal_wire::message::StartupParameters;
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{ChannelBinding, Credentials, Encryption, FirstAnswer, Peer, Roots, Route, open};
use zeroize::Zeroizing;

use crate::harness::{Account, Install, Sealed, Server, record, versions};

const HANGS_UP: &str = "the server closed the connection without answering the TLS handshake";

fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_sealed_server_speaks_direct_tls_from_17_on() {
    for version in versions() {
        let server = Sealed::with(&Install::of(*version), &Account::current(), &[]);
        let route = Route::new("localhost", server.port());
        let roots = Roots::from_pem("ca", &std::fs::read(server.fact("ca_file")).unwrap()).unwrap();
        let wish = TlsWish::new(Check::ChainAndName(roots), "localhost");
        now(async {
            let opened = open(&route, Encryption::direct_tls(wish.clone())).await;
            if *version < 17 {
                assert_eq!(opened.unwrap_err().handshake().unwrap().to_string(), HANGS_UP);
                return;
            }
            let channel = opened.unwrap();
            assert!(matches!(channel.peer(), Peer::Tcp(_)));
            assert_eq!(channel.tls().unwrap().alpn.as_deref(), Some("postgresql"));
            assert!(channel.tls().unwrap().name_verified);
            let answer = channel.ask(&StartupParameters::new("nobody", "nothing")).await.unwrap();
            assert!(matches!(answer, FirstAnswer::Asked(request) if request.offers_channel_binding()));
            let channel = open(&route, Encryption::direct_tls(wish)).await.unwrap();
            let who = Credentials {
                password: Some(Zeroizing::new(server.password())),
                channel_binding: ChannelBinding::Require,
                ..Credentials::new("admin", "mydb")
            };
            let session = channel.login(&who).await.unwrap();
            assert!(session.channel_bound());
            let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            assert!(session.client().query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
            session.close().await;
        });
        record("direct TLS is spoken from 17 on, and by nobody before", 1);
    }
}

#[test]
fn a_server_whose_ssl_is_off_hangs_up_on_direct_tls() {
    let server = Server::of(18);
    let wish = TlsWish::new(Check::None, "localhost");
    let error = now(open(&Route::new("127.0.0.1", server.port()), Encryption::direct_tls(wish))).unwrap_err();
    assert_eq!(error.handshake().unwrap().to_string(), HANGS_UP);
}
