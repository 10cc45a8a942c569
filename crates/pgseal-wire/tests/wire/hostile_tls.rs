//! Harm done by someone who does speak TLS.

use std::sync::Arc;
use std::time::Duration;

use pgseal_pki::KeyType;
use pgseal_wire::message::StartupParameters;
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{
    ChannelBinding, Credentials, Encryption, HandshakeFailure, OpenError, OpenProblem, Route, TlsVersion,
    open,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::certificates::{Identity, authority, good_leaf, leaf, roots};
use crate::malice::{Act, Malice, error_body, message};
use crate::server::{Server, Setup, tester};

/// Presents this chain with this key, whether they fit or not.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&str],
) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Presents(Arc::new(CertifiedKey::new(chain, key)))));
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn identity_config(identity: &Identity, alpn: &[&str]) -> Arc<ServerConfig> {
    config(certificates(&identity.chain), &identity.key, rustls::ALL_VERSIONS, alpn)
}

fn after_yes(config: &Arc<ServerConfig>, then: Vec<Act>) -> Vec<Act> {
    let begun = vec![Act::TakeSslRequest, Act::Say(b"S".to_vec()), Act::Tls(Arc::clone(config))];
    [begun, then].concat()
}

fn wish(check: Check) -> TlsWish {
    TlsWish::new(check, "localhost")
}

async fn refusal(script: Vec<Act>, encryption: Encryption) -> OpenError {
    let server = Malice::that(script).await;
    open(&server.route(10_000), encryption).await.expect_err("no connection")
}

fn failure(error: &OpenError) -> String {
    error.handshake().map_or_else(|| error.to_string(), ToString::to_string)
}

