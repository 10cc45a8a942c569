//! Every mode with every root, tried as libpq tries them. Nothing is answered to a request for a password, but for one
//! login at most, where chain and name have been verified.

use pgseal_pki::{AuthorityRequest, Certificate, CertificateAuthority, KeyType, Subject};
use pgseal_wire::{
    Attempt, AttemptOutcome, AttemptStep, Check, ClientCertificate, ConnectOptions, Credentials, Encryption,
    InvalidOptions, RootFile, Roots, SslMode, TlsFacts, TlsWish, open, reach,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::sql::{APPLICATION, rows_of};
use crate::target::{Client, Given};

/// Which roots a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootKind {
    /// No root file.
    None,
    /// The one that this TARGET's clients are given.
    Given,
    /// Another authority's, such as one of before the last change.
    Wrong,
    /// The system's store.
    System,
}

impl RootKind {
    /// The word in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Given => "given",
            Self::Wrong => "wrong",
            Self::System => "system",
        }
    }
}

/// What a mode came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Tls,
    Plaintext,
    Refused,
    /// libpq might get further: something is not done here.
    Untold,
}

/// One mode with one kind of roots.
pub(crate) struct Row {
    pub(crate) mode: SslMode,
    pub(crate) root: RootKind,
    /// What the roots are called; None where there are none.
    pub(crate) root_file: Option<String>,
    pub(crate) ended: Ended,
    /// `None` where libpq refuses the parameters and tries nothing.
    pub(crate) options: Option<ConnectOptions>,
    pub(crate) refused_parameters: Option<InvalidOptions>,
    pub(crate) attempts: Vec<Attempt>,
    /// Whether this is the mode and the roots of TARGET itself.
    pub(crate) own: bool,
}

impl Row {
    fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// True: encrypted; false: a connection without; None: no connection.
    pub(crate) fn encrypted(&self) -> Option<bool> {
        match self.ended {
            Ended::Tls => Some(true),
            Ended::Plaintext => Some(false),
            Ended::Refused | Ended::Untold => None,
        }
    }

    fn of_the_handshake(&self, look: impl Fn(&TlsFacts) -> bool) -> Option<bool> {
        self.encrypted()?;
        Some(self.last().and_then(|attempt| attempt.tls.as_deref()).is_some_and(look))
    }

    /// Whether a connection came to be whose chain leads to a root; None: no connection.
    pub(crate) fn chain_verified(&self) -> Option<bool> {
        self.of_the_handshake(TlsFacts::chain_verified)
    }

    /// The same of the name.
    pub(crate) fn name_verified(&self) -> Option<bool> {
        self.of_the_handshake(|facts| facts.name_verified)
    }

    /// Where it was refused; None where it was not, or before anything was tried.
    pub(crate) fn refused_at(&self) -> Option<AttemptStep> {
        self.last().and_then(Attempt::failed_at)
    }

    /// What psql would print after `psql: error: `; None where it connects.
    pub(crate) fn libpq_text(&self) -> Option<String> {
        if let Some(error) = &self.refused_parameters {
            return Some(error.to_string());
        }
        let texts: Vec<&str> =
            self.attempts.iter().filter_map(|attempt| attempt.libpq_text.as_deref()).collect();
        (self.ended == Ended::Refused).then(|| texts.join("\n"))
    }

    /// The whole way, in a line.
    pub(crate) fn story(&self) -> String {
        if let Some(error) = &self.refused_parameters {
            return format!("libpq refuses the parameters: {error}");
        }
        let mut story = String::new();
        let mut before: Option<&Attempt> = None;
        for attempt in &self.attempts {
            match before {
                None => story.push_str(&attempt.to_string()),
                Some(before) => {
                    story.push_str(match (before.asked_for_tls, attempt.asked_for_tls) {
                        (true, false) => " → again in plaintext → ",
                        (false, true) => " → again with TLS → ",
                        _ => " → the next address → ",
                    });
                    story.push_str(&attempt.came_to());
                }
            }
            before = Some(attempt);
        }
        story
    }
}

/// The one login, where chain and name were verified.
pub(crate) enum Login {
    /// No password was at hand, or nobody could be trusted with it: why.
    NotTried(String),
    /// The server let in; what `pg_stat_ssl` says of the session, and how the password was proved.
    In { session: String, method: String },
    /// It did not.
    Refused(String),
}

