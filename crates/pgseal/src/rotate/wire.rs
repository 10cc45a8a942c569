//! A look at the wire, again and again, while a certificate is exchanged: what each new connection is shown. Knows
//! handshakes; what was to be shown is the caller's.

use std::cell::Cell;
use std::time::Duration;

use pgseal_pki::Fingerprint;
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{Encryption, Roots, Route, open};
use tokio::time::Instant;

/// Between two looks. A handshake takes some milliseconds, and every one of them a process of the server's.
const PAUSE: Duration = Duration::from_millis(2);
/// How often the last look is tried again where the server was too busy to take it.
const TRIES: u32 = 5;
/// The most reasons that are kept.
const MOST: usize = 5;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Connections that were tried.
    pub(crate) tried: u32,
    /// Why some of them failed, the first few.
    pub(crate) failures: Vec<String>,
    pub(crate) failed: u32,
    /// From the start of the watch to the first handshake that showed the new certificate.
    pub(crate) after: Option<Duration>,
    /// What the last handshake showed.
    pub(crate) last: Option<Fingerprint>,
}

/// Where to look, and for what.
pub(crate) struct Watch {
    pub(crate) route: Route,
    /// The name that clients use, and whom they trust, where that is known: then every look is theirs.
    pub(crate) host: String,
    pub(crate) roots: Option<Roots>,
    pub(crate) new: Fingerprint,
}

impl Watch {
    /// Looks until `over` and the new certificate was shown, or once more after `over`: a connection that began
    /// after the server had read its files shows what came of it.
    pub(crate) async fn until(&self, over: &Cell<bool>) -> Watched {
        let start = Instant::now();
        let mut seen = Watched::default();
        let mut last_tries = 0;
        loop {
            let is_last = over.get();
            let shown = self.look().await;
            seen.tried += 1;
            match shown {
                Ok(fingerprint) => {
                    seen.last = Some(fingerprint);
                    if fingerprint == self.new && seen.after.is_none() {
                        seen.after = Some(start.elapsed());
                    }
                }
                Err(why) => {
                    seen.failed += 1;
                    if seen.failures.len() < MOST {
                        seen.failures.push(why);
                    }
                    last_tries += u32::from(is_last);
                    if is_last && last_tries < TRIES {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            if is_last {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One handshake, as a client that verifies fully makes it.
    async fn look(&self) -> Result<Fingerprint, String> {
        let check = self.roots.clone().map_or(Check::None, Check::ChainAndName);
        let encryption = Encryption::tls(TlsWish::new(check, self.host.clone()));
        let channel = open(&self.route, encryption).await.map_err(|error| error.to_string())?;
        let shown = channel.tls().and_then(|facts| facts.leaf()).map(pgseal_pki::Certificate::fingerprint);
        channel.close().await;
        shown.ok_or_else(|| "a handshake showed no certificate".to_owned())
    }
}
