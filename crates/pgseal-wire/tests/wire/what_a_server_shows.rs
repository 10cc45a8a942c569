//! What a real PostgreSQL shows to someone who does not log in.

use pgseal_pki::KeyType;
use pgseal_wire::message::{Replication, StartupParameters};
use pgseal_wire::tls::{ChainVerdict, Check, TlsFacts, TlsWish};
use pgseal_wire::{
    AuthenticationRequest, Encryption, FirstAnswer, HandshakeFailure, OpenProblem, Route, SqlState,
    TlsVersion, open,
};

use crate::certificates::{
    Identity, authority, good_leaf, leaf, roots, self_signed, self_signed_ca_leaf, version_one,
};
use crate::server::{ROLE, Server, Setup};

fn unverified() -> TlsWish {
    TlsWish::new(Check::None, "localhost")
}

async fn facts(server: &Server, wish: TlsWish) -> TlsFacts {
    let channel = open(&server.route(), Encryption::tls(wish)).await.unwrap();
    let facts = channel.tls().unwrap().clone();
    channel.close().await;
    facts
}

async fn failure(server: &Server, wish: TlsWish) -> (HandshakeFailure, pgseal_wire::Presented) {
    let error = open(&server.route(), Encryption::tls(wish)).await.unwrap_err();
    match error.problem {
        OpenProblem::Handshake { failure, presented } => (*failure, *presented),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn version_suite_and_group_are_named_as_the_standards_name_them() {
    let ours = authority("CA");
    let server = Server::start(&Setup::tls(good_leaf(&ours, &["localhost"])));
    let newest = facts(&server, unverified()).await;
    assert_eq!(newest.version, TlsVersion::Tls1_3);
    assert_eq!(newest.suite.to_string(), "TLS_AES_256_GCM_SHA384");
    // PostgreSQL 15 takes one curve, prime256v1 by default.
    let group = newest.group.unwrap();
    assert_eq!((group.iana_name(), group.to_string().as_str()), (Some("secp256r1"), "P-256"));
    assert_eq!(newest.alpn, None);
    assert!(!newest.client_certificate_requested);
    assert!(matches!(newest.verdict, ChainVerdict::NotAsked));

    let wish = TlsWish { max: Some(TlsVersion::Tls1_2), ..unverified() };
    let older = facts(&server, wish).await;
    assert_eq!(older.version, TlsVersion::Tls1_2);
    assert_eq!(older.suite.iana_name(), Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
    assert_eq!(older.suite.openssl_name(), Some("ECDHE-ECDSA-AES256-GCM-SHA384"));
    assert_eq!(older.group.unwrap().to_string(), "P-256");
}

#[tokio::test]
async fn every_kind_of_key_completes_a_handshake_in_both_versions() {
    let ours = authority("CA");
    let by_pki = |kind| leaf(&ours, &["localhost"], kind, (-1, 30));
    let identities: Vec<(&str, Identity)> = vec![
        ("ECDSA P-256", by_pki(KeyType::EcdsaP256)),
        ("ECDSA P-384", by_pki(KeyType::EcdsaP384)),
        ("RSA 2048", by_pki(KeyType::Rsa2048)),
        ("RSA 3072", by_pki(KeyType::Rsa3072)),
        ("Ed25519", self_signed("-algorithm ed25519", "")),
    ];
    for (name, identity) in identities {
        let root = identity.chain.clone();
        let server = Server::start(&Setup::tls(identity));
        for max in [TlsVersion::Tls1_2, TlsVersion::Tls1_3] {
            let facts = facts(&server, TlsWish { max: Some(max), ..unverified() }).await;
            assert_eq!(facts.version, max, "{name}");
            assert_eq!(facts.leaf().unwrap().pem(), root, "{name}");
            assert_eq!(facts.binding.is_ok(), name != "Ed25519", "{name}");
        }
    }
}

#[tokio::test]
async fn a_p_521_certificate_is_seen_in_tls_1_3_only() {
    // In TLS 1.2 the client's groups limit the certificate's curve, and rustls has no P-521.
    let server =
        Server::start(&Setup::tls(self_signed("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "-sha512")));
    assert_eq!(facts(&server, unverified()).await.binding.unwrap().hash_name(), "SHA-512");
    let (failure, _) = failure(&server, TlsWish { max: Some(TlsVersion::Tls1_2), ..unverified() }).await;
    assert_eq!(failure.to_string(), "the server ended the TLS handshake with the alert handshake_failure");
}

#[tokio::test]
async fn version_one_and_ca_leaves_complete_as_they_do_for_libpq() {
    for identity in [version_one("postgres"), self_signed_ca_leaf("localhost")] {
        let itself = roots(&identity.chain);
        let stranger = roots(&authority("stranger").certificate_pem());
        let server = Server::start(&Setup::tls(identity));
        for max in [TlsVersion::Tls1_2, TlsVersion::Tls1_3] {
            let wish = |check| TlsWish { max: Some(max), ..TlsWish::new(check, "localhost") };
            assert_eq!(facts(&server, wish(Check::None)).await.version, max);
            assert!(facts(&server, wish(Check::Chain(itself.clone()))).await.chain_verified());
            let (failure, presented) = failure(&server, wish(Check::Chain(stranger.clone()))).await;
            assert!(matches!(failure, HandshakeFailure::Chain(_)), "{failure}");
            assert_eq!(presented.chain.len(), 1);
        }
    }
}

#[tokio::test]
async fn what_was_presented_is_known_also_when_it_is_refused() {
    let ours = authority("CA");
    let trusted = roots(&ours.certificate_pem());
    let server = Server::start(&Setup::tls(good_leaf(&ours, &["db.example.org"])));

    let (failure, presented) =
        failure(&server, TlsWish::new(Check::ChainAndName(trusted.clone()), "localhost")).await;
    assert_eq!(
        failure.to_string(),
        "server certificate for \"db.example.org\" does not match host name \"localhost\""
    );
    assert!(matches!(presented.verdict, ChainVerdict::Verified(_)));
    assert_eq!(presented.chain[0].dns_names(), ["db.example.org"]);

    let good = facts(&server, TlsWish::new(Check::ChainAndName(trusted), "db.example.org")).await;
    assert!(good.chain_verified() && good.name_verified);
}

#[tokio::test]
async fn an_asked_for_client_certificate_is_noticed() {
    let ours = authority("CA");
    let setup = Setup::tls(good_leaf(&ours, &["localhost"])).set("ssl_ca_file = 'server-with-key.pem'");
    let server = Server::start(&setup);
    for max in [TlsVersion::Tls1_2, TlsVersion::Tls1_3] {
        assert!(
            facts(&server, TlsWish { max: Some(max), ..unverified() }).await.client_certificate_requested
        );
    }
}

#[tokio::test]
async fn versions_without_a_meeting_are_told_apart() {
    let setup =
        Setup::tls(good_leaf(&authority("CA"), &["localhost"])).set("ssl_max_protocol_version = 'TLSv1.2'");
    let server = Server::start(&setup);
    let only = |min, max| TlsWish { min, max, ..unverified() };
    let said = async |wish| failure(&server, wish).await.0.to_string();
    assert_eq!(
        said(only(Some(TlsVersion::Tls1_3), None)).await,
        "the server ended the TLS handshake with the alert protocol_version"
    );
    assert_eq!(
        said(only(Some(TlsVersion::Tls1_0), Some(TlsVersion::Tls1_1))).await,
        "nothing between TLSv1 and TLSv1.1 can be tried: TLS 1.2 is the oldest version spoken here"
    );
    assert_eq!(
        said(only(Some(TlsVersion::Tls1_3), Some(TlsVersion::Tls1_2))).await,
        "invalid SSL protocol version range: TLSv1.3 is above TLSv1.2"
    );
}

/// The server's answer to a startup packet that nobody means.
async fn ask(route: &Route, encryption: Encryption, replication: Replication) -> FirstAnswer {
    let who = StartupParameters { replication, ..StartupParameters::new("nobody", "nothing") };
    open(route, encryption).await.unwrap().ask(&who).await.unwrap()
}

#[tokio::test]
async fn pg_hba_answers_before_anybody_is_known() {
    let hba = "hostnossl all all all reject\nhostssl all all all scram-sha-256";
    let server = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])).hba(hba));
    let refused = |answer: &FirstAnswer| match answer {
        FirstAnswer::Refused(error) => {
            assert!(error.is(SqlState::INVALID_AUTHORIZATION));
            assert_eq!(
                (error.file.as_deref(), error.routine.as_deref()),
                (Some("auth.c"), Some("ClientAuthentication"))
            );
            error.message.clone()
        }
        FirstAnswer::Asked(request) => panic!("{request}"),
    };
    let tls = || Encryption::tls(unverified());
    let answer = ask(&server.route(), Encryption::Plaintext, Replication::No).await;
    assert!(refused(&answer).starts_with("pg_hba.conf rejects connection for host \"127.0.0.1\""));
    let answer = ask(&server.route(), Encryption::Plaintext, Replication::Physical).await;
    assert!(refused(&answer).starts_with("no pg_hba.conf entry for replication connection"));
    let answer = ask(&server.route(), tls(), Replication::No).await;
    let mechanisms = vec!["SCRAM-SHA-256-PLUS".to_owned(), "SCRAM-SHA-256".to_owned()];
    assert_eq!(answer, FirstAnswer::Asked(AuthenticationRequest::Sasl { mechanisms }));
    // A trust line lets a made-up user in as far as AuthenticationOk, here on the Unix socket.
    let answer = ask(&server.socket_route(), Encryption::Plaintext, Replication::No).await;
    assert_eq!(answer, FirstAnswer::Asked(AuthenticationRequest::Ok));
}

#[tokio::test]
async fn looking_leaves_no_line_in_the_log() {
    let server = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])));
    let before = server.log();
    for max in [TlsVersion::Tls1_2, TlsVersion::Tls1_3] {
        let wish = || TlsWish { max: Some(max), ..unverified() };
        facts(&server, wish()).await;
        ask(&server.route(), Encryption::tls(wish()), Replication::No).await;
    }
    ask(&server.route(), Encryption::Plaintext, Replication::No).await;
    open(&server.route(), Encryption::Plaintext).await.unwrap().close().await;
    // Every backend has ended by now: each close waited for the server's own.
    assert_eq!(server.log(), before);
}

