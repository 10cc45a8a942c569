//! What `pgseal rotate` shows: which certificate followed which, how soon, who noticed, the next command.

use std::time::Duration;

use pgseal_pki::{Certificate, Fingerprint};
use serde::Serialize;
use time::OffsetDateTime;

use crate::failure::Result;
use crate::journal::Origin;
use crate::report::certificate::instant;
use crate::report::escape::{for_terminal, lines_for_terminal};
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::proof::{self, ClaimRow, LeftOutRow};
use crate::report::screen::{Mark, Screen};
use crate::rotate::drill::Drilled;
use crate::rotate::run::{Done, State};
use crate::secure::plan::Plan;
use crate::verify::claim::{ClaimName, Proof};

/// The JSON of `pgseal rotate` (docs/schema/rotate.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    pg_version: &'a str,
    /// `planned`, `as-wished` or `rotated`.
    state: &'static str,
    /// Why nothing was to be done.
    reason: Option<&'a str>,
    origin: OriginRow,
    change: Option<&'a str>,
    recovered: Option<&'a str>,
    before: Option<CertificateRow>,
    after: Option<CertificateRow>,
    /// Whether the end of the certificate is that of its CA.
    cut_short: bool,
    /// The file of the CA's own new certificate, where that was renewed.
    renewed_ca: Option<String>,
    files: Vec<FileRow<'a>>,
    wire: Option<WireRow>,
    compromised: bool,
    /// What is to be minded beside the certificate.
    minds: &'a [String],
    proved: bool,
    claims: Vec<ClaimRow<'a>>,
    left_out: Vec<LeftOutRow<'a>>,
}

#[derive(Debug, Serialize)]
struct OriginRow {
    /// `authority`, `files` or `command`.
    kind: &'static str,
    paths: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    sha256: String,
    serial: String,
    issuer: String,
    not_before: String,
    not_after: String,
}

#[derive(Debug, Serialize)]
struct FileRow<'a> {
    path: String,
    /// Octal, as chmod has it.
    mode: String,
    new: bool,
    diff: &'a str,
}

/// What new connections were shown meanwhile.
#[derive(Debug, Serialize)]
struct WireRow {
    tried: u32,
    failed: u32,
    /// From the last rename, once it is on disk, to the first handshake with the new certificate.
    seen_after_ms: Option<u64>,
}

pub(super) fn json_text(done: &Done) -> Result<String> {
    let empty = Proof::default();
    let proof = done.proof.as_ref().unwrap_or(&empty);
    json::text(&Row {
        schema_version: SCHEMA_VERSION,
        target: &done.word,
        pg_version: &done.facts.version_text,
        state: match done.state {
            State::Planned => "planned",
            State::AsWished(_) => "as-wished",
            State::Rotated => "rotated",
        },
        reason: if let State::AsWished(why) = &done.state { Some(why) } else { None },
        origin: origin_row(&done.origin),
        change: done.change.as_deref(),
        recovered: done.recovered.as_deref(),
        before: done.before.as_ref().map(certificate_row),
        after: done.plan.as_ref().map(|plan| certificate_row(&plan.leaf)),
        cut_short: done.cut_short.is_some(),
        renewed_ca: done.renewed.as_ref().map(|path| path.display().to_string()),
        files: done.plan.iter().flat_map(file_rows).collect(),
        wire: done.watched.as_ref().map(|watched| WireRow {
            tried: watched.tried,
            failed: watched.failed,
            seen_after_ms: watched.after.map(milliseconds),
        }),
        compromised: done.compromised,
        minds: &done.minds,
        proved: done.proved,
        claims: proof::claim_rows(proof),
        left_out: proof::left_out_rows(proof),
    })
}

/// The JSON of `pgseal rotate --drill` (docs/schema/rotate-drill.json).
#[derive(Debug, Serialize)]
struct DrillRow<'a> {
    schema_version: u32,
    target: &'a str,
    pg_version: &'a str,
    settings: Vec<SettingRow<'a>>,
    left_out: &'a [String],
    rotation: &'a serde_json::Value,
}

#[derive(Debug, Serialize)]
struct SettingRow<'a> {
    name: &'a str,
    value: &'a str,
}

pub(super) fn drill_json(drilled: &Drilled) -> Result<String> {
    json::text(&DrillRow {
        schema_version: SCHEMA_VERSION,
        target: &drilled.word,
        pg_version: &drilled.version,
        settings: drilled.settings.iter().map(|(name, value)| SettingRow { name, value }).collect(),
        left_out: &drilled.left_out,
        rotation: &drilled.rotation,
    })
}

