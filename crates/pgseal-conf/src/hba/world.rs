//! What a file alone does not tell of the server it rules: who is a member of what, and the addresses of its
//! interfaces. Everything here was asked of somebody else.

use std::collections::{BTreeMap, BTreeSet};

use super::address::AddressRange;
use crate::ByteString;

/// What is known of the server's surroundings; `None` is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Every role and its memberships (`pg_roles`, `pg_auth_members`).
    pub roles: Option<Roles>,
    /// Address and mask of every interface, loopback too.
    pub interfaces: Option<Vec<AddressRange>>,
}

/// Roles and who is directly a member of which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    memberships: BTreeMap<ByteString, BTreeSet<ByteString>>,
}

impl Roles {
    /// No role at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a role.
    pub fn add(&mut self, role: impl Into<ByteString>) {
        self.memberships.entry(role.into()).or_default();
    }

    /// Makes `member` a direct member of `role`, and both of them roles.
    pub fn grant(&mut self, role: impl Into<ByteString>, member: impl Into<ByteString>) {
        let role = role.into();
        self.add(role.clone());
        self.memberships.entry(member.into()).or_default().insert(role);
    }

    /// Whether there is such a role.
    pub fn contains(&self, role: &[u8]) -> bool {
        self.memberships.contains_key(role)
    }

    /// Every role, in the order of their names.
    pub fn names(&self) -> impl Iterator<Item = &ByteString> {
        self.memberships.keys()
    }

    /// Every role that `user` is a member of, directly or not, itself among them; none when there is no such user.
    pub fn roles_of(&self, user: &[u8]) -> BTreeSet<&ByteString> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&ByteString> =
            self.memberships.get_key_value(user).map(|(name, _)| name).into_iter().collect();
        while let Some(role) = open.pop() {
            if found.insert(role) {
                open.extend(self.memberships.get(role).into_iter().flatten());
            }
        }
        found
    }

    /// Whether `user` is a member of `role` as `+role` means it: directly or not, itself included, superusers not
    /// (`is_member`).
    pub fn is_member(&self, user: &[u8], role: &[u8]) -> bool {
        self.contains(role) && self.roles_of(user).iter().any(|found| found.as_bytes() == role)
    }

    /// Every member of `role`, itself included.
    pub fn members_of(&self, role: &[u8]) -> Vec<&ByteString> {
        if !self.contains(role) {
            return Vec::new();
        }
        // From each role to its members.
        let mut members: BTreeMap<&[u8], Vec<&ByteString>> = BTreeMap::new();
        for (member, roles) in &self.memberships {
            for granted in roles {
                members.entry(granted.as_bytes()).or_default().push(member);
            }
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<&ByteString> =
            self.memberships.get_key_value(role).map(|(name, _)| name).into_iter().collect();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(members.get(name.as_bytes()).into_iter().flatten());
            }
        }
        found.into_iter().collect()
    }
}

impl World {
    /// The addresses `samehost` means; `None`: not known.
    pub(super) fn same_host(&self) -> Option<Vec<AddressRange>> {
        let whole = |range: &AddressRange| {
            AddressRange::with_length(range.address(), if range.address().is_ipv4() { 32 } else { 128 })
        };
        Some(self.interfaces.as_ref()?.iter().filter_map(whole).collect())
    }

    /// The addresses `samenet` means; `None`: not known.
    pub(super) fn same_net(&self) -> Option<Vec<AddressRange>> {
        self.interfaces.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_transitive_and_loops_end() {
        let mut roles = Roles::new();
        roles.grant("staff", "dev");
        roles.grant("dev", "ann");
        roles.grant("ann", "staff");
        assert!(roles.is_member(b"ann", b"staff"));
        assert!(roles.is_member(b"staff", b"staff"));
        assert!(!roles.is_member(b"bob", b"bob"), "no such role");
        assert!(!roles.is_member(b"ann", b"bob"));
        assert_eq!(
            roles.members_of(b"dev"),
            ["ann", "dev", "staff"].map(ByteString::from).iter().collect::<Vec<_>>()
        );
        assert!(roles.members_of(b"none").is_empty());
    }
}