#[tokio::test]
async fn tls_is_not_asked_for_on_a_unix_socket() {
    let server = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])));
    let error = open(&server.socket_route(), Encryption::tls(unverified())).await.unwrap_err();
    assert!(matches!(error.problem, OpenProblem::TlsOnSocket));
    let channel = open(&server.socket_route(), Encryption::Plaintext).await.unwrap();
    let path = server.socket_dir().join(format!(".s.PGSQL.{}", server.port));
    assert_eq!(channel.peer().to_string(), path.display().to_string());
    channel.close().await;
}

#[tokio::test]
async fn hostaddr_decides_where_and_host_decides_who() {
    let ours = authority("CA");
    let server = Server::start(&Setup::tls(good_leaf(&ours, &["db.example.org"])));
    let route = Route { hostaddr: "127.0.0.1".parse().ok(), host: "db.example.org".into(), ..server.route() };
    let wish = TlsWish::new(Check::ChainAndName(roots(&ours.certificate_pem())), "db.example.org");
    let channel = open(&route, Encryption::tls(wish)).await.unwrap();
    assert!(channel.tls().unwrap().name_verified);
    assert_eq!(channel.peer().to_string(), format!("127.0.0.1:{}", server.port));
    let who = StartupParameters::new(ROLE, "postgres");
    assert!(matches!(channel.ask(&who).await, Ok(FirstAnswer::Asked(_))));
}
