//! The sslmode table as people and programs read it.

use std::fmt::Write as _;

use pgseal_conf::conninfo::Secrets;
use pgseal_pki::Certificate;
use pgseal_wire::{
    Attempt, AttemptOutcome, AttemptStep, AuthenticationRequest, LoginError, Peer, RequireAuth, SslMode,
};
use serde::Serialize;

use crate::modes::advice::advice;
use crate::modes::against::{Heard, Psql};
use crate::modes::certificate::{Judged, names_of};
use crate::modes::onlookers::{Can, Manners, Sees, attacker, listener};
use crate::modes::survey::{Ended, Login, RootKind, Row, Survey};
use crate::report::certificate::instant;
use crate::report::escape::for_terminal;
use crate::report::json::SCHEMA_VERSION;
use crate::report::screen::{Mark, Screen};
use crate::target::{Client, Given};

/// Everything that is shown.
pub(super) struct Table<'a> {
    pub(super) client: &'a Client,
    pub(super) survey: &'a Survey,
    pub(super) judged: Option<&'a Judged>,
    pub(super) psql: Option<&'a Psql>,
    /// One a row, where psql was asked.
    pub(super) heard: &'a [Heard],
}

impl Table<'_> {
    fn onlookers(&self, row: &Row) -> ((Sees, String), (Can, String)) {
        let anything = RequireAuth::default();
        let require_auth = row.options.as_ref().map_or(&anything, |options| &options.require_auth);
        let manners = Manners {
            channel_binding: self
                .client
                .asked
                .get("channel_binding")
                .and_then(|word| word.parse().ok())
                .unwrap_or_default(),
            require_auth,
            plaintext_accepted: self.survey.lets_plaintext_in(),
        };
        (listener(row), attacker(row, &manners))
    }

    /// Host and port, or the socket; all of them.
    fn place(&self) -> String {
        self.client.routes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The JSON of `pgseal modes` (docs/schema/modes.json).
#[derive(Debug, Serialize)]
pub(super) struct TableRow<'a> {
    schema_version: u32,
    /// The connection string of TARGET with all that was read beside it, without secrets.
    target: String,
    username: &'a str,
    dbname: &'a str,
    libpq: u8,
    tls: Option<TlsRow>,
    certificate: Option<CertificateRow>,
    login: LoginRow<'a>,
    rows: Vec<ModeRow<'a>>,
    against: Option<AgainstRow<'a>>,
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TlsRow {
    version: String,
    suite: String,
    client_certificate_requested: bool,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    subject: String,
    issuer: String,
    version: u8,
    names: Vec<String>,
    key: String,
    not_after: String,
    expired: bool,
    self_signed: bool,
    sha256: String,
    /// libpq's words where the name does not fit.
    libpq_name: Option<String>,
    /// Why clients built on rustls cannot connect at all.
    rustls: Option<String>,
    /// Why clients that look at no common name refuse it.
    san_only: Option<String>,
    /// Why SCRAM cannot be bound to it.
    channel_binding: Option<String>,
}

#[derive(Debug, Serialize)]
struct LoginRow<'a> {
    tried: bool,
    succeeded: Option<bool>,
    method: Option<&'a str>,
    said: &'a str,
}

#[derive(Debug, Serialize)]
struct ModeRow<'a> {
    sslmode: &'static str,
    root: &'static str,
    root_file: Option<&'a str>,
    /// The mode and the roots of TARGET itself.
    own: bool,
    encrypted: Option<bool>,
    chain_verified: Option<bool>,
    name_verified: Option<bool>,
    outcome: &'static str,
    refused_at: Option<&'static str>,
    libpq: Option<String>,
    attempts: Vec<AttemptRow>,
    eavesdropper: OnlookerRow,
    attacker: OnlookerRow,
    psql: Option<PsqlRow<'a>>,
}

#[derive(Debug, Serialize)]
struct AttemptRow {
    address: Option<String>,
    asked_for_tls: bool,
    tls: Option<String>,
    outcome: &'static str,
    failed_at: Option<&'static str>,
    said: String,
}