pub(super) fn drill_text(drilled: &Drilled, screen: Screen) -> String {
    let names: Vec<&str> = drilled.settings.iter().map(|(name, _)| name.as_str()).collect();
    let with = if names.is_empty() { "PostgreSQL's own TLS settings".to_owned() } else { names.join(", ") };
    let soon = drilled.rotation.pointer("/wire/seen_after_ms").and_then(serde_json::Value::as_u64);
    let soon = soon.map_or_else(String::new, |ms| format!(", on the wire after {ms} ms"));
    let mut lines = vec![
        for_terminal(&drilled.word),
        screen.line(
            Mark::Holds,
            "rehearsed",
            &for_terminal(&format!("on a temporary server, PostgreSQL {}, with {with}", drilled.version)),
        ),
        screen.line(Mark::Holds, "rotated and proved", &format!("a throw-away certificate{soon}")),
    ];
    if !drilled.left_out.is_empty() {
        lines.push(screen.line(Mark::Mind, "not rehearsed", &drilled.left_out.join(", ")));
    }
    lines.push(screen.line(Mark::Holds, "removed", "nothing of the real server was touched"));
    lines.join("\n")
}

fn origin_row(origin: &Origin) -> OriginRow {
    let (kind, paths) = match origin {
        Origin::Authority { folder } => ("authority", vec![folder]),
        Origin::Files { certificate, key } => ("files", vec![certificate, key]),
        Origin::Command { program, .. } => ("command", vec![program]),
    };
    OriginRow { kind, paths: paths.into_iter().map(|path| path.display().to_string()).collect() }
}

fn certificate_row(certificate: &Certificate) -> CertificateRow {
    CertificateRow {
        sha256: certificate.fingerprint().to_string(),
        serial: certificate.serial_hex(),
        issuer: certificate.issuer().to_string(),
        not_before: instant(certificate.not_before()),
        not_after: instant(certificate.not_after()),
    }
}

fn file_rows(plan: &Plan) -> impl Iterator<Item = FileRow<'_>> {
    plan.writes().map(|write| FileRow {
        path: write.path.display().to_string(),
        mode: format!("{:04o}", write.mode),
        new: write.before.is_none(),
        diff: &write.diff,
    })
}

pub(super) fn human(done: &Done, screen: Screen) -> String {
    let mut lines = Vec::new();
    if let Some(id) = &done.recovered {
        lines.push(screen.line(
            Mark::Mind,
            "taken back first",
            &format!("change {id}, which nobody had finished"),
        ));
    }
    match (&done.state, &done.plan) {
        (State::AsWished(why), _) => {
            lines.push(screen.line(Mark::Holds, "nothing to do", &for_terminal(why)));
            lines.extend(done.proof.as_ref().map(|proof| proof::human(proof, screen)));
        }
        (State::Planned, Some(plan)) => lines.extend(planned(done, plan, screen)),
        (_, Some(plan)) => lines.extend(rotated(done, plan, screen)),
        _ => {}
    }
    lines.extend(since_when(done, screen));
    lines.extend(done.minds.iter().map(|mind| screen.line(Mark::Mind, "mind", &for_terminal(mind))));
    if let Some(path) = &done.renewed {
        lines.push(screen.line(
            Mark::Mind,
            "the CA was renewed",
            &for_terminal(&format!("clients that verify need its new certificate: {}", path.display())),
        ));
    }
    if let Some(end) = done.cut_short {
        lines.push(screen.line(
            Mark::Mind,
            "ends with its CA",
            &format!("on {}: make a CA that lasts before then", end.date()),
        ));
    }
    if done.compromised {
        lines.extend(what_else(done));
    }
    lines.join("\n")
}

fn planned(done: &Done, plan: &Plan, screen: Screen) -> Vec<String> {
    let mut lines = vec![
        for_terminal(&format!(
            "{}  PostgreSQL {}, {}",
            done.word,
            done.facts.version_text,
            done.facts.main.named.display()
        )),
        String::new(),
        "Plan".to_owned(),
    ];
    for (number, step) in (1..).zip(plan.steps()) {
        lines.push(format!("  {number}  {:<12}  {}", step.name, for_terminal(&step.title)));
        lines.push(format!("     {}", step.effect));
        for write in &step.writes {
            let sign = if write.before.is_none() { '+' } else { '~' };
            let path = for_terminal(&write.path.display().to_string());
            lines.push(format!("     {sign} {path} ({:04o})", write.mode));
            let diff = lines_for_terminal(write.diff.trim_end_matches('\n'));
            lines
                .extend(diff.lines().filter(|_| !write.diff.is_empty()).map(|line| format!("       {line}")));
        }
    }
    if plan.new_issuer {
        lines.push(screen.line(
            Mark::Mind,
            "issuer changes",
            "clients that verify the present one cannot be seen from here",
        ));
    }
    lines
}

