//! From a TARGET word to a place: whose directory it is, and a delegate of theirs.

use std::fs;
use std::path::{Path, PathBuf};

use super::container::Container;
use super::hands::Hands;
use super::{Layout, Place, Way, cluster};
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::privilege::files::{self, Kind};
use crate::privilege::user::{SystemUser, effective_uid, running_as_root};

impl Place {
    /// A folder of `pgseal up`, or a data directory.
    pub(crate) async fn of_directory(word: &str, path: &Path) -> Result<Self> {
        let real = fs::canonicalize(path).map_err(|error| Failure::io("find", path, &error))?;
        let made = Folder::at(real.clone());
        let is_made = files::status(&made.settings()).is_ok_and(|found| found.is_some());
        if is_made {
            // `up` makes a folder there. A link leads to whatever somebody who could write here chose: another's server.
            let data = made.data();
            let found = files::status(&data).map_err(|error| Failure::io("look at", &data, &error))?;
            if found.is_some_and(|found| found.kind == Kind::Link) {
                return Err(Failure::new(format!("{} is a link, and pgseal up makes none", data.display()))
                    .because(format!("{} says that this folder was made by it", made.settings().display()))
                    .hint(format!("where it is none of pgseal's, remove {}", made.settings().display())));
            }
            return Self::at(word, data, Layout::Folder).await;
        }
        Self::at(word, real, Layout::Plain).await
    }

    /// A cluster of postgresql-common.
    pub(crate) async fn of_cluster(version: &str, name: &str, folder: &Path) -> Result<Self> {
        let (data, says) = cluster::data_directory(folder).await?;
        let layout = Layout::Cluster { version: version.to_owned(), name: name.to_owned() };
        let place = Self::at(&format!("{version}/{name}"), data, layout).await?;
        let user = place.hands.user();
        if says != 0 && says != user.uid {
            // It could name anybody's server, and root would change that one.
            return Err(Failure::new(format!(
                "{} belongs to {}, and names a data directory of {}",
                folder.join("postgresql.conf").display(),
                SystemUser::name_of(says),
                user.name
            ))
            .because("whoever owns it would choose whose server is changed; nothing was changed")
            .hint(format!("chown {} {}", user.name, folder.join("postgresql.conf").display())));
        }
        Ok(place)
    }

    /// A running container.
    pub(crate) async fn of_container(name: &str) -> Result<Self> {
        let container = Container::find(name).await?;
        let data = container.data().to_owned();
        let hands = Hands::Within(Box::new(container));
        let layout = Layout::Container(name.to_owned());
        let mut place = Self {
            word: format!("container:{name}"),
            data,
            layout,
            hands,
            start: None,
            last_start: None,
            roots: Vec::new(),
        };
        place.must_hold_a_cluster().await?;
        Ok(place)
    }

    /// The container of a compose service, running or not.
    pub(crate) async fn of_composed(word: &str, way: Way, id: &str) -> Result<Self> {
        let container = Container::whatever_it_does(id).await?;
        let data = container.data().to_owned();
        let start = way.said.as_ref().filter(|_| container.rests()).map(|said| said.command.clone());
        let hands = Hands::Within(Box::new(container));
        let layout = Layout::Composed(way);
        let mut place =
            Self { word: word.to_owned(), data, layout, hands, start, last_start: None, roots: Vec::new() };
        place.must_hold_a_cluster().await?;
        Ok(place)
    }

    async fn at(word: &str, data: PathBuf, layout: Layout) -> Result<Self> {
        let data = fs::canonicalize(&data).map_err(|error| Failure::io("find", &data, &error))?;
        let found = files::status(&data).map_err(|error| Failure::io("look at", &data, &error))?;
        let found = found.filter(|found| found.kind == Kind::Directory);
        let found = found.ok_or_else(|| Failure::new(format!("{} is no directory", data.display())))?;
        let owner = owner(&data, found.uid)?;
        let hands = Hands::Here(Box::new(Delegate::start(&owner).await?));
        let roots = roots_of(&layout);
        let mut place =
            Self { word: word.to_owned(), data, layout, hands, start: None, last_start: None, roots };
        place.must_hold_a_cluster().await?;
        Ok(place)
    }

    async fn must_hold_a_cluster(&mut self) -> Result<()> {
        if self.hands.look(&self.data.join("PG_VERSION")).await?.is_some() {
            return Ok(());
        }
        Err(Failure::new(format!("{} is no data directory of PostgreSQL", self.data.display()))
            .because("there is no PG_VERSION in it")
            .hint("a data directory, a cluster such as 15/main, a container, or a folder made by pgseal up"))
    }
}

/// The configuration folder of a cluster: whoever names the cluster names it.
fn roots_of(layout: &Layout) -> Vec<PathBuf> {
    let Layout::Cluster { version, name } = layout else { return Vec::new() };
    fs::canonicalize(cluster::configuration(version, name)).into_iter().collect()
}

/// The user whose server this is: PostgreSQL refuses to run on a directory of anybody else
/// (miscinit.c, checkDataDir), and to run as root.
fn owner(data: &Path, uid: u32) -> Result<SystemUser> {
    if uid == 0 {
        return Err(Failure::new(format!("{} belongs to root, as whom no server runs", data.display()))
            .hint("check the path, or its owner"));
    }
    if running_as_root() {
        return SystemUser::with_uid(uid);
    }
    if uid == effective_uid() {
        return SystemUser::current();
    }
    let owner = SystemUser::name_of(uid);
    Err(Failure::new(format!("{} belongs to {owner}, and you are not {owner}", data.display()))
        .hint(format!("sudo pgseal …, or sudo -u {owner} pgseal …")))
}
