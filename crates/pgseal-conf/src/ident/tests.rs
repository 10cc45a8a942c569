use super::*;
use crate::PgVersion;
use crate::files::NoFiles;
use crate::hba::{Hinge, Roles, World};

fn maps(text: &str, version: PgVersion) -> Maps {
    Maps::read(&"pg_ident.conf".into(), text.as_bytes().to_vec(), &NoFiles, version)
}

fn allowed(text: &str, system_user: &str, user: &str) -> Mapped {
    let maps = maps(text, PgVersion::V16);
    assert!(maps.loads(), "{:?}", maps.entries);
    maps.allows(Some(b"m"), system_user.as_bytes(), user.as_bytes(), false, &World::default())
}

#[test]
fn a_line_maps_one_name_to_one_user() {
    let text = "m ann a\nother bob b\nm bob \"b\" extra fields are ignored\n";
    assert_eq!(allowed(text, "ann", "a"), Mapped::Yes);
    assert_eq!(allowed(text, "bob", "b"), Mapped::Yes);
    assert_eq!(allowed(text, "ann", "b"), Mapped::No);
    assert_eq!(allowed("m ANN a\n", "ann", "a"), Mapped::No);
}

#[test]
fn without_a_map_the_names_must_be_the_same() {
    let maps = maps("", PgVersion::V16);
    let allows = |system: &str, user: &str, ignore_case| {
        maps.allows(None, system.as_bytes(), user.as_bytes(), ignore_case, &World::default())
    };
    assert_eq!(allows("ann", "ann", false), Mapped::Yes);
    assert_eq!(allows("Ann", "ann", false), Mapped::No);
    assert_eq!(allows("Ann", "ann", true), Mapped::Yes);
}

#[test]
fn an_expression_hands_over_its_group() {
    let text = "m /^(.*)@corp\\.example$ \\1\nm /^adm_(.*)$ x\\1y\n";
    assert_eq!(allowed(text, "ann@corp.example", "ann"), Mapped::Yes);
    assert_eq!(allowed(text, "ann@corpxexample", "ann"), Mapped::No);
    assert_eq!(allowed(text, "adm_7", "x7y"), Mapped::Yes);
    assert_eq!(allowed("m /^.*$ \\1\n", "ann", "ann"), Mapped::Error);
    assert_eq!(allowed("m /^(.*)@x$ \\1\n", "all@x", "bob"), Mapped::No, "a group is a name, not a keyword");
    assert!(matches!(allowed("m /^((a)b*)c$ \\1\n", "abbc", "abb"), Mapped::Depends(_)));
}

#[test]
fn the_third_field_means_more_from_16() {
    assert_eq!(allowed("m ann all\n", "ann", "anybody"), Mapped::Yes);
    assert_eq!(allowed("m ann \"all\"\n", "ann", "anybody"), Mapped::No);
    assert_eq!(allowed("m ann /^a\n", "ann", "app"), Mapped::Yes);
    assert_eq!(
        allowed("m ann +staff\n", "ann", "x"),
        Mapped::Depends([Hinge::Membership("staff".into())].into())
    );
    let mut roles = Roles::new();
    roles.grant("staff", "x");
    let world = World { roles: Some(roles), interfaces: None };
    let new = maps("m ann +staff\n", PgVersion::V16);
    assert_eq!(new.allows(Some(b"m"), b"ann", b"x", false, &world), Mapped::Yes);
    let old = maps("m ann all\n", PgVersion::V15);
    assert_eq!(old.allows(Some(b"m"), b"ann", b"anybody", false, &world), Mapped::No);
    assert_eq!(old.allows(Some(b"m"), b"ann", b"all", false, &world), Mapped::Yes);
}

#[test]
fn mistakes_are_named_as_the_view_names_them() {
    let maps = maps("m ann\nm a,b c\nm /( c\nm ann a\n", PgVersion::V16);
    let errors: Vec<_> = maps.entries.iter().map(|entry| entry.error.as_deref()).collect();
    assert_eq!(
        errors,
        [
            Some("missing entry at end of line"),
            Some("multiple values in ident field"),
            Some("invalid regular expression \"(\": parentheses () not balanced"),
            None
        ]
    );
    assert!(!maps.loads());
    assert_eq!(maps.mappings.len(), 1);
}