fn rotated(done: &Done, plan: &Plan, screen: Screen) -> Vec<String> {
    let after = done.watched.as_ref().and_then(|watched| watched.after);
    let soon =
        after.map_or_else(String::new, |after| format!(", on the wire after {} ms", milliseconds(after)));
    let before = done
        .before
        .as_ref()
        .map_or_else(|| "none".to_owned(), |certificate| brief(certificate.fingerprint(), screen));
    let title = screen.spelled(&format!(
        "{before} → {}, until {}{soon}",
        brief(plan.leaf.fingerprint(), screen),
        plan.leaf.not_after().date()
    ));
    let mut lines = vec![for_terminal(&done.word), screen.line(Mark::Holds, "certificate", &title)];
    if let Some(watched) = &done.watched {
        let mark = if watched.failed == 0 { Mark::Holds } else { Mark::Mind };
        let why = watched.failures.first().map_or_else(String::new, |why| format!(": {why}"));
        let said = format!("{} of {} failed meanwhile{why}", watched.failed, watched.tried);
        lines.push(screen.line(mark, "new connections", &for_terminal(&said)));
    }
    if let Some(proof) = &done.proof {
        lines.push(String::new());
        lines.push(proof::human_of(proof, screen, &|name| name == ClaimName::SessionsGoOn));
    }
    if let Some(change) = &done.change {
        let word = for_terminal(&done.word);
        let undo = if done.compromised {
            format!("change {change}; it cannot be undone, since the old key is gone")
        } else {
            format!("change {change}, undo: pgseal undo {word}")
        };
        lines.push(screen.line(Mark::Holds, "done", &undo));
    }
    lines
}

/// Rounded up: what takes no time at all takes a millisecond.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// As people compare them by eye.
fn brief(fingerprint: Fingerprint, screen: Screen) -> String {
    let text = fingerprint.to_string();
    format!(
        "{}{}{}",
        text.get(..5).unwrap_or_default(),
        screen.ellipsis(),
        text.get(90..).unwrap_or_default()
    )
}

/// What clients met until now, where the present certificate was over or not yet valid.
fn since_when(done: &Done, screen: Screen) -> Option<String> {
    let before = done.before.as_ref()?;
    let now = OffsetDateTime::now_utc();
    let what = if now > before.not_after() {
        format!("since {}", instant(before.not_after()))
    } else if now < before.not_before() {
        format!("it would have been valid from {} on", instant(before.not_before()))
    } else {
        return None;
    };
    let text = format!(
        "{what}: sslmode=verify-ca and verify-full failed with certificate verify failed; prefer with a root file went \
         on in plaintext, where that is let in; require without one noticed nothing"
    );
    Some(screen.line(Mark::Mind, "was not valid", &text))
}

/// A new certificate alone does not make a stolen key worthless.
fn what_else(done: &Done) -> Vec<String> {
    let mut lines =
        vec![String::new(), "The old key is in wrong hands. What else there is to do:".to_owned()];
    let serial = done.before.as_ref().map_or_else(|| "SERIAL".to_owned(), Certificate::serial_hex);
    match &done.origin {
        Origin::Authority { folder } => lines.push(format!(
            "  pgseal cert revoke --ca {} {serial}, and give clients the CRL (sslcrl): until then whoever has it can pass for this server until {}",
            folder.display(),
            done.before.as_ref().map_or_else(|| "its end".to_owned(), |old| old.not_after().date().to_string())
        )),
        Origin::Files { .. } | Origin::Command { .. } => lines.push(format!(
            "  have whoever issued it revoke serial {serial}: until then whoever has the key can pass for this server"
        )),
    }
    lines.push(
        "  sessions that were open before go on with the keys that they have; end them if that matters"
            .to_owned(),
    );
    lines.push("  look for the old key where it was copied: backups, images, other machines".to_owned());
    lines.iter().map(|line| for_terminal(line)).collect()
}
