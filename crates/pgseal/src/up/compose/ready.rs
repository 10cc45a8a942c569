//! Waits until a container's server is the one that is there to stay, and takes its first password away from where it
//! read it.

use std::time::{Duration, Instant};

use pgseal_wire::open;
use pgseal_wire::tls::Check;

use crate::compose::project::{Project, Service};
use crate::compose::text::TLS;
use crate::failure::{Failure, Result};
use crate::folder::settings::Compose;
use crate::verify::subject::Subject;

/// initdb on a slow disk, or recovery after a crash.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Empties the file that the password was read from, and says whether the server's environment holds it still.
const FORGET: &str = r#"
[ ! -s "$1/password" ] || : > "$1/password" || exit 1
tr '\0' '\n' < /proc/1/environ | grep -q '^POSTGRES_PASSWORD=.' && echo held
exit 0"#;

/// Waits for TLS with our certificate at the published port. The server that only sets the database up listens on
/// no port, so whoever answers there is the one that stays. A container that ends instead is an error.
///
/// `restarts`: so often docker had restarted it by itself before, for reasons of then.
pub(super) async fn wait(
    project: &Project<'_>,
    id: &str,
    restarts: u64,
    subject: &Subject,
) -> Result<Service> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let Some(service) = project.look(id).await? else {
            return Err(Failure::new(format!("container {id} is gone"))
                .because("somebody else removed it while its server started"));
        };
        if !service.runs() || service.restarts > restarts {
            return Err(ended(project, &service).await);
        }
        let why = match answers(subject).await {
            Ok(()) => return Ok(service),
            Err(why) => why,
        };
        if Instant::now() >= deadline {
            let words = project.last_words(id).await;
            return Err(Failure::new(format!(
                "the server in container {} has not let anybody in within {} s: {why}",
                service.name,
                PATIENCE.as_secs()
            ))
            .because_all(words)
            .hint(format!("docker logs {}", service.name)));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

async fn ended(project: &Project<'_>, service: &Service) -> Failure {
    let words = project.last_words(&service.id).await;
    let how = if service.runs() {
        // Docker no longer says how it ended.
        format!("docker has restarted it {} times", service.restarts)
    } else {
        format!("it ended with status {}", service.exit_code)
    };
    let memory = if service.out_of_memory { ", out of memory" } else { "" };
    Failure::new(format!("container {} does not stay up: {how}{memory}", service.name)).because_all(words)
}

async fn answers(subject: &Subject) -> Result<(), String> {
    let roots = subject.roots.as_ref().map_err(Clone::clone)?;
    let address = subject.addresses.first().ok_or("it has no address")?;
    let opened = open(&subject.route(*address), subject.tls(Check::ChainAndName(roots.clone()))).await;
    opened.map_err(|error| error.to_string())?.close().await;
    Ok(())
}

/// Takes the password out of the volume, and where the server was started with it, out of its environment too: by
/// one restart, before anybody uses it.
pub(super) async fn forget_password(
    project: &Project<'_>,
    service: &Service,
    compose: &Compose,
    subject: &Subject,
) -> Result<()> {
    let said = project.sh(&service.id, (compose.uid, compose.gid), FORGET, &[TLS]).await?;
    if said.trim() != "held" {
        return Ok(());
    }
    project.restart(&service.id).await?;
    wait(project, &service.id, service.restarts, subject).await.map(drop)
}