#[derive(Debug, Serialize)]
struct OnlookerRow {
    verdict: &'static str,
    why: String,
}

#[derive(Debug, Serialize)]
struct PsqlRow<'a> {
    same: Option<bool>,
    said: &'a str,
}

#[derive(Debug, Serialize)]
struct AgainstRow<'a> {
    path: String,
    release: &'a str,
    differences: usize,
}

pub(super) fn row_of<'a>(table: &Table<'a>) -> TableRow<'a> {
    let (client, survey) = (table.client, table.survey);
    let mut told = client.asked.clone();
    for name in ["user", "dbname", "service"] {
        told.remove(name);
    }
    TableRow {
        schema_version: SCHEMA_VERSION,
        target: told.to_conninfo(Secrets::Omitted).to_string(),
        username: &client.username,
        dbname: &client.dbname,
        libpq: client.libpq.major(),
        tls: survey.tls.as_ref().map(|facts| TlsRow {
            version: facts.version.to_string(),
            suite: facts.suite.to_string(),
            client_certificate_requested: facts.client_certificate_requested,
        }),
        certificate: survey
            .chain
            .first()
            .zip(table.judged)
            .map(|(leaf, judged)| certificate_row(leaf, judged)),
        login: login_row(&survey.login),
        rows: survey
            .rows
            .iter()
            .enumerate()
            .map(|(nth, row)| mode_row(table, row, table.heard.get(nth)))
            .collect(),
        against: table.psql.map(|psql| AgainstRow {
            path: psql.path.display().to_string(),
            release: &psql.release,
            differences: table.heard.iter().filter(|heard| heard.same == Some(false)).count(),
        }),
        advice: advice(survey, table.judged),
    }
}

fn certificate_row(leaf: &Certificate, judged: &Judged) -> CertificateRow {
    let addresses = leaf.ip_addresses().into_iter().map(|ip| ip.to_string());
    CertificateRow {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        version: leaf.version(),
        names: leaf.dns_names().into_iter().chain(addresses).collect(),
        key: leaf.public_key().kind().to_string(),
        not_after: instant(leaf.not_after()),
        expired: judged.expired,
        self_signed: leaf.self_signed(),
        sha256: leaf.fingerprint().to_string(),
        libpq_name: judged.libpq_name.clone(),
        rustls: judged.rustls_never.clone(),
        san_only: judged.san_only.clone(),
        channel_binding: judged.unbindable.clone(),
    }
}

fn login_row(login: &Login) -> LoginRow<'_> {
    match login {
        Login::NotTried(why) => LoginRow { tried: false, succeeded: None, method: None, said: why },
        Login::In { session, method } => {
            LoginRow { tried: true, succeeded: Some(true), method: Some(method), said: session }
        }
        Login::Refused(why) => LoginRow { tried: true, succeeded: Some(false), method: None, said: why },
    }
}

fn mode_row<'a>(table: &Table<'a>, row: &'a Row, heard: Option<&'a Heard>) -> ModeRow<'a> {
    let ((sees, seen_why), (can, can_why)) = table.onlookers(row);
    ModeRow {
        sslmode: row.mode.as_str(),
        root: row.root.as_str(),
        root_file: row.root_file.as_deref(),
        own: row.own,
        encrypted: row.encrypted(),
        chain_verified: row.chain_verified(),
        name_verified: row.name_verified(),
        outcome: outcome_word(row.ended),
        refused_at: match &row.refused_parameters {
            Some(_) => Some("parameters"),
            None => row.refused_at().map(step_word),
        },
        libpq: row.libpq_text(),
        attempts: row.attempts.iter().map(attempt_row).collect(),
        eavesdropper: OnlookerRow { verdict: sees.as_str(), why: seen_why },
        attacker: OnlookerRow { verdict: can.as_str(), why: can_why },
        psql: heard.map(|heard| PsqlRow { same: heard.same, said: &heard.said }),
    }
}

