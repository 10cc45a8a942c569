//! The pg_hba.conf of a server: of a pgseal folder, a data directory, a cluster, a container, or behind a
//! connection string.

use std::os::unix::ffi::OsStrExt as _;

use pgseal_conf::{ByteString, PgVersion};

use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::state;
use crate::hba::fetch::{compared, fetch, over_sql};
use crate::hba::loaded::Loaded;
use crate::hba::roles::roles;
use crate::hba::source::Source;
use crate::privilege::user::server_user;
use crate::target::{Asked, Target, connection_subject, folder_subject, login};
use crate::verify::administrator::administrator;

/// What a folder's server has on disk, and whether that is what it has loaded. The server need not
/// run.
pub(super) async fn of_folder(folder: &Folder) -> Result<Source> {
    let settings = state::made(folder)?;
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    let version =
        settings.server.version.parse::<PgVersion>().map_err(|error| Failure::new(error.to_string()))?;
    let path: ByteString = folder.data().join("pg_hba.conf").as_os_str().as_bytes().into();
    let runs = control::find(folder, &settings, &mut delegate).await?.is_some();
    let source = fetch(&mut delegate, &path, version).await.map_err(|why| cannot(&why))?;
    if !runs {
        return Ok(source.said_to_be(Loaded::AtNextStart));
    }
    Ok(match administrator(&folder_subject(folder, &settings)).await {
        Ok(session) => {
            let (loaded, roles) = (compared(&session, &path).await, roles(&session).await.ok());
            session.close().await;
            source.said_to_be(loaded).with_roles(roles)
        }
        Err(why) => source.said_to_be(Loaded::Unknown(why)),
    })
}

/// What the server of a data directory, a cluster or a container has on disk, wherever its settings put
/// it. The server need not run; whether it has loaded it is told as far as somebody can log in.
pub(super) async fn of_place(word: &str) -> Result<Source> {
    let mut place = Target::place(word).await?;
    let version = place.version().await?;
    let path: ByteString = place.hba_file(version).await?.as_os_str().as_bytes().into();
    let source = fetch(&mut place.hands, &path, version).await.map_err(|why| {
        cannot(&why).hint(
            "the path of the file that is meant; hba_file in postgresql.conf says which the server reads",
        )
    })?;
    let Some(server) = place.server().await? else { return Ok(source.said_to_be(Loaded::AtNextStart)) };
    let session = match login(&place, &server, &Asked::default()) {
        Ok(who) => place.session(&server, &who).await,
        Err(failure) => Err(failure),
    };
    Ok(match session {
        Ok(session) => {
            let (loaded, roles) = (compared(&session, &path).await, roles(&session).await.ok());
            session.close().await;
            source.said_to_be(loaded).with_roles(roles)
        }
        Err(failure) => source.said_to_be(Loaded::Unknown(failure.sentence().to_owned())),
    })
}

/// What a server reads as its hba_file now, over SQL.
pub(super) async fn of_server(text: &str) -> Result<Source> {
    let subject = connection_subject(text, None).await?;
    let session = administrator(&subject).await.map_err(|why| {
        Failure::new(format!("could not log in to read the server's pg_hba.conf: {why}"))
            .hint("a connection string with sslrootcert, whose user may read server files")
    })?;
    let source = over_sql(&session).await;
    session.close().await;
    source.map_err(|why| {
        cannot(&why).hint(
            "a superuser, or a member of pg_read_server_files and pg_read_all_settings who was granted EXECUTE \
             on pg_read_binary_file(text), pg_stat_file(text) and pg_ls_dir(text)",
        )
    })
}

fn cannot(why: &str) -> Failure {
    Failure::new(format!("could not read the server's pg_hba.conf: {why}"))
}
