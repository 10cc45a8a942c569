//! Carries questions to a server, and answers back. Knows sockets, time and patience; refuses to know what answers mean,
//! but for one: a server that is full is asked again later.

mod clear;
mod hello;
mod pace;
mod renegotiate;
mod secure;
mod single;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use self::pace::Pace;
pub use self::single::greet;
use super::knowledge::{Knowledge, Wish};
use super::learn::learn;
use super::plan::next_probes;
use super::probe::{Answer, Probe};
use crate::deadline::{Deadline, Step};
use crate::message::{Replication, StartupParameters};
use crate::route::dial_one;
use crate::socket::{Peer, Socket};
use crate::wire_error::{WireError, seconds};

/// Whom to scan, and in whose name.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// What is sent as SNI, unless it is an address.
    pub server_name: Option<String>,
    /// The role of the startup packets. Nothing is ever answered in its name.
    pub user: String,
    /// Their database.
    pub database: String,
}

/// How long, how wide, how fast.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one question.
    pub probe: Duration,
    /// For the whole server.
    pub whole: Duration,
    /// Sockets at once.
    pub connections: usize,
    /// Between the beginnings of two connections.
    pub delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe: Duration::from_secs(5),
            whole: Duration::from_secs(60),
            connections: 8,
            delay: Duration::ZERO,
        }
    }
}

/// Every question and answer of a scan, in the order in which the answers came.
#[derive(Debug, Clone, Default)]
pub struct Recording(Vec<(Probe, Answer)>);

impl Recording {
    /// What was asked and answered.
    pub fn conversation(&self) -> &[(Probe, Answer)] {
        &self.0
    }

    /// What follows from it, without any server.
    pub fn replay(&self, wish: Wish) -> Knowledge {
        let mut known = Knowledge::new(wish);
        for (probe, answer) in &self.0 {
            learn(&mut known, probe, answer.clone());
        }
        known
    }
}

/// Finds out what is wished. Never fails: what could not be told is part of what is known.
pub async fn scan(target: &Target, wish: Wish, limits: Limits) -> Knowledge {
    recorded(target, wish, limits, |_, _| {}).await
}

/// The same, with every question and answer on record.
pub async fn scan_recorded(target: &Target, wish: Wish, limits: Limits) -> (Knowledge, Recording) {
    let mut recording = Recording::default();
    let known = recorded(target, wish, limits, |probe, answer| {
        recording.0.push((probe.clone(), answer.clone()));
    })
    .await;
    (known, recording)
}

async fn recorded(
    target: &Target,
    wish: Wish,
    limits: Limits,
    mut record: impl FnMut(&Probe, &Answer),
) -> Knowledge {
    let talk = Arc::new(Talk::new(target.clone(), limits));
    let whole = Deadline::after(limits.whole);
    let mut pace = Pace::new(limits);
    let mut known = Knowledge::new(wish);
    let mut running: JoinSet<(Probe, Answer)> = JoinSet::new();
    let mut in_flight: Vec<Probe> = Vec::new();
    loop {
        let room = pace.width().saturating_sub(in_flight.len());
        let mut next = pace.again(room);
        let busy: Vec<Probe> = in_flight.iter().chain(&next).chain(pace.waiting()).cloned().collect();
        next.extend(next_probes(&known, &busy, room.saturating_sub(next.len())));
        for probe in next {
            let (talk, start) = (Arc::clone(&talk), pace.start());
            in_flight.push(probe.clone());
            running.spawn(async move {
                tokio::time::sleep_until(start).await;
                let answer = talk.ask(&probe).await;
                (probe, answer)
            });
        }
        let ended = match whole.wait(Step::Startup, running.join_next()).await {
            Ok(Some(Ok(ended))) => ended,
            // Nothing under way: all is known, or a full server is waited for.
            Ok(None) if pace.rest().await => continue,
            Ok(Some(Err(_)) | None) => break,
            Err(_) => {
                known.cut = Some(format!("the time for this server ({}) was over", seconds(&limits.whole)));
                break;
            }
        };
        let (probe, answer) = ended;
        if let Some(place) = in_flight.iter().position(|other| *other == probe) {
            in_flight.swap_remove(place);
        }
        if pace.is_full(&known, &probe, &answer) && whole.left() > limits.probe {
            known.connections += 1;
            known.waited += 1;
            pace.later(probe);
            continue;
        }
        if pace.is_late(&known, &answer) && whole.left() > limits.probe {
            known.connections += 1;
            pace.slower(probe);
            continue;
        }
        pace.answered();
        record(&probe, &answer);
        learn(&mut known, &probe, answer);
    }
    known
}

/// Everything that one conversation needs.
struct Talk {
    target: Target,
    limits: Limits,
    sessions: Arc<secure::Sessions>,
}

impl Talk {
    fn new(target: Target, limits: Limits) -> Self {
        Self { target, limits, sessions: Arc::default() }
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.limits.probe)
    }

    async fn dial(&self, deadline: Deadline) -> Result<Socket, Answer> {
        dial_one(&Peer::Tcp(self.target.address), deadline).await.map_err(|error| {
            let refused = matches!(&error, WireError::Io { kind, .. } if *kind == std::io::ErrorKind::ConnectionRefused);
            let text = match error {
                WireError::Io { text, .. } => text,
                other => other.to_string(),
            };
            Answer::NoSocket { text, refused }
        })
    }

    fn startup(&self, replication: bool) -> StartupParameters {
        let replication = if replication { Replication::Physical } else { Replication::No };
        StartupParameters {
            replication,
            ..StartupParameters::new(self.target.user.clone(), self.target.database.clone())
        }
    }

    async fn ask(&self, probe: &Probe) -> Answer {
        let deadline = self.deadline();
        let socket = match self.dial(deadline).await {
            Ok(socket) => socket,
            Err(answer) => return answer,
        };
        match probe {
            Probe::Hello { offer, .. } => {
                let random = secure::random();
                let bytes = offer.encode(self.target.server_name.as_deref(), true, &random);
                hello::ask(socket, &bytes, deadline).await
            }
            Probe::GssEnc => clear::gssenc(self, socket, deadline).await,
            Probe::Startup(startup) => clear::startup(self, socket, *startup, deadline).await,
            Probe::Login { replication } => secure::login(self, socket, *replication, deadline).await,
            Probe::Direct { alpn } => secure::direct(self, socket, *alpn, deadline).await,
            Probe::Stray => Answer::Stray(clear::stray(socket, deadline, self.limits.probe).await),
            Probe::Stuffed => secure::stuffed(self, socket, deadline).await,
            Probe::Renegotiation => renegotiate::ask(self, socket, deadline).await,
        }
    }
}
