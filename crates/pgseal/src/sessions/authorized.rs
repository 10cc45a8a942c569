//! What the log says of a connection: where it came from, and what it was let in as. Pure.
//!
//! The line `connection authorized` carries no SQLSTATE of its own and is written in the server's language
//! (postinit.c, `PerformAuthentication`): its words are data. An application chooses its own name, and may choose
//! one that reads like the words behind it; pg_stat_ssl is what such a line is to be held against.

use std::sync::OnceLock;

use super::client::How;

/// A line a language; what each column is stands there.
const WORDS: &str = include_str!("words.tsv");

/// The words before each value, of one language.
struct Words {
    user: &'static str,
    replication: &'static str,
    database: &'static str,
    application: &'static str,
    version: &'static str,
    suite: &'static str,
    bits: &'static str,
    gss: &'static str,
    gss_encrypted: &'static str,
    host: &'static str,
    port: &'static str,
}

/// A connection that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorized {
    pub(super) user: String,
    /// None for physical replication.
    pub(super) database: Option<String>,
    pub(super) application: String,
    pub(super) how: How,
}

fn languages() -> &'static [Words] {
    static ALL: OnceLock<Vec<Words>> = OnceLock::new();
    ALL.get_or_init(|| WORDS.lines().filter(|line| !line.starts_with('#')).filter_map(words).collect())
}

fn words(line: &'static str) -> Option<Words> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [_, user, replication, database, application, version, suite, bits, gss, gss_encrypted, host, port] =
        columns.as_slice()
    else {
        return None;
    };
    Some(Words {
        user,
        replication,
        database,
        application,
        version,
        suite,
        bits,
        gss,
        gss_encrypted,
        host,
        port,
    })
}

/// What a message says of a connection that was let in, in whatever language.
pub(super) fn authorized(message: &str) -> Option<Authorized> {
    languages().iter().find_map(|words| words.authorized(message))
}

/// The host of a message that says that a connection came; `[local]` for a socket.
pub(super) fn received(message: &str) -> Option<&str> {
    languages().iter().find_map(|words| {
        let rest = after(message, words.host)?;
        Some(rest.rsplit_once(words.port).map_or(rest, |(host, _)| host).trim_end())
    })
}

impl Words {
    fn authorized(&self, message: &str) -> Option<Authorized> {
        // The shorter words may be the end of the longer ones.
        let (rest, replication) = match after(message, self.replication) {
            Some(rest) => (rest, true),
            None => (after(message, self.user)?, false),
        };
        let (rest, how) = self.how(rest);
        let (rest, application) = rest.split_once(self.application).unwrap_or((rest, ""));
        let (user, database) = match rest.split_once(self.database) {
            Some((user, database)) => (user, Some(database)),
            None if replication => (rest, None),
            None => return None,
        };
        let text = |part: &str| part.trim_end().to_owned();
        Some(Authorized {
            user: text(user),
            database: database.map(text),
            application: text(application),
            how,
        })
    }

    /// What stands at the end, of TLS or of GSS, and what stands before it.
    fn how<'m>(&self, rest: &'m str) -> (&'m str, How) {
        let (rest, gss) = match rest.rsplit_once(self.gss) {
            Some((before, said)) => (before, said.split_once(self.gss_encrypted).map(|(_, said)| said)),
            None => (rest, None),
        };
        if let Some((before, said)) = rest.rsplit_once(self.version)
            && let Some((version, said)) = said.split_once(self.suite)
            && let Some((suite, _)) = said.split_once(self.bits)
        {
            return (before, How::Tls { version: version.to_owned(), suite: suite.to_owned() });
        }
        // `authenticated` without `encrypted` is Kerberos over an open line: "no", in the server's language. The
        // principal follows a comma; English says yes and no.
        let encrypted = gss.is_some_and(|said| !NO.iter().any(|no| said.starts_with(no)));
        (rest, if encrypted { How::Gss } else { How::Plaintext })
    }
}

