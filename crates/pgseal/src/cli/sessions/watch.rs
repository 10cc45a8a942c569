//! `pgseal sessions --watch`: again and again; in place on a terminal, changes as plain lines without one.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use super::eye::Eye;
use super::show::{Row, human, mark};
use super::write_now;
use crate::failure::Result;
use crate::report::escape::for_terminal;
use crate::report::json::SCHEMA_VERSION;
use crate::report::screen::Screen;
use crate::report::stderr::say;
use crate::sessions::Seen;
use crate::sessions::client::Client;

/// To the upper left corner.
const HOME: &str = "\u{1b}[H";
/// From here to the end of the line, and of the screen.
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_REST: &str = "\u{1b}[J";

/// Until it is interrupted. A server that is gone is waited for.
pub(super) async fn watch(eye: &mut Eye, target: &str, every: Duration) -> Result<()> {
    let screen = Screen::of_stdout();
    let in_place = std::io::stdout().is_terminal();
    let mut known = BTreeMap::new();
    let mut first = true;
    let mut gone = false;
    loop {
        match eye.look().await {
            Ok(seen) if in_place => {
                paint(&human(&Row::of(SCHEMA_VERSION, target, &seen), screen), first)?;
                gone = false;
            }
            Ok(seen) => {
                if std::mem::take(&mut gone) {
                    say("pgseal: connected again");
                }
                known = changes(&seen, &known, first, target, screen)?;
            }
            Err(failure) if first => return Err(failure),
            Err(failure) => {
                if !std::mem::replace(&mut gone, true) {
                    say(&format!(
                        "pgseal: {}; looking again every {} s",
                        failure.sentence(),
                        every.as_secs_f32()
                    ));
                }
            }
        }
        first = false;
        tokio::time::sleep(every).await;
    }
}

fn paint(text: &str, first: bool) -> Result<()> {
    let (_, rows) = size();
    let lines: Vec<&str> = text.lines().collect();
    let room = rows.saturating_sub(1).max(2);
    let mut painted = String::from(if first { "\u{1b}[2J" } else { "" });
    painted.push_str(HOME);
    let cut = lines.len() > room;
    for line in lines.iter().take(if cut { room - 1 } else { room }) {
        painted.push_str(line);
        painted.push_str(CLEAR_LINE);
        painted.push_str("\r\n");
    }
    if cut {
        painted.push_str(&format!("  and {} more{CLEAR_LINE}\r\n", lines.len() + 1 - room));
    }
    painted.push_str(CLEAR_REST);
    write_now(&painted)
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let found = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let usual = (80, 24);
    found.map_or(usual, |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Who came and who went since the last look, a line each.
fn changes(
    seen: &[Seen],
    known: &BTreeMap<(i32, String), Client>,
    first: bool,
    target: &str,
    screen: Screen,
) -> Result<BTreeMap<(i32, String), Client>> {
    let now: BTreeMap<_, _> = seen
        .iter()
        .filter(|seen| !seen.own)
        .map(|seen| ((seen.pid, seen.since.clone()), Client::of(seen)))
        .collect();
    let mut text = String::new();
    if first {
        text.push_str(&Row::of(SCHEMA_VERSION, target, seen).total());
        text.push('\n');
    }
    let mut say = |sign: char, client: &Client| {
        let line = screen.line(
            mark(&client.how),
            &for_terminal(&client.how.words()),
            &for_terminal(&client.words()),
        );
        text.push_str(&format!("{sign}{line}\n"));
    };
    known.iter().filter(|(key, _)| !now.contains_key(key)).for_each(|(_, client)| say('-', client));
    now.iter().filter(|(key, _)| !known.contains_key(key)).for_each(|(_, client)| say('+', client));
    write_now(&text)?;
    Ok(now)
}