fn attempt_row(attempt: &Attempt) -> AttemptRow {
    AttemptRow {
        address: attempt.peer.as_ref().map(|peer| match peer {
            Peer::Tcp(address) => address.to_string(),
            Peer::Unix(path) => path.display().to_string(),
        }),
        asked_for_tls: attempt.asked_for_tls,
        tls: attempt.tls.as_ref().map(|facts| format!("{} {}", facts.version, facts.suite)),
        outcome: match &attempt.outcome {
            AttemptOutcome::LoggedIn(_) | AttemptOutcome::Asked(AuthenticationRequest::Ok) => "let-in",
            AttemptOutcome::Asked(_) => "asked-for-authentication",
            _ => "failed",
        },
        failed_at: attempt.failed_at().map(step_word),
        said: attempt.came_to(),
    }
}

const fn outcome_word(ended: Ended) -> &'static str {
    match ended {
        Ended::Tls => "tls",
        Ended::Plaintext => "plaintext",
        Ended::Refused => "refused",
        Ended::Untold => "untold",
    }
}

const fn step_word(step: AttemptStep) -> &'static str {
    match step {
        AttemptStep::Dial => "dial",
        AttemptStep::SslRequest => "ssl-request",
        AttemptStep::Roots => "roots",
        AttemptStep::ClientCertificate => "client-certificate",
        AttemptStep::Handshake => "handshake",
        AttemptStep::Chain => "chain",
        AttemptStep::Name => "name",
        AttemptStep::Startup => "startup",
        AttemptStep::Login => "login",
        AttemptStep::TargetSession => "target-session",
    }
}

pub(super) fn human(table: &Table<'_>, screen: Screen) -> String {
    let survey = table.survey;
    let mut text = String::new();
    let mut put = |line: &str| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    let dot = screen.dot();
    let client = table.client;
    put(&for_terminal(&format!(
        "{}{dot}user {}, database {}{dot}as {} does",
        table.place(),
        client.username,
        client.dbname,
        client.libpq
    )));
    for line in served(table, screen) {
        put(&format!("  {line}"));
    }
    put("");
    for line in outcomes(table, screen) {
        put(&line);
    }
    put("");
    for line in others(table, screen) {
        put(&line);
    }
    put("");
    put("How");
    for line in stories(survey, screen) {
        put(&line);
    }
    if let Some(psql) = table.psql {
        put("");
        for line in differences(table, psql, screen) {
            put(&line);
        }
    }
    put("");
    put("Advice");
    for sentence in advice(survey, table.judged) {
        put(&format!("  {}", screen.spelled(&for_terminal(&sentence))));
    }
    text
}

/// The handshake, the certificate, the login.
fn served(table: &Table<'_>, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    let line = |mark: Mark, title: &str, said: &str| {
        format!("{} {title:<12} {}", screen.mark(mark), screen.spelled(&for_terminal(said)))
    };
    if let Some(facts) = &table.survey.tls {
        lines.push(line(Mark::Holds, "TLS", &format!("{} {}", facts.version, facts.suite)));
    } else {
        lines.push(line(Mark::HoldsNot, "TLS", "none is offered"));
    }
    if let (Some(leaf), Some(judged)) = (table.survey.chain.first(), table.judged) {
        let names = names_of(leaf);
        let names = if names.is_empty() { "no subject alternative names".to_owned() } else { names };
        let kind = if leaf.self_signed() { "self-signed" } else { "signed" };
        let said = format!(
            "{}, X.509 v{}, {kind}, {names}, until {}",
            leaf.subject(),
            leaf.version(),
            instant(leaf.not_after())
        );
        let objections: Vec<&String> =
            [&judged.libpq_name, &judged.rustls_never, &judged.san_only, &judged.unbindable]
                .into_iter()
                .flatten()
                .collect();
        let bad = judged.expired || judged.libpq_name.is_some() || judged.rustls_never.is_some();
        let mark = match (bad, objections.is_empty()) {
            (true, _) => Mark::HoldsNot,
            (false, false) => Mark::Mind,
            (false, true) => Mark::Holds,
        };
        lines.push(line(mark, "certificate", &said));
        lines.extend(objections.into_iter().map(|why| line(Mark::Mind, "", why)));
    }
    lines.push(match &table.survey.login {
        Login::NotTried(why) => line(Mark::CannotTell, "login", why),
        Login::In { session, method } => line(Mark::Holds, "login", &format!("{method}, {session}")),
        Login::Refused(why) => line(Mark::HoldsNot, "login", why),
    });
    lines
}

