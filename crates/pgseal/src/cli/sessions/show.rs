//! How sessions read: for people grouped, for programs each.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::escape::for_terminal;
use crate::report::screen::{Mark, Screen};
use crate::sessions::Seen;
use crate::sessions::client::{Client, How};

/// The JSON of `pgseal sessions` (docs/schema/sessions.json).
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    pub(super) schema_version: u32,
    pub(super) target: &'a str,
    plaintext: usize,
    tls: usize,
    gss: usize,
    local: usize,
    hidden: usize,
    sessions: &'a [Seen],
}

impl<'a> Row<'a> {
    pub(super) fn of(schema_version: u32, target: &'a str, sessions: &'a [Seen]) -> Self {
        let count = |is: fn(&Seen) -> bool| sessions.iter().filter(|seen| is(seen)).count();
        Self {
            schema_version,
            target,
            plaintext: count(Seen::is_plaintext),
            tls: count(|seen| seen.tls.is_some()),
            gss: count(|seen| seen.gss),
            local: count(|seen| seen.how() == How::Local),
            hidden: count(|seen| seen.hidden),
            sessions,
        }
    }

    /// One line that sums it up.
    pub(super) fn total(&self) -> String {
        let hidden =
            if self.hidden == 0 { String::new() } else { format!(", {} not to be seen", self.hidden) };
        format!(
            "{}  {} session{}: {} plaintext, {} TLS, {} GSSAPI, {} local{hidden}",
            for_terminal(self.target),
            self.sessions.len(),
            if self.sessions.len() == 1 { "" } else { "s" },
            self.plaintext,
            self.tls,
            self.gss,
            self.local
        )
    }
}

/// For people: the sum, a line a client, plaintext first.
pub(super) fn human(row: &Row<'_>, screen: Screen) -> String {
    let mut lines = vec![row.total()];
    let mut clients: BTreeMap<(Client, &str, Option<&str>), Vec<&Seen>> = BTreeMap::new();
    for seen in row.sessions {
        let certificate = seen.tls.as_ref().and_then(|tls| tls.client_certificate.as_deref());
        clients.entry((Client::of(seen), &seen.backend_type, certificate)).or_default().push(seen);
    }
    for ((client, _, certificate), group) in &clients {
        lines.push(line(client, *certificate, group, screen));
    }
    if row.hidden > 0 {
        lines.push(format!(
            "  {} sessions are not for this role to see: a superuser, or a member of pg_monitor, sees them",
            row.hidden
        ));
    }
    lines.join("\n")
}

fn line(client: &Client, certificate: Option<&str>, group: &[&Seen], screen: Screen) -> String {
    let mark = mark(&client.how);
    let Some(oldest) = group.iter().min_by(|a, b| a.since.cmp(&b.since)) else { return String::new() };
    let times = if group.len() == 1 { String::new() } else { format!("{} sessions, ", group.len()) };
    let of = match oldest.tls.as_ref().filter(|_| certificate.is_some()) {
        Some(_) => format!(", certificate {}", certificate.unwrap_or_default()),
        None => String::new(),
    };
    let principal = oldest.principal.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    let own = if group.iter().any(|seen| seen.own) { ", this very look" } else { "" };
    let kind = kind(client, oldest);
    let text = format!(
        "{}{kind} ({times}since {}, {}){of}{principal}{own}",
        client.words(),
        oldest.since,
        age(oldest.age)
    );
    screen.line(mark, &for_terminal(&client.how.words()), &for_terminal(&text))
}

pub(super) const fn mark(how: &How) -> Mark {
    match how {
        How::Plaintext => Mark::HoldsNot,
        How::Unknown => Mark::CannotTell,
        How::Tls { .. } | How::Gss | How::Local => Mark::Holds,
    }
}

/// What is more than an application: a standby, or a pooler that speaks for others.
fn kind(client: &Client, seen: &Seen) -> &'static str {
    const POOLERS: [&str; 5] = ["pgbouncer", "pgcat", "odyssey", "pgpool", "Supavisor"];
    if seen.backend_type == "walsender" {
        return ", replication";
    }
    let is_pooler =
        POOLERS.iter().any(|name| client.application.to_lowercase().starts_with(&name.to_lowercase()));
    if is_pooler { ", a pooler: what its own clients do is not to be seen here" } else { "" }
}

/// In the two largest units.
fn age(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds.max(0)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_what_people_count_in() {
        for (seconds, text) in
            [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (3700, "1 h 1 min"), (200_000, "2 d 7 h")]
        {
            assert_eq!(age(seconds), text);
        }
    }
}