/// All that was seen.
pub(crate) struct Survey {
    pub(crate) rows: Vec<Row>,
    pub(crate) login: Login,
    /// The certificates that the server shows, the leaf first; empty where it shows none.
    pub(crate) chain: Vec<Certificate>,
    /// The handshake that was made to see them.
    pub(crate) tls: Option<TlsFacts>,
}

impl Survey {
    pub(crate) fn row(&self, mode: SslMode, root: RootKind) -> Option<&Row> {
        self.rows.iter().find(|row| row.mode == mode && row.root == root)
    }

    /// Whether a client without TLS is let in as far as a password, or further.
    pub(crate) fn lets_plaintext_in(&self) -> bool {
        self.rows.iter().any(|row| row.mode == SslMode::Disable && row.ended == Ended::Plaintext)
    }
}

/// Tries them all.
pub(crate) async fn survey(client: &Client) -> Result<Survey> {
    let mut rows: Vec<Row> = Vec::new();
    for (root, given) in roots_of(client)? {
        for mode in SslMode::ALL {
            let row = match known_already(&rows, mode, root) {
                Some(row) => row,
                None => row(client, mode, root, &given).await,
            };
            rows.push(row);
        }
    }
    reachable(&rows)?;
    let tls = shown(client, &rows).await;
    let chain = tls.as_ref().map(|facts| facts.chain.clone()).unwrap_or_default();
    let login = log_in(client, &rows).await;
    Ok(Survey { rows, login, chain, tls })
}

/// The four kinds; a wrong authority is made on the spot and known to nobody.
fn roots_of(client: &Client) -> Result<Vec<(RootKind, Given)>> {
    let mut roots = vec![(RootKind::None, Given::Nothing)];
    if let Given::File(_) | Given::Known(_) = client.given {
        roots.push((RootKind::Given, client.given.clone()));
    }
    roots.push((RootKind::Wrong, Given::Known(stranger()?)));
    roots.push((RootKind::System, Given::System));
    Ok(roots)
}

fn stranger() -> Result<Roots> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("could not make another authority: {error}"));
    let now = OffsetDateTime::now_utc();
    let authority = CertificateAuthority::create(&AuthorityRequest {
        subject: Subject::common_name("another authority").ok_or_else(|| failed(&"its name is none"))?,
        key_type: KeyType::EcdsaP256,
        not_before: now - Duration::hours(1),
        not_after: now + Duration::days(1),
        permitted: None,
    })
    .map_err(|error| failed(&error))?;
    Roots::from_certificates("another CA's certificate", vec![authority.certificate().clone()])
        .map_err(|error| failed(&error))
}

/// Without TLS no root is looked at, and the server need not be asked again.
fn known_already(rows: &[Row], mode: SslMode, root: RootKind) -> Option<Row> {
    let same = |row: &&Row| row.mode == SslMode::Disable && row.root == RootKind::None;
    let first = rows.iter().find(same).filter(|_| mode == SslMode::Disable && root != RootKind::System)?;
    Some(Row {
        mode,
        root,
        root_file: None,
        ended: first.ended,
        options: first.options.clone(),
        refused_parameters: first.refused_parameters.clone(),
        attempts: first.attempts.clone(),
        own: false,
    })
}

async fn row(client: &Client, mode: SslMode, root: RootKind, given: &Given) -> Row {
    let own = client.mode() == Some(mode)
        && matches!(
            (root, &client.given),
            (RootKind::None, Given::Nothing)
                | (RootKind::System, Given::System)
                | (RootKind::Given, Given::File(_) | Given::Known(_))
        );
    let root_file = match given {
        Given::Nothing => None,
        Given::File(file) => Some(file.clone()),
        Given::System => Some("system".to_owned()),
        Given::Known(roots) => Some(roots.described_as().to_owned()),
    };
    let blank = |ended, attempts| Row {
        mode,
        root,
        root_file: root_file.clone(),
        ended,
        options: None,
        refused_parameters: None,
        attempts,
        own,
    };
    let (options, who) = match client.with(mode, given) {
        Ok(understood) => understood,
        Err(error) => return Row { refused_parameters: Some(error), ..blank(Ended::Refused, Vec::new()) },
    };
    let who = Credentials { application_name: Some(APPLICATION.to_owned()), password: None, ..who };
    let (ended, attempts) = match reach(&options, &who).await {
        Ok(reached) if reached.tls.is_some() => (Ended::Tls, reached.attempts),
        Ok(reached) => (Ended::Plaintext, reached.attempts),
        Err(error) => {
            let attempts = error.attempts().to_vec();
            let untold = attempts.iter().any(Attempt::is_untold);
            (if untold { Ended::Untold } else { Ended::Refused }, attempts)
        }
    };
    Row { options: Some(options), ..blank(ended, attempts) }
}

