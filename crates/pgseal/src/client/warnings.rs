//! What of a server's certificate does not work with which driver, said before it is met.
//!
//! Knows certificates and what the rows of the data say of drivers; refuses to know connections.

use std::net::IpAddr;

use pgseal_pki::Certificate;
use time::OffsetDateTime;

use super::drivers::{Driver, Names};
use crate::modes::certificate::{Judged, judged};

/// The certificate that a server shows, judged for one host.
pub(crate) struct Shown {
    judged: Judged,
    by_address: bool,
}

impl Shown {
    pub(crate) fn of(leaf: &Certificate, host: &str, now: OffsetDateTime) -> Self {
        Self { judged: judged(leaf, host, now), by_address: host.parse::<IpAddr>().is_ok() }
    }

    /// What every client meets.
    pub(crate) fn for_all(&self) -> Vec<String> {
        let mut said: Vec<String> = self.judged.libpq_name.iter().cloned().collect();
        if self.judged.expired {
            said.push(
                "the server's certificate has expired: every client that verifies refuses it".to_owned(),
            );
        }
        if let Some(why) = &self.judged.rustls_never {
            said.push(format!("clients built on rustls cannot connect: {why}"));
        }
        if let Some(why) = &self.judged.san_only {
            said.push(format!(
                "clients that look at subject alternative names alone (Go, rustls) refuse it: {why}"
            ));
        }
        if let Some(why) = &self.judged.unbindable {
            said.push(why.clone());
        }
        said
    }

    /// What this driver meets.
    pub(crate) fn for_driver(&self, driver: &Driver) -> Vec<String> {
        let mut said: Vec<String> = self.never(driver).into_iter().collect();
        if let Some(why) = self.name_refused(driver) {
            said.push(format!("it refuses the server's certificate: {why}"));
        }
        if driver.binds && self.judged.unbindable.is_some() {
            said.push(
                "it cannot log in with SCRAM where the certificate's signature has no hash to bind to; add channel_binding=disable"
                    .to_owned(),
            );
        }
        said
    }

    /// Why the driver cannot connect, whatever it trusts.
    pub(crate) fn never(&self, driver: &Driver) -> Option<String> {
        let why = self.judged.rustls_never.as_ref().filter(|_| driver.strict)?;
        Some(format!("it cannot connect: {why}"))
    }

    fn name_refused(&self, driver: &Driver) -> Option<String> {
        match driver.names {
            Names::San => self.judged.san_only.clone(),
            Names::Common => self.judged.libpq_name.clone(),
        }
    }

    /// Why the driver refuses the server's name.
    pub(crate) fn refuses_name(&self, driver: &Driver) -> Option<String> {
        self.cannot(driver).or_else(|| self.name_refused(driver))
    }

    /// Why the driver cannot verify this host at all.
    pub(crate) fn cannot(&self, driver: &Driver) -> Option<String> {
        driver.no_address.clone().filter(|_| self.by_address)
    }
}