#[tokio::test]
async fn who_does_not_hold_the_key_of_the_certificate_is_found_out_without_any_roots() {
    let ours = authority("CA");
    for kind in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let shown = leaf(&ours, &["localhost"], kind, (-1, 10));
        let other = leaf(&ours, &["localhost"], kind, (-1, 10));
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = config(certificates(&shown.chain), &other.key, &[version], &[]);
            let error =
                refusal(after_yes(&config, vec![Act::Silence]), Encryption::tls(wish(Check::None))).await;
            assert_eq!(
                failure(&error),
                "the server could not prove that it holds the key of its certificate"
            );
            assert_eq!(error.presented().unwrap().chain[0].pem(), shown.chain);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_is_named_by_its_place() {
    let good = good_leaf(&authority("CA"), &["localhost"]);
    let leaf = certificates(&good.chain);
    let junk = CertificateDer::from(b"\x30\x03junk".to_vec());
    let as_leaf = config(vec![junk.clone()], &good.key, rustls::ALL_VERSIONS, &[]);
    let behind = config([leaf, vec![junk]].concat(), &good.key, rustls::ALL_VERSIONS, &[]);
    for (config, place) in [(as_leaf, 1), (behind, 2)] {
        let error = refusal(after_yes(&config, vec![Act::Silence]), Encryption::tls(wish(Check::None))).await;
        let text = failure(&error);
        let start = format!("the server's certificate number {place} cannot be read: ");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[tokio::test]
async fn a_chain_of_a_hundred_and_ten_is_refused_and_one_of_half_a_megabyte_too() {
    let ours = authority("CA");
    let good = good_leaf(&ours, &["localhost"]);
    let leaf = certificates(&good.chain);
    let many = config(vec![leaf[0].clone(); 110], &good.key, &[&rustls::version::TLS13], &[]);
    let error = refusal(after_yes(&many, vec![Act::Silence]), Encryption::tls(wish(Check::None))).await;
    assert_eq!(
        failure(&error),
        "the server's certificate number 101 cannot be read: more than 100 certificates"
    );
    let huge = CertificateDer::from(vec![0x30; 60_000]);
    let big = config([leaf, vec![huge; 10]].concat(), &good.key, &[&rustls::version::TLS13], &[]);
    let error = refusal(after_yes(&big, vec![Act::Silence]), Encryption::tls(wish(Check::None))).await;
    let text = failure(&error);
    assert!(text.starts_with("the answer to the TLS handshake is no sound TLS: "), "{text}");
}

#[tokio::test]
async fn direct_tls_needs_the_answer_of_alpn() {
    let good = good_leaf(&authority("CA"), &["localhost"]);
    let direct = || Encryption::direct_tls(wish(Check::None));
    let silent = vec![Act::Tls(identity_config(&good, &[])), Act::Silence];
    let error = refusal(silent, direct()).await;
    assert_eq!(
        failure(&error),
        "direct SSL connection was established without ALPN protocol negotiation extension"
    );
    let web = vec![Act::Tls(identity_config(&good, &["h2", "http/1.1"])), Act::Silence];
    let error = refusal(web, direct()).await;
    assert_eq!(failure(&error), "the server ended the TLS handshake with the alert no_application_protocol");

    let answering = Malice::that(vec![Act::Tls(identity_config(&good, &["postgresql"])), Act::Silence]).await;
    let channel = open(&answering.route(10_000), direct()).await.unwrap();
    assert_eq!(channel.tls().unwrap().alpn.as_deref(), Some("postgresql"));
    channel.close().await;
}

#[tokio::test]
async fn versions_that_never_meet_end_with_an_alert() {
    let good = good_leaf(&authority("CA"), &["localhost"]);
    let old = config(certificates(&good.chain), &good.key, &[&rustls::version::TLS12], &[]);
    let new_only = TlsWish { min: Some(TlsVersion::Tls1_3), ..wish(Check::None) };
    let error = refusal(after_yes(&old, vec![Act::Silence]), Encryption::tls(new_only)).await;
    assert_eq!(failure(&error), "the server ended the TLS handshake with the alert protocol_version");
}

#[tokio::test]
async fn silence_and_floods_inside_tls_are_cut_too() {
    let config = identity_config(&good_leaf(&authority("CA"), &["localhost"]), &[]);
    let notice = message(b'N', &error_body("NOTICE", "00000", &"x".repeat(1000)));
    let cases = [
        (vec![Act::Silence], "no answer to the startup packet within 1.5 s"),
        (vec![Act::TakeStartup], "the server closed the connection without answering the startup packet"),
        (
            vec![Act::TakeStartup, Act::Forever(notice)],
            "the server sent more than 262144 bytes of notices and settings in answer to the startup packet without \
             coming to the point",
        ),
    ];
    for (then, said) in cases {
        let server = Malice::that(after_yes(&config, then)).await;
        let time = if said.contains("within") { 1_500 } else { 10_000 };
        let channel = open(&server.route(time), Encryption::tls(wish(Check::None))).await.unwrap();
        let error = channel.ask(&StartupParameters::new("a", "b")).await.unwrap_err();
        assert_eq!(error.to_string(), said);
    }
}

/// Ends TLS with its own certificate and speaks TLS to the real server: the one in the middle.
async fn relay(to: Route, config: Arc<ServerConfig>) -> Route {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, config) = (to.clone(), Arc::clone(&config));
            tokio::spawn(async move {
                let mut request = [0; 8];
                tokio::io::AsyncReadExt::read_exact(&mut client, &mut request).await?;
                client.write_all(b"S").await?;
                let mut client = tokio_rustls::TlsAcceptor::from(config).accept(client).await?;
                let mut server = TcpStream::connect(("127.0.0.1", to.port)).await?;
                server.write_all(&request).await?;
                tokio::io::AsyncReadExt::read_exact(&mut server, &mut [0; 1]).await?;
                let mut server =
                    trusting_everything().connect("localhost".try_into().unwrap(), server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Route { deadline: Duration::from_secs(20), ..Route::new("localhost", port) }
}

fn trusting_everything() -> tokio_rustls::TlsConnector {
    #[derive(Debug)]
    struct Anyone;
    impl rustls::client::danger::ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &rustls::pki_types::ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn nobody_in_the_middle_can_pass_on_a_bound_login() {
    let real = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])));
    let middle = identity_config(&good_leaf(&authority("mallory"), &["localhost"]), &[]);
    let route = relay(real.route(), middle).await;
    let login = async |channel_binding| {
        let channel = open(&route, Encryption::tls(wish(Check::None))).await.unwrap();
        channel.login(&Credentials { channel_binding, ..tester() }).await
    };
    // Without binding the one in the middle reads everything: that is what require alone is worth.
    let session = login(ChannelBinding::Disable).await.unwrap();
    assert!(!session.channel_bound());
    for bound in [ChannelBinding::Prefer, ChannelBinding::Require] {
        let error = login(bound).await.unwrap_err();
        assert_eq!(error.to_string(), "FATAL:  SCRAM channel binding check failed (28000)");
    }
    // And verification sees through it before any login.
    let trusted = roots(&authority("CA").certificate_pem());
    let error = open(&route, Encryption::tls(wish(Check::Chain(trusted)))).await.unwrap_err();
    assert!(matches!(
        error.problem,
        OpenProblem::Handshake { failure, .. } if matches!(*failure, HandshakeFailure::Chain(_))
    ));
}
