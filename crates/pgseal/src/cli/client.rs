//! `pgseal client`.

use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use pgseal_conf::conninfo::{Conninfo, Secrets};
use pgseal_wire::{LibpqVersion, SslMode};
use serde::Serialize;

use super::Outcome;
use super::options::Format;
use super::verify::warn_about_password;
use crate::client::client_of;
use crate::client::drivers::{self, Driver, Known, Values};
use crate::failure::{Failure, Result};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::target::{Client, Given, Said};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal client ./pgseal
  pgseal client 'host=db1 user=app dbname=shop sslrootcert=ca.crt' --driver pgjdbc --driver asyncpg

No password is among what is printed: it belongs into a password file, or where the application keeps its secrets.")]
pub(crate) struct Options {
    /// HOST[:PORT], a connection string, a folder made by `pgseal up`, a data directory, a cluster such as 15/main
    target: String,
    /// The role to log in as
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// The file with the CA that clients trust
    #[arg(long, value_name = "FILE")]
    sslrootcert: Option<String>,
    /// Only this driver; may be said more than once
    #[arg(long, value_name = "NAME")]
    driver: Vec<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal client`.
#[derive(Debug, Serialize)]
struct Told {
    schema_version: u32,
    target: String,
    host: String,
    port: u16,
    username: String,
    dbname: String,
    sslrootcert: String,
    drivers: Vec<DriverRow>,
}

#[derive(Debug, Serialize)]
struct DriverRow {
    driver: String,
    version: String,
    known: &'static str,
    /// None where it cannot verify this server.
    text: Option<String>,
    mind: String,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    warn_about_password(&options.target);
    let wanted = match options.driver.as_slice() {
        [] => drivers::all()?,
        names => names.iter().map(|name| drivers::named(name)).collect::<Result<_>>()?,
    };
    let said = Said {
        username: options.username.as_deref(),
        dbname: options.dbname.as_deref(),
        sslrootcert: options.sslrootcert.as_deref(),
        libpq: LibpqVersion::NEWEST,
    };
    let values = values(&options.target, &client_of(&options.target, &said).await?)?;
    let told = Told {
        schema_version: SCHEMA_VERSION,
        target: options.target,
        drivers: wanted.iter().map(|driver| row(driver, &values)).collect::<Result<_>>()?,
        host: values.host,
        port: values.port,
        username: values.user,
        dbname: values.dbname,
        sslrootcert: values.ca,
    };
    Ok(Outcome::well(match options.format {
        Format::Human => human(&told),
        Format::Json => json::text(&told)?,
    }))
}

fn values(word: &str, client: &Client) -> Result<Values> {
    let [route] = client.routes.as_slice() else {
        return Err(Failure::usage(format!("the connection string names {} servers", client.routes.len()))
            .hint("ask for them one by one"));
    };
    let Given::File(file) = &client.given else {
        return Err(Failure::stopped(format!("no file with the CA of {} is known", for_terminal(word)))
            .because("without one no driver verifies the server")
            .hint("pgseal client TARGET --sslrootcert FILE"));
    };
    if route.host.is_empty() || route.host.starts_with('/') {
        return Err(Failure::usage(
            "a Unix socket never carries TLS, and an address alone is no name to verify",
        )
        .hint("name the host that clients on the network use"));
    }
    let ca = std::fs::canonicalize(file)
        .map_err(|error| Failure::io("find the root certificate file", Path::new(file), &error))?;
    let ca = ca.to_str().ok_or_else(|| {
        Failure::new(format!("the path {} is not UTF-8, and no connection string can hold it", ca.display()))
    })?;
    let mut text = Conninfo::new();
    let port = route.port.to_string();
    let mode = SslMode::VerifyFull.to_string();
    for (name, value) in [
        ("host", route.host.as_str()),
        ("port", &port),
        ("user", &client.username),
        ("dbname", &client.dbname),
        ("sslmode", &mode),
        ("sslrootcert", ca),
    ] {
        text.set(name, value).map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(Values {
        host: route.host.clone(),
        port: route.port,
        user: client.username.clone(),
        dbname: client.dbname.clone(),
        ca: ca.to_owned(),
        uri: text.to_uri(Secrets::Omitted).to_string(),
    })
}

fn row(driver: &Driver, values: &Values) -> Result<DriverRow> {
    let by_address = values.host.parse::<IpAddr>().is_ok();
    let (text, mind) = match &driver.no_address {
        Some(why) if by_address => (None, why.clone()),
        _ => (Some(driver.told(values)?), driver.mind.clone()),
    };
    Ok(DriverRow {
        driver: driver.name.clone(),
        version: driver.version.clone(),
        known: match driver.known {
            Known::Measured => "measured",
            Known::Read => "read, not run",
        },
        text,
        mind,
    })
}

fn human(told: &Told) -> String {
    let mut lines = vec![format!(
        "{}:{} · user {}, database {} · CA {}",
        for_terminal(&told.host),
        told.port,
        for_terminal(&told.username),
        for_terminal(&told.dbname),
        for_terminal(&told.sslrootcert)
    )];
    for row in &told.drivers {
        lines.push(format!("\n{} ({}, {})", row.driver, row.version, row.known));
        let text = row.text.as_deref().unwrap_or("cannot verify this server");
        lines.push(format!("  {}", for_terminal(text)));
        lines.push(format!("  mind: {}", row.mind));
    }
    lines.join("\n")
}
