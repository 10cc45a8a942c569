//! Many servers at once: each with its own deadline, none waiting for another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pgseal_wire::scan::{Knowledge, Limits, Target, Wish, scan};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::chain::{Trust, verdict};
use super::scanned::Scanned;
use super::target::{NOBODY, NOWHERE, Named};

/// More addresses of one name than this are not scanned.
const MOST_ADDRESSES: usize = 16;

/// How a fleet is scanned.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) wish: Wish,
    pub(crate) limits: Limits,
    /// Servers at once.
    pub(crate) jobs: usize,
    pub(crate) all_addresses: bool,
    /// SNI in the place of the host's name.
    pub(crate) sni: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) dbname: Option<String>,
    pub(crate) trust: Arc<Trust>,
}

/// Scans them all, and hands each to `done` as it ends, with its place in `targets`.
pub(crate) async fn sweep(targets: Vec<Named>, how: &How, mut done: impl FnMut(usize, Scanned)) {
    let names = Arc::new(Names::default());
    let mut waiting = targets.into_iter().enumerate();
    let mut running: JoinSet<Vec<(usize, Scanned)>> = JoinSet::new();
    loop {
        while running.len() < how.jobs.max(1)
            && let Some((place, target)) = waiting.next()
        {
            let (how, names) = (how.clone(), Arc::clone(&names));
            running.spawn(async move {
                let all = one(target, &how, &names).await;
                all.into_iter().map(|scanned| (place, scanned)).collect()
            });
        }
        match running.join_next().await {
            Some(Ok(all)) => all.into_iter().for_each(|(place, scanned)| done(place, scanned)),
            // A task that was aborted, which nobody does.
            Some(Err(_)) => {}
            None => return,
        }
    }
}

/// Names, each looked up once.
#[derive(Default)]
struct Names(Mutex<BTreeMap<String, Arc<OnceCell<Found>>>>);

/// Addresses, or why there are none.
type Found = Result<Vec<IpAddr>, String>;

impl Names {
    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
        let cell = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(host.to_owned()).or_default())
        };
        cell.get_or_init(|| resolve(host, port)).await.clone()
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    let text = |error: std::io::Error| {
        let text = error.to_string();
        let known = text.strip_prefix("failed to lookup address information: ");
        format!("could not translate host name to address: {}", known.unwrap_or(&text))
    };
    let found = tokio::net::lookup_host((host, port)).await.map_err(text)?;
    let mut seen = BTreeSet::new();
    let all: Vec<IpAddr> =
        found.map(|address| address.ip()).filter(|ip| seen.insert(*ip)).take(MOST_ADDRESSES).collect();
    if all.is_empty() { Err("the host name has no address".to_owned()) } else { Ok(all) }
}

/// One target: its first address that answers, or all of them.
async fn one(target: Named, how: &How, names: &Names) -> Vec<Scanned> {
    let addresses = if let Some(address) = target.address {
        Ok(vec![address])
    } else {
        let limit = how.limits.probe;
        let lookup = tokio::time::timeout(limit, names.look_up(&target.host, target.port));
        lookup
            .await
            .unwrap_or_else(|_| Err(format!("the name was not looked up within {} s", limit.as_secs_f64())))
    };
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(why) => return vec![unresolved(target, how, why)],
    };
    let mut all = Vec::new();
    for address in addresses {
        let scanned = at(&target, address, how).await;
        let enough = scanned.reachable() && !how.all_addresses;
        if enough {
            return vec![scanned];
        }
        all.push(scanned);
    }
    if !how.all_addresses {
        // Nobody answered anywhere: the first says so.
        all.truncate(1);
    }
    all
}

async fn at(target: &Named, address: IpAddr, how: &How) -> Scanned {
    let mut scanned = empty(target.clone(), how);
    let sni = how.sni.as_deref().unwrap_or(&target.host);
    let begun = Instant::now();
    scanned.address = Some(address);
    let wire = Target {
        address: SocketAddr::new(address, target.port),
        server_name: Some(sni.to_owned()),
        user: scanned.user.clone(),
        database: scanned.dbname.clone(),
    };
    scanned.known = scan(&wire, how.wish, how.limits).await;
    scanned.took = begun.elapsed();
    let chain = scanned.known.chains.first().map(Vec::as_slice).unwrap_or_default();
    scanned.verdict = verdict(chain, &target.host, &how.trust, scanned.at);
    scanned
}

fn unresolved(target: Named, how: &How, why: String) -> Scanned {
    Scanned { unresolved: Some(why), ..empty(target, how) }
}

fn empty(target: Named, how: &How) -> Scanned {
    let word = |asked: &Option<String>, named: &Option<String>, usual: &str| {
        asked.clone().or_else(|| named.clone()).unwrap_or_else(|| usual.to_owned())
    };
    Scanned {
        user: word(&how.user, &target.user, NOBODY),
        dbname: word(&how.dbname, &target.dbname, NOWHERE),
        target,
        address: None,
        known: Knowledge::new(how.wish),
        unresolved: None,
        verdict: None,
        took: std::time::Duration::ZERO,
        at: OffsetDateTime::now_utc(),
    }
}
