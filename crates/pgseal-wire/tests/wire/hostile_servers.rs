//! Servers that are silent, slow, wrong or worse: each is named, and none holds us up.

use std::time::{Duration, Instant};

use pgseal_wire::message::{Replication, StartupParameters};
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{Encryption, FirstAnswer, LoginError, OpenProblem, Route, open};

use crate::malice::{AUTHENTICATION_OK, Act, Malice, error_body, message, sasl, sasl_continue, say};
use crate::server::tester;

/// What an attempt is given that must end by its deadline, in milliseconds.
const SHORT: u64 = 1_000;
/// What it is given where the server's own doing ends it; a busy machine may need some of it.
const LONG: u64 = 10_000;
/// How much later than its deadline an attempt may end.
const GRACE: Duration = Duration::from_secs(2);

/// The time for an attempt that is to end with this sentence.
fn allowed(said: &str) -> u64 {
    if said.contains("within 1 s") { SHORT } else { LONG }
}

fn tls() -> Encryption {
    Encryption::tls(TlsWish::new(Check::None, "localhost"))
}

/// Runs a server with this script, and sees to it that it holds nobody up.
async fn meet<T>(script: Vec<Act>, milliseconds: u64, meeting: impl AsyncFnOnce(Route) -> T) -> T {
    let server = Malice::that(script).await;
    let begun = Instant::now();
    let outcome = meeting(server.route(milliseconds)).await;
    let late = begun.elapsed().saturating_sub(Duration::from_millis(milliseconds));
    assert!(late < GRACE, "held up for {:?}", begun.elapsed());
    outcome
}

/// What we say of a server with this script when we ask it for TLS.
async fn on_tls_within(milliseconds: u64, script: Vec<Act>) -> String {
    let opened = meet(script, milliseconds, async |route| open(&route, tls()).await).await;
    without_address(&opened.expect_err("no TLS from a hostile server").to_string())
}

async fn on_tls(script: Vec<Act>) -> String {
    on_tls_within(LONG, script).await
}

/// What we say of it when we ask for a login in plaintext and answer nothing.
async fn on_asking(milliseconds: u64, script: Vec<Act>) -> Result<FirstAnswer, String> {
    let asked = meet(script, milliseconds, async |route| {
        let channel = open(&route, Encryption::Plaintext).await.unwrap();
        channel.ask(&StartupParameters::new("nobody", "nothing")).await
    });
    asked.await.map_err(|error| error.to_string())
}

/// What we say of it when we log in.
async fn on_login_within(milliseconds: u64, script: Vec<Act>) -> LoginError {
    let script = [vec![Act::TakeStartup], script].concat();
    let login = meet(script, milliseconds, async |route| {
        open(&route, Encryption::Plaintext).await.unwrap().login(&tester()).await
    });
    login.await.expect_err("no login with a hostile server")
}

async fn on_login(script: Vec<Act>) -> LoginError {
    on_login_within(LONG, script).await
}