const MODE: usize = 11;
const CELL: usize = 27;

/// Modes down, roots across.
fn outcomes(table: &Table<'_>, screen: Screen) -> Vec<String> {
    let survey = table.survey;
    let kinds: Vec<RootKind> = [RootKind::None, RootKind::Given, RootKind::Wrong, RootKind::System]
        .into_iter()
        .filter(|kind| survey.row(SslMode::Disable, *kind).is_some())
        .collect();
    let mut lines = Vec::new();
    let mut head = format!("  {:<MODE$}", "sslmode");
    for kind in &kinds {
        let _ = write!(head, "  {}", padded(&root_title(table.client, *kind), CELL, screen));
    }
    lines.push(head);
    for mode in SslMode::ALL {
        let mut line = format!("  {:<MODE$}", mode.as_str());
        for kind in &kinds {
            let cell = survey.row(mode, *kind).map(|row| cell(row, screen)).unwrap_or_default();
            let _ = write!(line, "  {}", padded(&cell, CELL, screen));
        }
        lines.push(line);
    }
    if let Some(row) = survey.rows.iter().find(|row| row.own) {
        lines.push(format!(
            "  TARGET as it stands: sslmode={}, {}: {}",
            row.mode,
            root_title(table.client, row.root),
            cell(row, screen)
        ));
    }
    lines
}

fn root_title(client: &Client, kind: RootKind) -> String {
    match (kind, &client.given) {
        (RootKind::None, _) => "no root file".to_owned(),
        (RootKind::Given, Given::File(file)) => {
            let name = std::path::Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
            for_terminal(&format!("root = {}", name.unwrap_or_else(|| file.clone())))
        }
        (RootKind::Given, _) => "root = its own CA".to_owned(),
        (RootKind::Wrong, _) => "root = another CA".to_owned(),
        (RootKind::System, _) => "sslrootcert=system".to_owned(),
    }
}

fn cell(row: &Row, screen: Screen) -> String {
    if row.refused_parameters.is_some() {
        return "libpq forbids it".to_owned();
    }
    match row.ended {
        Ended::Tls => match (row.chain_verified(), row.name_verified()) {
            (_, Some(true)) => "TLS, chain and name".to_owned(),
            (Some(true), _) => "TLS, chain".to_owned(),
            _ => "TLS, unverified".to_owned(),
        },
        Ended::Plaintext if row.attempts.last().is_some_and(Attempt::spoke_plaintext) => {
            format!("{} PLAINTEXT", screen.mark(Mark::HoldsNot))
        }
        Ended::Plaintext => "Unix socket, no TLS".to_owned(),
        Ended::Untold => format!("{} not told", screen.mark(Mark::CannotTell)),
        Ended::Refused => format!("refused: {}", refusal(row)),
    }
}

fn refusal(row: &Row) -> String {
    let sqlstate = row.attempts.last().and_then(|attempt| match &attempt.outcome {
        AttemptOutcome::NotLetIn(LoginError::Refused { error, .. }) => {
            error.sqlstate.map(|code| code.to_string())
        }
        _ => None,
    });
    match (row.refused_at(), sqlstate) {
        (_, Some(code)) => code,
        (Some(AttemptStep::Dial), _) => "unreachable".to_owned(),
        (Some(AttemptStep::SslRequest), _) => "no TLS".to_owned(),
        (Some(AttemptStep::Roots), _) => "no root file".to_owned(),
        (Some(AttemptStep::ClientCertificate), _) => "own certificate".to_owned(),
        (Some(AttemptStep::Handshake), _) => "handshake".to_owned(),
        (Some(AttemptStep::Chain), _) => "chain".to_owned(),
        (Some(AttemptStep::Name), _) => "name".to_owned(),
        (Some(AttemptStep::TargetSession), _) => "target_session_attrs".to_owned(),
        _ => "login".to_owned(),
    }
}

