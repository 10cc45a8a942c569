//! Every kind of name against every kind of subtree, here and by `openssl verify`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod mint;

use mint::*;
use rcgen::KeyPair;

type Names<'a> = Vec<(u8, &'a [u8])>;

#[test]
fn name_constraints_are_compared_as_openssl_does() {
    let root_key = KeyPair::generate().unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let judge = Judge::new();
    let trial = Trial { judge: &judge, at: now() };
    let directory = cn("unit");
    let names: Vec<(&str, Names<'_>)> = vec![
        ("db1.example.org", vec![(DNS, b"db1.example.org")]),
        ("db1.example.org", vec![]),
        ("localhost", vec![]),
        ("x", vec![(DNS, b"example.org"), (DNS, b"a.b.example.org")]),
        ("x", vec![(DNS, b"badexample.org")]),
        ("x", vec![(DNS, b"*.example.org")]),
        ("x", vec![(DNS, b"EXAMPLE.ORG")]),
        ("x", vec![(DNS, b"")]),
        ("x", vec![(IP, &[10, 1, 2, 3])]),
        ("x", vec![(IP, &[11, 1, 2, 3]), (DNS, b"example.org")]),
        ("x", vec![(IP, &[0xfd; 16])]),
        ("x", vec![(IP, &[1, 2, 3])]),
        ("x", vec![(EMAIL, b"me@example.org")]),
        ("x", vec![(EMAIL, b"me@mail.example.org")]),
        ("x", vec![(EMAIL, b"me@EXAMPLE.org")]),
        ("x", vec![(EMAIL, b"nobody")]),
        ("x", vec![(URI, b"https://db1.example.org:5432/x?y")]),
        ("x", vec![(URI, b"https://me@example.org")]),
        ("x", vec![(URI, b"urn:x")]),
        ("x", vec![(DIRECTORY, &directory)]),
        ("unit", vec![]),
        ("a_b.example.org", vec![]),
        ("-a.example.org", vec![]),
        ("a..example.org", vec![]),
        ("*.example.org", vec![]),
        ("other.example.com", vec![(DNS, b"db1.example.org")]),
        ("other.example.com", vec![(IP, &[10, 1, 2, 3])]),
    ];
    let mask = |address: &[u8], mask: &[u8]| [address, mask].concat();
    let ten = mask(&[10, 0, 0, 0], &[255, 0, 0, 0]);
    let ten_host = mask(&[10, 1, 2, 3], &[255, 0, 0, 0]);
    let fd = mask(&[0xfd; 16], &[0xff; 16]);
    let all4 = [0; 8];
    let bases: Vec<(u8, &[u8])> = vec![
        (DNS, b"example.org"),
        (DNS, b".example.org"),
        (DNS, b"Example.Org"),
        (DNS, b"org"),
        (DNS, b""),
        (IP, &ten),
        (IP, &ten_host),
        (IP, &fd),
        (IP, &all4),
        (IP, &[10, 0, 0, 0]),
        (EMAIL, b"example.org"),
        (EMAIL, b".example.org"),
        (EMAIL, b"me@example.org"),
        (EMAIL, b"@example.org"),
        (URI, b"example.org"),
        (URI, b".example.org"),
        (DIRECTORY, &directory),
    ];
    for (common_name, names) in &names {
        for base in &bases {
            for excluded in [false, true] {
                let constraint =
                    if excluded { name_constraints(&[], &[*base]) } else { name_constraints(&[*base], &[]) };
                let root = root().with(constraint).sign(&root_key, &root_key);
                let mut draft = Draft::new(common_name, "root");
                if !names.is_empty() {
                    draft = draft.with(alt_names(names));
                }
                let leaf = draft.sign(&leaf_key, &root_key);
                let what = format!("{common_name} {names:?} against {base:?}, excluded {excluded}");
                let _ = trial.agree(&what, &leaf, &[], std::slice::from_ref(&root));
            }
        }
    }
}
