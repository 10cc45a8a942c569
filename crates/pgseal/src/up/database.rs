//! The database that was asked for, made over a session that verifies fully.

use std::time::{Duration, Instant};

use pgseal_wire::tls::Check;
use pgseal_wire::{ChannelBinding, ClientCertificate, Session};

use crate::failure::{Failure, Result};
use crate::sql::{answer, rows_of};
use crate::verify::session::log_in_at;
use crate::verify::subject::{Issued, Subject};

/// `cannot_connect_now` (errcodes.txt): the server is starting up.
const STARTING: &str = "57P03";
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The database every server has from initdb.
const FIRST: &str = "postgres";

/// Makes the subject's database unless it is there.
pub(crate) async fn ensure_database(subject: &Subject) -> Result<()> {
    if subject.dbname == FIRST {
        return Ok(());
    }
    let session = administer(subject).await?;
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(format!("could not make the database {}: {error}", subject.dbname))
    };
    let sought: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&subject.dbname];
    let found = rows_of(&session, "SELECT 1 FROM pg_database WHERE datname = $1", &sought)
        .await
        .map_err(|error| cannot(&error))?;
    if found.is_empty() {
        let name = subject.dbname.replace('"', "\"\"");
        let create = format!("CREATE DATABASE \"{name}\"");
        answer(session.client().batch_execute(&create)).await.map_err(|error| cannot(&error))?;
    }
    session.close().await;
    Ok(())
}

async fn administer(subject: &Subject) -> Result<Session> {
    let cannot = |why: &str| {
        Failure::new(format!("could not log in as {} to set the server up: {why}", subject.username))
    };
    let roots = subject.roots.as_ref().map_err(|why| cannot(why))?;
    let address = subject.addresses.first().copied().ok_or_else(|| cannot("it has no address"))?;
    let first = Subject {
        dbname: FIRST.to_owned(),
        host: subject.host.clone(),
        port: subject.port,
        addresses: vec![address],
        names: Vec::new(),
        roots: Ok(roots.clone()),
        issued: Issued::ByOthers,
        negotiation: subject.negotiation,
        username: subject.username.clone(),
        password: subject.password.clone(),
        certificate: ClientCertificate::None,
        wants_certificates: false,
        kept_out: None,
    };
    let check = Check::ChainAndName(roots.clone());
    // A server in a container may still be on its way when its port answers.
    let end = Instant::now() + STARTS_WITHIN;
    loop {
        let outcome = log_in_at(&first, address, check.clone(), ChannelBinding::Require).await;
        match outcome {
            Err(none) if none.why().contains(STARTING) && Instant::now() < end => {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
            outcome => return outcome.map_err(|none| cannot(none.why())),
        }
    }
}