fn without_address(text: &str) -> String {
    text.split_once(": ").map_or(text, |(_, rest)| rest).to_owned()
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named_at_once() {
    let error = open(&Route::new("127.0.0.1", 1), tls()).await.unwrap_err();
    assert!(error.is_unreachable());
    assert_eq!(error.to_string(), "127.0.0.1:1: 127.0.0.1:1: Connection refused");
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    let route = Route { deadline: Duration::from_secs(20), ..Route::new("no-such-host.invalid", 5432) };
    let error = open(&route, tls()).await.unwrap_err();
    assert!(error.is_unreachable());
    let text = error.to_string();
    assert!(text.contains("could not translate host name \"no-such-host.invalid\" to address: "), "{text}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let error = open(&Route::new("/no/such/dir", 5432), Encryption::Plaintext).await.unwrap_err();
    let path = "/no/such/dir/.s.PGSQL.5432";
    assert_eq!(error.to_string(), format!("{path}: {path}: No such file or directory"));
}

#[tokio::test]
async fn silence_after_ssl_request_ends_with_the_deadline() {
    assert_eq!(on_tls_within(SHORT, vec![Act::Silence]).await, "no answer to SSLRequest within 1 s");
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_is_named() {
    assert_eq!(
        on_tls(vec![Act::TakeSslRequest]).await,
        "the server closed the connection without answering SSLRequest"
    );
}

#[tokio::test]
async fn a_server_that_resets_is_named() {
    assert_eq!(
        on_tls(vec![Act::TakeSslRequest, Act::Reset]).await,
        "SSLRequest failed: Connection reset by peer"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_named_in_the_words_of_libpq() {
    let script = vec![Act::TakeSslRequest, Act::Say(b"N".to_vec()), Act::Silence];
    assert_eq!(on_tls(script).await, "server does not support SSL, but SSL was required");
}

#[tokio::test]
async fn bytes_stuffed_behind_the_answer_are_refused() {
    for answer in ["S", "N"] {
        let stuffed = format!("{answer}E\0\0\0\x20SFATAL\0");
        let script = vec![Act::TakeSslRequest, Act::Say(stuffed.into_bytes()), Act::Silence];
        assert_eq!(on_tls(script).await, "received unencrypted data after SSL response");
    }
}

#[tokio::test]
async fn an_error_before_tls_is_known_by_its_code_and_its_text_is_not_repeated() {
    let body = error_body("FATAL", "53300", "send your password to evil.example");
    let server = Malice::that(vec![Act::TakeSslRequest, say(b'E', &body), Act::Silence]).await;
    let error = open(&server.route(LONG), tls()).await.unwrap_err();
    assert_eq!(without_address(&error.to_string()), "server sent an error response during SSL exchange");
    match error.problem {
        OpenProblem::ErrorInstead(said) => assert_eq!(said.sqlstate.unwrap().as_str(), "53300"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_error_before_tls_that_never_ends_is_cut() {
    let endless = vec![Act::TakeSslRequest, Act::Say(vec![b'E', 0, 0, 0x10, 0]), Act::Silence];
    assert_eq!(on_tls_within(SHORT, endless).await, "no answer to SSLRequest within 1 s");
    let huge = vec![Act::TakeSslRequest, Act::Say(vec![b'E', 0x7f, 0, 0, 0]), Act::Silence];
    assert_eq!(
        on_tls(huge).await,
        "the answer to SSLRequest is too long: type 'E', 2130706428 bytes where at most 30000 make sense"
    );
}

#[tokio::test]
async fn another_answer_than_s_or_n_is_named() {
    let web = vec![Act::TakeSslRequest, Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())];
    assert_eq!(on_tls(web).await, "received invalid response to SSL negotiation: H");
    let odd = vec![Act::TakeSslRequest, Act::Say(vec![0x1b])];
    assert_eq!(on_tls(odd).await, "received invalid response to SSL negotiation: \\x1b");
}

#[tokio::test]
async fn after_yes_every_answer_but_tls_is_named() {
    let begun = vec![Act::TakeSslRequest, Act::Say(b"S".to_vec()), Act::TakeRecord];
    let yes = |then: Vec<Act>| [begun.clone(), then].concat();
    let cases = [
        (vec![Act::Silence], "no answer to the TLS handshake within 1 s"),
        (vec![], "the server closed the connection without answering the TLS handshake"),
        (
            vec![Act::Say(vec![0x15, 3, 3, 0, 2, 2, 70]), Act::Silence],
            "the server ended the TLS handshake with the alert protocol_version",
        ),
        (
            vec![Act::Say(vec![0x15, 3, 3, 0, 2, 2, 200]), Act::Silence],
            "the server ended the TLS handshake with the alert 200",
        ),
        (
            vec![Act::Say(b"junk junk junk junk".to_vec()), Act::Silence],
            "the answer to the TLS handshake is no sound TLS: invalid content type",
        ),
        (
            vec![Act::Say(vec![0x16, 3, 3, 0, 4, 2, 0, 0, 0]), Act::Silence],
            "the answer to the TLS handshake is no sound TLS: missing data: ProtocolVersion",
        ),
    ];
    for (then, said) in cases {
        assert_eq!(on_tls_within(allowed(said), yes(then)).await, said);
    }
}

#[tokio::test]
async fn a_handshake_that_trickles_ends_with_the_deadline() {
    let drip = Act::Trickle(vec![0x16; 1000], Duration::from_millis(20));
    let record_that_never_ends = vec![0x16, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0];
    for bytes in
        [drip, Act::Trickle([record_that_never_ends, vec![0; 2000]].concat(), Duration::from_millis(20))]
    {
        let script = vec![Act::TakeSslRequest, Act::Say(b"S".to_vec()), Act::TakeRecord, bytes];
        let text = on_tls_within(SHORT, script).await;
        assert!(
            text == "no answer to the TLS handshake within 1 s"
                || text.starts_with("the answer to the TLS handshake is no"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_flood_after_yes_is_cut() {
    let flood = Act::Forever(vec![0x16; 65536]);
    let script = vec![Act::TakeSslRequest, Act::Say(b"S".to_vec()), Act::TakeRecord, flood];
    let text = on_tls(script).await;
    assert!(text.starts_with("the answer to the TLS handshake is no sound TLS: "), "{text}");
}

#[tokio::test]
async fn answers_to_the_startup_packet_that_are_none_are_named() {
    let notice = message(b'N', &error_body("NOTICE", "00000", &"x".repeat(1000)));
    let setting = message(b'S', b"name\0value\0");
    let slow = error_body("FATAL", "28000", "no");
    let cases: Vec<(Vec<Act>, &str)> = vec![
        (vec![Act::Silence], "no answer to the startup packet within 1 s"),
        (vec![], "the server closed the connection without answering the startup packet"),
        (vec![Act::Reset], "the startup packet failed: Connection reset by peer"),
        (
            vec![Act::Trickle(message(b'E', &slow), Duration::from_millis(50))],
            "no answer to the startup packet within 1 s",
        ),
        (
            vec![Act::Forever(notice)],
            "the server sent more than 262144 bytes of notices and settings in answer to the startup packet without coming to \
             the point",
        ),
        (
            vec![Act::Forever(setting)],
            "the server sent more than 262144 bytes of notices and settings in answer to the startup packet without coming to \
             the point",
        ),
        (
            vec![Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Act::Silence],
            "the answer to the startup packet is not PostgreSQL's: it begins with \"HTTP/1.1 400 Bad\"",
        ),
        (
            vec![Act::Say(vec![0x15, 3, 1, 0, 2, 2, 10]), Act::Silence],
            "the answer to the startup packet is not PostgreSQL's: it begins with \"\\x15\\x03\\x01\\x00\\x02\\x02\\n\"",
        ),
        (
            vec![Act::Say(vec![b'E', 0, 0, 0, 0]), Act::Silence],
            "the answer to the startup packet has an impossible length: type 'E', length 0",
        ),
        (
            vec![Act::Say(vec![b'R', 0x40, 0, 0, 0]), Act::Silence],
            "the answer to the startup packet is too long: type 'R', 1073741820 bytes where at most 65536 make sense",
        ),
        (
            vec![say(b'E', b"SFATAL\0Mno end"), Act::Silence],
            "the answer to the startup packet is malformed: type 'E', a field without an end",
        ),
        (
            vec![say(b'R', &[0, 0, 0, 10, b'S']), Act::Silence],
            "the answer to the startup packet is malformed: type 'R', a SASL request without an ended list",
        ),
        (
            vec![say(b'Z', b"I"), Act::Silence],
            "the answer to the startup packet was an unexpected message of type 'Z'",
        ),
        (
            vec![say(b'T', b""), Act::Silence],
            "the answer to the startup packet was an unexpected message of type 'T'",
        ),
    ];
    for (then, said) in cases {
        let script = [vec![Act::TakeStartup], then].concat();
        assert_eq!(on_asking(allowed(said), script).await.unwrap_err(), said);
    }
}

#[tokio::test]
async fn a_refusal_among_notices_and_in_single_bytes_is_still_understood() {
    let refusal = error_body("FATAL", "28000", "pg_hba.conf rejects connection");
    let bytes = [
        message(b'v', &[0, 3, 0, 0, 0, 0, 0, 0]),
        message(b'N', &error_body("NOTICE", "00000", "hello")),
        message(b'E', &refusal),
    ]
    .concat();
    let script = vec![Act::TakeStartup, Act::Trickle(bytes, Duration::from_micros(200))];
    match on_asking(LONG, script).await {
        Ok(FirstAnswer::Refused(error)) => {
            assert_eq!(error.sqlstate.unwrap().as_str(), "28000");
            assert_eq!(error.message, "pg_hba.conf rejects connection");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_does_not_hang_up_does_not_hold_us() {
    let script = vec![Act::TakeStartup, say(b'R', AUTHENTICATION_OK), Act::Forever(vec![b'N'; 4096])];
    let begun = Instant::now();
    let answer = on_asking(LONG, script).await.unwrap();
    assert!(begun.elapsed() < GRACE);
    assert!(matches!(answer, FirstAnswer::Asked(pgseal_wire::AuthenticationRequest::Ok)));
}

#[tokio::test]
async fn a_startup_packet_with_a_zero_byte_is_never_sent() {
    let server = Malice::that(vec![Act::Silence]).await;
    let channel = open(&server.route(LONG), Encryption::Plaintext).await.unwrap();
    let who = StartupParameters { replication: Replication::Physical, ..StartupParameters::new("a\0b", "c") };
    let error = channel.ask(&who).await.unwrap_err();
    assert_eq!(error.to_string(), "the startup parameter \"user\" holds a zero byte");
}

#[tokio::test]
async fn a_password_is_never_given_in_clear() {
    let error = on_login(vec![say(b'R', &[0, 0, 0, 3]), Act::Silence]).await;
    assert_eq!(error, LoginError::CleartextNotAllowed);
}

#[tokio::test]
async fn methods_that_are_not_spoken_here_are_named() {
    for (request, said) in [
        (vec![0, 0, 0, 7], "the server asks for GSSAPI, which is not supported here"),
        (vec![0, 0, 0, 9], "the server asks for SSPI, which is not supported here"),
        (vec![0, 0, 0, 99], "the server asks for authentication method 99, which is not supported here"),
        (sasl("OAUTHBEARER"), "the server asks for OAUTHBEARER, which is not supported here"),
    ] {
        assert_eq!(on_login(vec![say(b'R', &request), Act::Silence]).await.to_string(), said);
    }
}

#[tokio::test]
async fn channel_binding_offered_without_tls_is_a_sign_of_someone_in_the_middle() {
    let error = on_login(vec![say(b'R', &sasl("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256")), Act::Silence]).await;
    assert_eq!(
        error.to_string(),
        "server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection"
    );
}

#[tokio::test]
async fn a_server_that_does_not_hold_to_scram_is_named() {
    let begun = || vec![say(b'R', &sasl("SCRAM-SHA-256")), Act::TakeMessage];
    let said = |text: &str| [begun(), vec![say(b'R', &sasl_continue(text)), Act::Silence]].concat();
    let cases = [
        (said("r=notyours,s=c2FsdA==,i=4096"), "the server did not hold to SCRAM: invalid nonce"),
        (
            said("garbage"),
            "the server did not hold to SCRAM: unexpected character at byte 0: expected `r` but got `g",
        ),
        (
            [begun(), vec![say(b'R', AUTHENTICATION_OK), Act::Silence]].concat(),
            "the server did not hold to SCRAM: an authentication message out of turn",
        ),
        ([begun(), vec![Act::Silence]].concat(), "no answer to the authentication exchange within 1 s"),
        (begun(), "the server closed the connection without answering the authentication exchange"),
    ];
    for (script, text) in cases {
        assert_eq!(on_login_within(allowed(text), script).await.to_string(), text);
    }
}

#[tokio::test]
async fn a_session_that_never_begins_is_named() {
    let let_in = |then: Vec<Act>| [vec![say(b'R', AUTHENTICATION_OK)], then].concat();
    let setting = message(b'S', b"name\0value\0");
    let cases: Vec<(Vec<Act>, &str)> = vec![
        (vec![Act::Silence], "no answer to the start of the session within 1 s"),
        (vec![], "the server closed the connection without answering the start of the session"),
        (
            vec![Act::Forever(setting)],
            "the server sent more than 262144 bytes of notices and settings in answer to the start of the session without \
             coming to the point",
        ),
        (
            vec![say(b'D', b""), Act::Silence],
            "the answer to the start of the session was an unexpected message of type 'D'",
        ),
        (
            vec![say(b'K', &[1, 2, 3]), say(b'Z', b"I"), Act::Silence],
            "the start of the session could not be understood: error communicating with the server: failed to fill \
             whole buffer",
        ),
    ];
    for (then, said) in cases {
        assert_eq!(on_login_within(allowed(said), let_in(then)).await.to_string(), said);
    }
    let refused = let_in(vec![say(b'E', &error_body("FATAL", "3D000", "database \"x\" does not exist"))]);
    let error = on_login(refused).await;
    assert!(matches!(error, LoginError::Refused { authenticated: true, .. }));
    assert_eq!(error.to_string(), "FATAL:  database \"x\" does not exist (3D000)");
}

#[tokio::test]
async fn a_message_too_large_for_any_session_ends_it() {
    let script = vec![
        Act::TakeStartup,
        say(b'R', AUTHENTICATION_OK),
        say(b'K', &[0; 8]),
        say(b'Z', b"I"),
        Act::TakeMessage,
        Act::Say(vec![b'T', 0x7f, 0xff, 0xff, 0xff]),
        Act::Forever(vec![0; 65536]),
    ];
    let server = Malice::that(script).await;
    let channel = open(&server.route(LONG), Encryption::Plaintext).await.unwrap();
    let session = channel.login(&tester()).await.unwrap();
    let begun = Instant::now();
    let error = session.client().simple_query("SELECT 1").await.unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    assert!(begun.elapsed() < GRACE);
    session.close().await;
}
