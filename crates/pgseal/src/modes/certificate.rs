//! The certificate that a server shows, judged for clients other than libpq too: what rustls refuses, what those refuse
//! who look at no common name.

use pgseal_pki::{Certificate, LibpqRules, libpq_matches, strict_matches, strict_verify_chain};
use pgseal_wire::tls::{EndPointBinding, NoBinding};
use time::OffsetDateTime;

/// What kinds of clients make of a certificate for one host. None: nothing against it.
pub(crate) struct Judged {
    /// libpq's own words where its name does not fit.
    pub(crate) libpq_name: Option<String>,
    /// Why clients built on rustls cannot connect at all, whatever they trust.
    pub(crate) rustls_never: Option<String>,
    /// Why clients that look at subject alternative names only (Go, rustls) refuse the name.
    pub(crate) san_only: Option<String>,
    /// Why SCRAM cannot be bound to it, or why that could not be told.
    pub(crate) unbindable: Option<String>,
    /// Past its end.
    pub(crate) expired: bool,
}

/// Judges the leaf for a host.
pub(crate) fn judged(leaf: &Certificate, host: &str, now: OffsetDateTime) -> Judged {
    let rustls_never = strict_verify_chain(leaf, &[], std::slice::from_ref(leaf), now).err().and_then(
        |refusal| match refusal {
            pgseal_pki::StrictRefusal::Certificate(_) => Some(refusal.to_string()),
            // A chain depends on whom a client trusts.
            _ => None,
        },
    );
    let by_address = host.parse::<std::net::IpAddr>().is_ok();
    let has_names = !leaf.dns_names().is_empty() || !leaf.ip_addresses().is_empty();
    let san_only = match strict_matches(leaf, host) {
        Ok(()) => None,
        Err(_) if !has_names => {
            Some("it has no subject alternative names, and a common name does not count there".to_owned())
        }
        Err(_) if by_address => Some(format!("{host} is not among its addresses ({})", names_of(leaf))),
        Err(_) => Some(format!("{host} is not among its names ({})", names_of(leaf))),
    };
    // The hash is that of its signature: what counts is the issuer's key, and not its own.
    let unbindable = match EndPointBinding::of_leaf(leaf) {
        Err(none @ NoBinding::NoHash(_)) => {
            Some(format!("{none}: libpq fails with SCRAM unless channel_binding=disable"))
        }
        Err(unknown) => Some(format!(
            "{unknown}: whether libpq can log in with SCRAM could not be told; with channel_binding=disable it can"
        )),
        Ok(_) => None,
    };
    Judged {
        libpq_name: libpq_matches(leaf, host, LibpqRules { ip_sans: true })
            .err()
            .map(|error| error.to_string()),
        rustls_never,
        san_only,
        unbindable,
        expired: now >= leaf.not_after(),
    }
}

/// Its subject alternative names, in a line.
pub(crate) fn names_of(leaf: &Certificate) -> String {
    let addresses = leaf.ip_addresses().into_iter().map(|ip| ip.to_string());
    leaf.dns_names().into_iter().chain(addresses).collect::<Vec<_>>().join(", ")
}
