//! The server of a pgseal folder, through its delegate: found, started, stopped, with sentences.

use std::path::Path;
use std::time::{Duration, Instant};

use super::layout::Folder;
use super::settings::Settings;
use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::server::process::{Found, RunningServer, Started, StopOutcome};
use crate::server::said::last_lines;

/// A server that recovers after a crash may need its time.
const START_SECONDS: u64 = 300;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);
/// A fast shutdown writes a checkpoint.
const STOP_SECONDS: u64 = 300;

/// The server that runs on the folder's data, if one does. One that pgseal did not start this way is
/// an error: nothing is known of it, and nothing is done to it.
pub(crate) async fn find(
    folder: &Folder,
    settings: &Settings,
    delegate: &mut Delegate,
) -> Result<Option<RunningServer>> {
    let data = folder.data();
    match delegate.ask(&Request::FindServer { data: data.clone() }, &[]).await?.0 {
        Reply::Server(Found::Nothing) => Ok(None),
        Reply::Server(Found::Running(server)) if server.port == settings.server.port => Ok(Some(server)),
        Reply::Server(Found::Running(server)) => Err(Failure::new(format!(
            "a server runs on {} that pgseal did not start: it listens on port {}, not {}",
            data.display(),
            server.port,
            settings.server.port
        ))
        .because(format!("its process is {}", server.pid))
        .hint("stop it the way it was started, then again: pgseal up")),
        Reply::Server(Found::Stranger { pid, why }) => Err(stranger(&data, pid, &why)),
        other => Err(delegate.unexpected("look for the server of", &data, &other)),
    }
}

/// The same, once it lets connections in: one that is starting is waited for, and one that is stopping
/// is none.
pub(crate) async fn find_ready(
    folder: &Folder,
    settings: &Settings,
    delegate: &mut Delegate,
) -> Result<Option<RunningServer>> {
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS);
    loop {
        let server = match find(folder, settings, delegate).await? {
            Some(server) if !server.ready => server,
            found => return Ok(found),
        };
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the server (pid {}) let nobody in within {START_SECONDS} s",
                server.pid
            ))
            .hint(format!("look at its log: {}", folder.log().display())));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

fn stranger(data: &Path, pid: i64, why: &str) -> Failure {
    let file = data.join("postmaster.pid");
    let named = if pid == 0 {
        "names no process that could be this folder's server".to_owned()
    } else {
        format!("names process {pid}, which is not this folder's server")
    };
    Failure::new(format!("{} {named}", file.display()))
        .because(why.to_owned())
        .because("no process was signalled, and nothing was changed")
        .hint(format!("if no server runs on {}, remove {}", data.display(), file.display()))
}

pub(crate) async fn start(folder: &Folder, postgres: &Path, delegate: &mut Delegate) -> Result<i32> {
    let data = folder.data();
    let request = Request::StartServer {
        program: postgres.to_owned(),
        data: data.clone(),
        log: folder.log(),
        seconds: START_SECONDS,
    };
    let refused = |sentence: String, said: &[u8]| {
        Failure::new(sentence)
            .because_all(last_lines(said, 8))
            .hint(format!("mend what the server says; its log is {}", folder.log().display()))
    };
    match delegate.ask(&request, &[]).await? {
        (Reply::Started(Started::Ready { pid }), _) => Ok(pid),
        (Reply::Started(Started::Gone { ending }), said) => {
            Err(refused(format!("the server did not start on {}: it {ending}", data.display()), &said))
        }
        (Reply::Started(Started::TooLate { pid }), said) => {
            let sentence = format!("the server (pid {pid}) let nobody in within {START_SECONDS} s");
            Err(refused(sentence, &said))
        }
        (other, _) => Err(delegate.unexpected("start the server on", &data, &other)),
    }
}

/// Stops the server; the pid of what was stopped, or `None` when nothing ran.
pub(crate) async fn stop(folder: &Folder, delegate: &mut Delegate) -> Result<Option<i32>> {
    let data = folder.data();
    let request = Request::StopServer { data: data.clone(), seconds: STOP_SECONDS };
    match delegate.ask(&request, &[]).await?.0 {
        Reply::Stopped(StopOutcome::Stopped { pid }) => Ok(Some(pid)),
        Reply::Stopped(StopOutcome::NothingRan) => Ok(None),
        Reply::Stopped(StopOutcome::Stranger { pid, why }) => Err(stranger(&data, pid, &why)),
        Reply::Stopped(StopOutcome::TooLate { pid }) => {
            Err(Failure::new(format!("the server (pid {pid}) did not stop within {STOP_SECONDS} s"))
                .because("it was asked for a fast shutdown (SIGINT)")
                .hint(format!("look at its log: {}", folder.log().display())))
        }
        other => Err(delegate.unexpected("stop the server of", &data, &other)),
    }
}
