//! `pgseal cert show`.

use std::path::Path;

use clap::Args;
use pgseal_pki::{Certificate, read_bundle};
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{Encryption, Route, open};
use time::OffsetDateTime;

use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::report::certificate::{self, Shown};
use crate::report::json;
use crate::report::screen::Screen;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert show pgseal/client/ca.crt
  pgseal cert show db1.example.org:5432 --format json

Nothing is verified here, and a private key in the file is passed over.")]
pub(crate) struct Options {
    /// A PEM file (file:PATH), or a PostgreSQL server (host:HOST:PORT)
    source: String,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// More than any bundle of roots.
const LIMIT: u64 = 8 << 20;

pub(super) async fn run(options: Options) -> Result<Outcome> {
    let shown = read(&options.source).await?;
    let now = OffsetDateTime::now_utc();
    Ok(Outcome::well(match options.format {
        Format::Human => certificate::human(&shown, now, Screen::of_stdout()),
        Format::Json => json::text(&certificate::row(&shown, now))?,
    }))
}

async fn read(source: &str) -> Result<Shown> {
    if let Some(path) = source.strip_prefix("file:") {
        return from_file(path);
    }
    if let Some(place) = source.strip_prefix("host:") {
        let (host, port) = host_and_port(place).ok_or_else(|| no_source(source))?;
        return from_server(&host, port).await;
    }
    match (Path::new(source).exists(), host_and_port(source)) {
        (true, Some(_)) => Err(Failure::usage(format!("{source} could be a file or a server"))
            .hint(format!("file:{source} or host:{source}"))),
        (true, None) => from_file(source),
        (false, Some((host, port))) => from_server(&host, port).await,
        (false, None) => Err(no_source(source)),
    }
}

fn no_source(source: &str) -> Failure {
    Failure::usage(format!("there is no file {source}, and it is no HOST:PORT either"))
        .hint("pgseal cert show localhost:5432")
}

/// `host:port`, `1.2.3.4:port`, `[::1]:port`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains([':', '/']) => return None,
        None => host,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn from_file(path: &str) -> Result<Shown> {
    let path = Path::new(path);
    let bytes = files::read_named(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    let bundle = read_bundle(&bytes).map_err(|error| {
        Failure::new(format!("could not read certificates from {}: {error}", path.display()))
    })?;
    if bundle.certificates.is_empty() {
        return Err(Failure::new(format!("{} holds no certificate", path.display())));
    }
    Ok(Shown { source: path.display().to_string(), certificates: bundle.certificates, negotiated: None })
}

async fn from_server(host: &str, port: u16) -> Result<Shown> {
    let route = Route::new(host, port);
    let wish = TlsWish::new(Check::None, host);
    let encryption = Encryption::tls(wish);
    let channel = open(&route, encryption)
        .await
        .map_err(|error| Failure::new(format!("could not see the certificate of {route}: {error}")))?;
    let facts = channel.tls().cloned();
    channel.close().await;
    let facts = facts.ok_or_else(|| Failure::new(format!("{route} showed no certificate")))?;
    let certificates: Vec<Certificate> = facts.chain;
    Ok(Shown {
        source: route.to_string(),
        certificates,
        negotiated: Some(format!("{} {}", facts.version, facts.suite)),
    })
}
