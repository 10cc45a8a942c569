//! One line of a map, and whom it lets be whom (`check_ident_line`).

use std::collections::BTreeSet;
use std::ops::Range;

use crate::hba::{Hinge, RoleMatch, World};
use crate::regex::Pattern;
use crate::{ByteString, PgVersion};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The file it stands in, by its place in [`Maps::files`](super::Maps::files).
    pub file: u32,
    /// Its line there.
    pub line: u32,
    /// Its bytes in that file, newline included.
    pub source: Range<usize>,
    /// The map it belongs to.
    pub map: ByteString,
    /// The name that was authenticated, or `/expression`.
    pub system_user: ByteString,
    /// The expression, where it is one.
    pub pattern: Option<Pattern>,
    /// The database user as written.
    pub database_user: ByteString,
    /// What that means: until 15 always a name, with `\1` in it perhaps.
    pub role: RoleMatch,
}

/// What a line, or a whole map, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// It may.
    Yes,
    /// It may not.
    No,
    /// PostgreSQL ends the search here with an error: `\1` is asked for, and the expression has no group.
    Error,
    /// That depends.
    Depends(BTreeSet<Hinge>),
}

impl Mapping {
    /// Whether this line lets the authenticated `system_user` be `user`.
    pub(super) fn fits(&self, system_user: &[u8], user: &[u8], ignore_case: bool, world: &World) -> Mapped {
        let Some(pattern) = &self.pattern else {
            let same = same(self.system_user.as_bytes(), system_user, ignore_case);
            return if same { role_fits(&self.role, user, ignore_case, world) } else { Mapped::No };
        };
        match pattern.matches(system_user) {
            None => Mapped::Depends(BTreeSet::from([Hinge::Regex(pattern.text().clone())])),
            Some(false) => Mapped::No,
            Some(true) => self.expanded(pattern, system_user, user, ignore_case, world),
        }
    }

    /// The expression matched: its first group goes where `\1` stands, unless the field is more than a name.
    fn expanded(
        &self,
        pattern: &Pattern,
        system_user: &[u8],
        user: &[u8],
        ignore_case: bool,
        world: &World,
    ) -> Mapped {
        let written = self.database_user.as_bytes();
        let place = written.windows(2).position(|window| window == b"\\1");
        let (Some(at), RoleMatch::Name(_) | RoleMatch::All) = (place, &self.role) else {
            return role_fits(&self.role, user, ignore_case, world);
        };
        if !pattern.has_group() {
            return Mapped::Error;
        }
        let Some(group) = pattern.first_group(system_user) else {
            return Mapped::Depends(BTreeSet::from([Hinge::Regex(pattern.text().clone())]));
        };
        let before = written.get(..at).unwrap_or_default();
        let behind = written.get(at + 2..).unwrap_or_default();
        let name = [before, group, behind].concat();
        // The result is a name, even if it reads `all`.
        if same(&name, user, ignore_case) { Mapped::Yes } else { Mapped::No }
    }
}

fn role_fits(role: &RoleMatch, user: &[u8], ignore_case: bool, world: &World) -> Mapped {
    let known = |fits: bool| if fits { Mapped::Yes } else { Mapped::No };
    match role {
        RoleMatch::All => Mapped::Yes,
        RoleMatch::Name(name) => known(same(name.as_bytes(), user, ignore_case)),
        RoleMatch::MemberOf(role) => match &world.roles {
            Some(roles) => known(roles.is_member(user, role.as_bytes())),
            None => Mapped::Depends(BTreeSet::from([Hinge::Membership(role.clone())])),
        },
        RoleMatch::Regex(pattern) => match pattern.matches(user) {
            Some(fits) => known(fits),
            None => Mapped::Depends(BTreeSet::from([Hinge::Regex(pattern.text().clone())])),
        },
    }
}

fn same(one: &[u8], other: &[u8], ignore_case: bool) -> bool {
    if ignore_case { one.eq_ignore_ascii_case(other) } else { one == other }
}

/// What the third field means in a version.
pub(super) fn role(text: &ByteString, quoted: bool, version: PgVersion) -> RoleMatch {
    if version < PgVersion::V16 {
        return RoleMatch::Name(text.clone());
    }
    match (quoted, text.as_bytes()) {
        (false, b"all") => RoleMatch::All,
        (false, [b'+', role @ ..]) => RoleMatch::MemberOf(role.into()),
        (_, [b'/', expression @ ..]) => RoleMatch::Regex(Pattern::new(expression)),
        _ => RoleMatch::Name(text.clone()),
    }
}
