//! The sslmode table as people read it.

use std::fmt::Write as _;

use pgseal_wire::{Attempt, AttemptOutcome, AttemptStep, LoginError, RequireAuth, SslMode};

use crate::modes::advice::advice;
use crate::modes::against::{Heard, Psql};
use crate::modes::certificate::{Judged, names_of};
use crate::modes::onlookers::{Can, Manners, Sees, attacker, listener};
use crate::modes::survey::{Ended, Login, RootKind, Row, Survey};
use crate::report::certificate::instant;
use crate::report::escape::for_terminal;
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
    pub(super) fn onlookers(&self, row: &Row) -> ((Sees, String), (Can, String)) {
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