/// An error where no attempt of any mode came to a socket.
fn reachable(rows: &[Row]) -> Result<()> {
    let mut attempts = rows.iter().flat_map(|row| &row.attempts).peekable();
    let Some(first) = attempts.peek().map(|attempt| (*attempt).clone()) else { return Ok(()) };
    if attempts.any(|attempt| !matches!(attempt.outcome, AttemptOutcome::NoSocket(_))) {
        return Ok(());
    }
    Err(Failure::new(format!("could not reach the server: {}", first.came_to()))
        .hint("check that the server runs and that host and port are right"))
}

/// The certificate, whatever it is: from a row that came to a handshake, else by one of its own.
async fn shown(client: &Client, rows: &[Row]) -> Option<TlsFacts> {
    let seen = rows.iter().flat_map(|row| &row.attempts).find_map(|attempt| attempt.tls.as_deref());
    if let Some(facts) = seen {
        return Some(facts.clone());
    }
    let route = client.routes.iter().find(|route| route.socket_path().is_none())?;
    let wish = TlsWish::new(Check::None, route.host.clone());
    let channel = open(route, Encryption::tls(wish)).await.ok()?;
    let facts = channel.tls().cloned();
    channel.close().await;
    facts
}

/// One login with verify-full, at the address that was verified. The password is bound to TLS where the server offers
/// that, and is never given in clear.
async fn log_in(client: &Client, rows: &[Row]) -> Login {
    let not = |why: &str| Login::NotTried(why.to_owned());
    let Some(password) = &client.password else {
        return not("no password was given: everything is told as far as the server asks for one");
    };
    let verified =
        rows.iter().find(|row| row.mode == SslMode::VerifyFull && row.name_verified() == Some(true));
    let Some((options, last)) = verified.and_then(|row| Some((row.options.as_ref()?, row.last()?))) else {
        return not(
            "the server's certificate was verified fully with no root, and no password is sent to it",
        );
    };
    let RootFile::Loaded(roots) = &options.roots else { return not("there are no roots to verify with") };
    let verified = last.peer.as_ref();
    let Some(route) = verified.and_then(|peer| {
        let port = match peer {
            pgseal_wire::Peer::Tcp(address) => address.port(),
            pgseal_wire::Peer::Unix(_) => return None,
        };
        let route = options.routes.iter().find(|route| route.port == port)?;
        Some(route.pinned_to(peer))
    }) else {
        return not("the address that was verified is not known any more");
    };
    let mut wish = TlsWish::new(Check::ChainAndName(roots.clone()), route.host.clone());
    if let ClientCertificate::Ready(_) = options.client {
        wish.client = options.client.clone();
    }
    let channel = match open(&route, Encryption::tls_by(options.negotiation, wish)).await {
        Ok(channel) => channel,
        Err(error) => return Login::Refused(error.to_string()),
    };
    let who = Credentials {
        password: Some(Zeroizing::new(password.reveal().to_owned())),
        application_name: Some(APPLICATION.to_owned()),
        ..Credentials::new(client.username.clone(), client.dbname.clone())
    };
    match channel.login(&who).await {
        Err(error) => Login::Refused(error.to_string()),
        Ok(session) => {
            let method = session.method().to_string();
            let said = own_row(&session).await;
            session.close().await;
            Login::In { session: said, method }
        }
    }
}

async fn own_row(session: &pgseal_wire::Session) -> String {
    const OWN_ROW: &str = "SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let rows = match rows_of(session, OWN_ROW, &[]).await {
        Ok(rows) => rows,
        Err(why) => return format!("pg_stat_ssl could not be read: {why}"),
    };
    let Some(row) = rows.first() else { return "pg_stat_ssl has no row for our own session".to_owned() };
    let text = |at: usize| row.try_get::<_, Option<String>>(at).ok().flatten().unwrap_or_default();
    match row.try_get::<_, bool>(0) {
        Ok(true) => format!("pg_stat_ssl of our own session: {} {}", text(1), text(2)),
        Ok(false) => "pg_stat_ssl of our own session: ssl = f".to_owned(),
        Err(error) => format!("pg_stat_ssl could not be read: {error}"),
    }
}
