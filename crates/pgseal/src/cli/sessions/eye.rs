//! A way in that is kept open, or found again: looking every second must not mean logging in every second.

use pgseal_wire::Session;

use crate::failure::{Failure, Result};
use crate::journal::key;
use crate::place::Place;
use crate::sessions::{Seen, visible};
use crate::sql::text_of;
use crate::target::{Asked, Target, connection_subject, login, shown};
use crate::verify::administrator::administrator;
use crate::verify::subject::Subject;

/// Where the sessions are seen from.
pub(super) struct Eye {
    word: String,
    asked: Asked,
    way: Way,
    session: Option<Session>,
}

enum Way {
    /// By SQL alone.
    Far(Box<Subject>),
    Near(Box<Place>),
}

impl Eye {
    pub(super) async fn open(word: &str, asked: Asked) -> Result<Self> {
        let way = match Target::parse(word)? {
            Target::Connection(text) => Way::Far(Box::new(connection_subject(&text, None).await?)),
            _ => Way::Near(Box::new(Target::place(word).await?)),
        };
        let mut eye = Self { word: shown(word), asked, way, session: None };
        eye.connect().await?;
        Ok(eye)
    }

    async fn connect(&mut self) -> Result<()> {
        self.session = Some(match &mut self.way {
            Way::Far(subject) => administrator(subject).await.map_err(|why| failed(&self.word, &why))?,
            Way::Near(place) => {
                let server = place.running().await?;
                let who = login(place, &server, &self.asked)?;
                place.session(&server, &who).await?
            }
        });
        Ok(())
    }

    /// Who is connected now. A connection that was lost is made anew, once.
    pub(super) async fn look(&mut self) -> Result<Vec<Seen>> {
        if let Some(session) = &self.session
            && let Ok(seen) = visible(session).await
        {
            return Ok(seen);
        }
        self.session = None;
        self.connect().await?;
        let (session, _) = self.parts()?;
        let seen = visible(session).await;
        seen.map_err(|why| failed(&self.word, &why))
    }

    /// The session, and the place where its files are near.
    pub(super) fn parts(&mut self) -> Result<(&Session, Option<&mut Place>)> {
        let session = self.session.as_ref().ok_or_else(|| failed(&self.word, "the connection was lost"))?;
        Ok((
            session,
            match &mut self.way {
                Way::Far(_) => None,
                Way::Near(place) => Some(place),
            },
        ))
    }

    /// What the server is called in the folder of ledgers.
    pub(super) async fn server(&mut self) -> Result<String> {
        const WHO: &str = "SELECT system_identifier::text || '-' || current_setting('data_directory', true) \
             FROM pg_control_system()";
        const SOME: &str = "SELECT system_identifier::text FROM pg_control_system()";
        if let Way::Near(place) = &mut self.way {
            let identifier = place.identifier().await?;
            return Ok(key(identifier, &place.key()));
        }
        let (session, _) = self.parts()?;
        let said = match text_of(session, WHO, &[]).await {
            Ok(said) => Ok(said),
            // The folder's name is for members of pg_read_all_settings.
            Err(_) => text_of(session, SOME, &[]).await,
        };
        let said = said.map_err(|why| failed(&self.word, &why))?;
        let (identifier, folder) = said.split_once('-').unwrap_or((&said, ""));
        Ok(key(identifier.parse().unwrap_or(0), folder.as_ref()))
    }

    pub(super) async fn close(mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}

fn failed(word: &str, why: &str) -> Failure {
    Failure::new(format!("could not list the sessions of {word}: {why}"))
        .hint("a superuser, or a member of pg_monitor")
}
