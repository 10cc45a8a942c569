//! Somebody else answers in the server's place, and asks for the password in every way there is. Who cannot show a
//! certificate that verifies fully hears nothing of it, in TLS or in plaintext; and nobody ever hears it in clear.

use time::{Duration, OffsetDateTime};

use crate::harness::{
    Account, Forge, Forged, Impostor, Pgseal, Ran, Sandbox, Sealed, asks_cleartext, asks_md5, asks_scram,
    record,
};

/// Nothing that could turn up by chance.
const PASSWORD: &str = "zephyr-Quixotic-8841";

type Words = fn() -> Vec<u8>;
const QUESTIONS: [(&str, Words); 3] =
    [("in clear", asks_cleartext), ("as MD5", asks_md5), ("by SCRAM", asks_scram)];

/// `pgseal verify` of whoever listens there, with the password at hand.
fn verify(sandbox: &Sandbox, impostor: &Impostor, roots: &str) -> Ran {
    let ca = sandbox.file_of(&Account::current(), "roots.crt", 0o644, roots);
    let target = format!("postgresql://app@localhost:{}/shop?hostaddr=127.0.0.1", impostor.port());
    let ran = Pgseal::new(sandbox)
        .args(["verify", &target, "--format", "json", "--sslrootcert"])
        .arg(ca)
        .env("PGPASSWORD", PASSWORD)
        .run();
    ran.ended(1).never_mentions(PASSWORD)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_server_with_a_certificate_that_does_not_verify_hears_nothing() {
    let sandbox = Sandbox::new();
    let ours = Forge::new("ours");
    let now = OffsetDateTime::now_utc();
    let day = Duration::days(1);
    let wrong: [(&str, Forged); 5] = [
        ("another authority", Forge::new("theirs").leaf(&["localhost"])),
        ("an authority of the same name", Forge::new("ours").leaf(&["localhost"])),
        ("another name", ours.leaf(&["localhost.example.org"])),
        ("expired", ours.leaf_dated(&["localhost"], now - 2 * day, now - day)),
        ("not yet valid", ours.leaf_dated(&["localhost"], now + day, now + 2 * day)),
    ];
    for (certificate, forged) in &wrong {
        for (way, words) in QUESTIONS {
            let impostor = Impostor::saying(words(), forged);
            let ran = verify(&sandbox, &impostor, ours.certificate());
            let heard = impostor.heard();
            let talked = |tls| heard.iter().filter(move |one| one.tls == tls && !one.startup.is_empty());
            assert!(talked(true).count() > 0 && talked(false).count() > 1, "{certificate}: {heard:?}\n{ran}");
            for one in &heard {
                assert!(!one.was_answered(), "{certificate}, asked {way}: {one:?}\n{ran}");
            }
            record("a password is not sent to a server that does not verify", 1);
        }
    }
}

/// The same ears hear a login where the certificate does verify: they are not deaf. In clear it is given to nobody, and
/// over a connection without TLS nothing is.
#[test]
fn a_server_that_verifies_hears_a_login_and_never_the_password_itself() {
    let sandbox = Sandbox::new();
    let ours = Forge::new("ours");
    let leaf = ours.leaf(&["localhost"]);
    for (way, words) in QUESTIONS {
        let impostor = Impostor::saying(words(), &leaf);
        let ran = verify(&sandbox, &impostor, ours.certificate());
        let heard = impostor.heard();
        let answered: Vec<_> = heard.iter().filter(|one| one.was_answered()).collect();
        assert_eq!(!answered.is_empty(), way != "in clear", "asked {way}: {heard:?}\n{ran}");
        assert!(answered.iter().all(|one| one.tls), "asked {way}: {heard:?}");
        for one in &heard {
            assert!(!holds(&one.answer, PASSWORD) && !holds(&one.startup, PASSWORD), "asked {way}: {one:?}");
        }
        if way == "by SCRAM" {
            assert!(answered.iter().all(|one| holds(&one.answer, "SCRAM-SHA-256-PLUS")), "{answered:?}");
        }
    }
}

/// And the same of a folder's own server, by what PostgreSQL notes: from 14 on it logs who authenticated.
#[test]
fn a_folders_server_with_another_certificate_sees_no_login() {
    let server = Sealed::of(18);
    server.append_conf("log_connections = on");
    let forged = Forge::new("another").leaf(&["localhost", "127.0.0.1", "::1"]);
    std::fs::write(server.at("tls/server-with-key.pem"), forged.one_pem()).unwrap();
    server.reload();
    let before = server.log_text().len();
    server.verify().ended(1);
    let log = server.log_text().split_off(before);
    assert!(log.contains("connection received"), "{log}");
    assert!(!log.contains("connection authenticated"), "{log}");
    assert!(!log.contains("password authentication failed"), "{log}");

    // That those words come with a login here.
    std::fs::write(
        server.at("tls/server-with-key.pem"),
        Forge::of_folder(server.dir()).leaf(&["localhost"]).one_pem(),
    )
    .unwrap();
    server.reload();
    server.verify().ended(1);
    assert!(server.log_text().split_off(before).contains("connection authenticated"));
}