/// The two columns, for a client without roots and for one with those of TARGET.
fn others(table: &Table<'_>, screen: Screen) -> Vec<String> {
    const WIDE: usize = 46;
    let mut lines = vec![format!(
        "  {:<MODE$}  {:<18}  {:<WIDE$}  {}",
        "sslmode", "roots", "who listens", "who is in the middle"
    )];
    let best = if table.survey.row(SslMode::Disable, RootKind::Given).is_some() {
        RootKind::Given
    } else {
        RootKind::System
    };
    for kind in [RootKind::None, best] {
        for mode in SslMode::ALL {
            let Some(row) = table.survey.row(mode, kind).filter(|row| row.refused_parameters.is_none())
            else {
                continue;
            };
            let ((sees, seen), (can, done)) = table.onlookers(row);
            let sees_mark = match sees {
                Sees::Nothing => Mark::Holds,
                Sees::Names => Mark::Mind,
                Sees::Everything => Mark::HoldsNot,
            };
            let can_mark = match can {
                Can::Nothing | Can::NothingAtLogin => Mark::Holds,
                Can::PoseWithCertificateOfSameAuthority => Mark::Mind,
                Can::Relay => Mark::HoldsNot,
            };
            lines.push(format!(
                "  {:<MODE$}  {:<18}  {} {:<width$}  {} {}",
                mode.as_str(),
                cut(&root_title(table.client, kind), 18, screen),
                screen.mark(sees_mark),
                cut(&seen, WIDE - 2, screen),
                screen.mark(can_mark),
                done,
                width = WIDE - 2,
            ));
        }
    }
    lines
}

/// Every way that was not a straight one, once.
fn stories(survey: &Survey, screen: Screen) -> Vec<String> {
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for row in survey.rows.iter().filter(|row| row.refused_parameters.is_none()) {
        let story = row.story();
        let who = format!("{} ({})", row.mode, row.root.as_str());
        match told.iter_mut().find(|(known, _)| *known == story) {
            Some((_, rows)) => rows.push(who),
            None => told.push((story, vec![who])),
        }
    }
    told.into_iter()
        .map(|(story, rows)| {
            format!("  {}\n      {}", rows.join(", "), screen.spelled(&for_terminal(&story)))
        })
        .collect()
}

fn differences(table: &Table<'_>, psql: &Psql, screen: Screen) -> Vec<String> {
    let rows = table.survey.rows.iter().zip(table.heard);
    let differing: Vec<(&Row, &Heard)> = rows.filter(|(_, heard)| heard.same == Some(false)).collect();
    let compared = table.heard.iter().filter(|heard| heard.same.is_some()).count();
    let mark = if differing.is_empty() { Mark::Holds } else { Mark::HoldsNot };
    let same = compared - differing.len();
    let said = for_terminal(&format!("{}: the same in {same} of {compared} rows", psql.release));
    let mut lines = vec![format!("{} {said}", screen.mark(mark))];
    for (row, heard) in differing {
        let ours = row.libpq_text().unwrap_or_else(|| row.story());
        lines.push(format!("  {} ({})", row.mode, row.root.as_str()));
        lines.push(format!("      psql  {}", screen.spelled(&for_terminal(&heard.said))));
        lines.push(format!("      here  {}", screen.spelled(&for_terminal(&ours))));
    }
    lines
}

/// Cut or filled to so many columns; colours take none.
fn padded(text: &str, width: usize, screen: Screen) -> String {
    let cut = cut(text, width, screen);
    let filling = width.saturating_sub(columns(&cut));
    format!("{cut}{:filling$}", "")
}

fn columns(text: &str) -> usize {
    let mut coloured = false;
    let mut count = 0;
    for c in text.chars() {
        match (coloured, c) {
            (false, '\u{1b}') => coloured = true,
            (true, 'm') => coloured = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

fn cut(text: &str, width: usize, screen: Screen) -> String {
    if columns(text) <= width || text.contains('\u{1b}') {
        return text.to_owned();
    }
    let ellipsis = screen.ellipsis();
    let kept: String = text.chars().take(width.saturating_sub(ellipsis.chars().count())).collect();
    format!("{kept}{ellipsis}")
}