/// `no` in the languages of [`WORDS`], as elog has it in these messages.
const NO: [&str; 11] = ["no", "nein", "non", "いいえ", "არა", "아니오", "아니요", "нет", "nej", "ні", "否"];

fn after<'m>(message: &'m str, words: &str) -> Option<&'m str> {
    message.find(words).and_then(|at| message.get(at + words.len()..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(version: &str, suite: &str) -> How {
        How::Tls { version: version.to_owned(), suite: suite.to_owned() }
    }

    #[test]
    fn every_language_has_all_its_words() {
        assert_eq!(languages().len(), WORDS.lines().filter(|line| !line.starts_with('#')).count());
        assert!(languages().len() > 10);
    }

    #[test]
    fn a_connection_is_read_from_its_line() {
        let said = "LOG:  connection authorized: user=app database=shop application_name=psql SSL enabled \
                    (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)";
        let read = authorized(said).unwrap();
        assert_eq!((read.user.as_str(), read.database.as_deref()), ("app", Some("shop")));
        assert_eq!((read.application.as_str(), read.how), ("psql", tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")));
    }

    #[test]
    fn versions_12_and_13_say_compression_as_well() {
        let said = "connection authorized: user=app database=shop SSL enabled (protocol=TLSv1.2, \
                    cipher=ECDHE-RSA-AES256-GCM-SHA384, bits=256, compression=off)";
        assert_eq!(authorized(said).unwrap().how, tls("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"));
    }

    #[test]
    fn other_languages_say_the_same() {
        for said in [
            "Verbindung autorisiert: Benutzer=app Datenbank=shop application_name=psql SSL an \
             (Protokoll=TLSv1.3, Verschlüsselungsmethode=TLS_AES_256_GCM_SHA384, Bits=256)",
            "connexion autorisée : utilisateur=app base de données shop application_name=psql SSL activé \
             (protocole : TLSv1.3, chiffrement : TLS_AES_256_GCM_SHA384, bits : 256)",
            "接続の認証完了: ユーザー=app データベース=shop application_name=psql SSL有効\
             (プロトコル=TLSv1.3、暗号化方式=TLS_AES_256_GCM_SHA384、ビット長=256)",
            "anslutning auktoriserad: användare=appdatabas=shop applikationsnamn=psqlSSL påslagen \
             (protokoll=TLSv1.3, krypto=TLS_AES_256_GCM_SHA384, bitar=256)",
        ] {
            let read = authorized(said).unwrap();
            let expected = Authorized {
                user: "app".to_owned(),
                database: Some("shop".to_owned()),
                application: "psql".to_owned(),
                how: tls("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
            };
            assert_eq!(read, expected, "{said}");
        }
    }

    #[test]
    fn replication_has_no_database_and_plaintext_says_nothing() {
        let read =
            authorized("replication connection authorized: user=rep application_name=walreceiver").unwrap();
        assert_eq!((read.database, read.how), (None, How::Plaintext));
    }

    #[test]
    fn kerberos_without_encryption_is_plaintext() {
        let said = |encrypted: &str| {
            format!(
                "connection authorized: user=u database=d GSS (authenticated=yes, encrypted={encrypted}, principal=u@R)"
            )
        };
        assert_eq!(authorized(&said("yes")).unwrap().how, How::Gss);
        assert_eq!(authorized(&said("no")).unwrap().how, How::Plaintext);
    }

    #[test]
    fn a_connection_comes_from_somewhere() {
        assert_eq!(received("connection received: host=10.0.0.31 port=40404"), Some("10.0.0.31"));
        assert_eq!(received("connection received: host=[local]"), Some("[local]"));
        assert_eq!(received("接続を受け付けました: ホスト=::1 ポート番号=5"), Some("::1"));
        assert_eq!(received("checkpoint starting: time"), None);
    }

    #[test]
    fn what_is_no_such_line_says_nothing() {
        for said in
            ["connection authenticated: identity=\"app\" method=scram-sha-256", "", "user=app database=d"]
        {
            assert_eq!(authorized(said), None, "{said}");
        }
    }
}
