//! Differential test of `verify_chain` against `openssl verify -purpose sslserver`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

mod mint;

use mint::*;
use pgseal_pki::Certificate;
use rcgen::KeyPair;
use time::Duration;

struct Keys {
    root: KeyPair,
    middle: KeyPair,
    leaf: KeyPair,
    stranger: KeyPair,
}

impl Keys {
    fn new() -> Self {
        let new = || KeyPair::generate().unwrap();
        Self { root: new(), middle: new(), leaf: new(), stranger: new() }
    }
}

fn middle() -> Draft {
    Draft::new("middle", "root").with(basic_constraints(true, None)).with(key_usage(0x06))
}

fn leaf() -> Draft {
    Draft::new("db1.example.org", "middle")
        .with(basic_constraints(false, None))
        .with(alt_names(&[(DNS, b"db1.example.org")]))
}

fn without(mut draft: Draft, id: &str) -> Draft {
    draft.extensions.retain(|extension| extension.0 != id);
    draft
}

/// A change of dates to a draft.
fn aged(mut draft: Draft, from_days: i64, to_days: i64) -> Draft {
    draft.not_before = now() + Duration::days(from_days);
    draft.not_after = now() + Duration::days(to_days);
    draft
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_named_case_has_openssls_verdict() {
    let keys = Keys::new();
    let Keys { root: rk, middle: mk, leaf: lk, stranger: sk } = &keys;
    let judge = Judge::new();
    let trial = Trial { judge: &judge, at: now() };
    let r = root().sign(rk, rk);
    let m = middle().sign(mk, rk);
    let l = leaf().sign(lk, mk);
    let roots = std::slice::from_ref(&r);
    let presented = std::slice::from_ref(&m);
    let stranger = Draft::new("stranger", "stranger").with(basic_constraints(true, None)).sign(sk, sk);
    let direct = |draft: Draft| {
        let mut draft = draft;
        draft.issuer = cn("root");
        draft.sign(lk, rk)
    };
    let v1 = |subject: &str, issuer: &str| {
        let mut draft = Draft::new(subject, issuer);
        draft.version = 1;
        draft
    };
    let ok = |what, leaf: &Certificate, presented: &[Certificate], roots: &[Certificate]| {
        trial.agree(what, leaf, presented, roots).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    };
    let no = |what, words: &str, leaf: &Certificate, presented: &[Certificate], roots: &[Certificate]| {
        let refusal = trial.agree(what, leaf, presented, roots).expect_err(what).to_string();
        assert!(refusal.contains(words), "{what}: {refusal}");
    };

    ok("leaf, intermediate, root", &l, presented, roots);
    ok(
        "order shuffled, leaf and root among the presented",
        &l,
        &[r.clone(), stranger.clone(), l.clone(), m.clone()],
        roots,
    );
    ok("duplicates", &l, &[m.clone(), m.clone(), l.clone(), l.clone(), m.clone()], &[r.clone(), r.clone()]);
    ok("directly below the root", &direct(leaf()), &[], roots);
    ok("intermediate also trusted", &l, &[], &[m.clone(), r.clone()]);
    no("intermediate missing", "neither trusted nor presented", &l, &[], roots);
    no("no roots at all", "neither trusted", &l, presented, &[]);
    no("wrong root", "neither trusted", &l, presented, std::slice::from_ref(&stranger));
    no("intermediate only among the roots", "is no root", &l, &[], presented);
    no(
        "leaf itself among the roots but not self-signed",
        "neither trusted",
        &l,
        &[],
        std::slice::from_ref(&l),
    );
    no(
        "root presented but not trusted",
        "root that is not trusted",
        &l,
        &[m.clone(), r.clone()],
        std::slice::from_ref(&stranger),
    );

    // The guide's own certificate and its kin (TRAPS 6).
    let own_v1 = v1("postgres", "postgres").sign(lk, lk);
    ok("v1 self-signed leaf as its own root", &own_v1, &[], std::slice::from_ref(&own_v1));
    no("v1 self-signed leaf, not trusted", "self-signed and not trusted", &own_v1, &[], roots);
    ok("v1 leaf below a root", &direct_v1(lk, rk), &[], roots);
    let v1_root = v1("root", "root").sign(rk, rk);
    ok("v1 root", &direct(leaf()), &[], std::slice::from_ref(&v1_root));
    no(
        "v1 intermediate",
        "without being a certificate authority",
        &l,
        &[v1("middle", "root").sign(mk, rk)],
        roots,
    );
    let own_ca = Draft::new("db", "db").with(basic_constraints(true, None)).sign(lk, lk);
    ok("CA:TRUE self-signed leaf as its own root", &own_ca, &[], std::slice::from_ref(&own_ca));
    let own = Draft::new("db", "db").with(basic_constraints(false, None)).with(key_usage(0xa0)).sign(lk, lk);
    ok("CA:FALSE self-signed leaf as its own root", &own, &[], std::slice::from_ref(&own));
    ok(
        "CA:TRUE leaf below a root",
        &direct(Draft::new("db", "root").with(basic_constraints(true, None))),
        &[],
        roots,
    );
    let mimic = Draft::new("db", "db").with(basic_constraints(true, None)).sign(sk, sk);
    no(
        "self-signed leaf of a root's name",
        "self-signed and not trusted",
        &own_ca,
        &[],
        std::slice::from_ref(&mimic),
    );

    for (what, from, to, words) in
        [("expired", -30, -1, "expired on"), ("not yet valid", 1, 30, "not valid before")]
    {
        no(what, words, &aged(leaf(), from, to).sign(lk, mk), presented, roots);
        no(what, words, &l, &[aged(middle(), from, to).sign(mk, rk)], roots);
        no(what, words, &l, presented, &[aged(root(), from, to).sign(rk, rk)]);
    }
    ok("expired twin of a root", &l, presented, &[aged(root(), -30, -1).sign(rk, rk), r.clone()]);
    ok("expired twin of an intermediate", &l, &[aged(middle(), -30, -1).sign(mk, rk), m.clone()], roots);

    no("same name, other key", "did not make", &leaf().sign(lk, sk), presented, roots);
    no(
        "same-named stranger first, no backtracking",
        "did not make",
        &l,
        &[middle().sign(sk, rk), m.clone()],
        roots,
    );
    no("same-named root of another key", "did not make", &l, presented, &[root().sign(sk, sk)]);
    no("wrong issuer's name", "neither trusted", &Draft::new("db", "nobody").sign(lk, mk), presented, roots);
    let mut broken = l.der().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    no(
        "a flipped bit in the signature",
        "did not make",
        &Certificate::from_der(&broken).unwrap(),
        presented,
        roots,
    );

    let renamed = |draft: Draft| {
        let inner_algorithm = Some(sequence(&[oid("1.2.840.10045.4.3.3")]));
        Draft { inner_algorithm, ..draft }
    };
    no("another algorithm inside", "did not make", &renamed(leaf()).sign(lk, mk), presented, roots);
    no("another algorithm inside an issuer", "did not make", &l, &[renamed(middle()).sign(mk, rk)], roots);
    ok("another algorithm inside a root", &l, presented, &[renamed(root()).sign(rk, rk)]);

    let short = |path_length| {
        Draft::new("root", "root").with(basic_constraints(true, Some(path_length))).sign(rk, rk)
    };
    no("path length 0 with an intermediate", "allows 0", &l, presented, &[short(0)]);
    ok("path length 1 with an intermediate", &l, presented, &[short(1)]);
    ok("path length 0 without intermediate", &direct(leaf()), &[], &[short(0)]);
    let deep = Draft::new("deep", "middle").with(basic_constraints(true, None)).sign(sk, mk);
    let below_deep = Draft::new("db", "deep").sign(lk, sk);
    no(
        "two intermediates below path length 1",
        "allows 1",
        &below_deep,
        &[deep.clone(), m.clone()],
        &[short(1)],
    );
    let tight = Draft::new("middle", "root").with(basic_constraints(true, Some(0))).sign(mk, rk);
    no("path length 0 on an intermediate", "allows 0", &below_deep, &[deep, tight], roots);

    no(
        "intermediate CA:FALSE",
        "without being",
        &l,
        &[Draft::new("middle", "root").with(basic_constraints(false, None)).sign(mk, rk)],
        roots,
    );
    no(
        "intermediate without basic constraints",
        "without being",
        &l,
        &[without(middle(), "2.5.29.19").sign(mk, rk)],
        roots,
    );
    no(
        "intermediate without keyCertSign",
        "without being",
        &l,
        &[Draft::new("middle", "root")
            .with(basic_constraints(true, None))
            .with(key_usage(0x82))
            .sign(mk, rk)],
        roots,
    );
    ok(
        "root with key usage but no basic constraints",
        &l,
        presented,
        &[without(root(), "2.5.29.19").sign(rk, rk)],
    );
    no("root without anything", "without being", &l, presented, &[Draft::new("root", "root").sign(rk, rk)]);
    no(
        "root CA:FALSE",
        "without being",
        &l,
        presented,
        &[Draft::new("root", "root").with(basic_constraints(false, None)).sign(rk, rk)],
    );

    for (what, draft, good) in [
        ("serverAuth", leaf().with(extended_key_usage(&[SERVER_AUTH])), true),
        ("serverAuth and clientAuth", leaf().with(extended_key_usage(&[CLIENT_AUTH, SERVER_AUTH])), true),
        ("clientAuth only", leaf().with(extended_key_usage(&[CLIENT_AUTH])), false),
        ("any usage only", leaf().with(extended_key_usage(&[ANY_USAGE])), false),
        ("server gated crypto", leaf().with(extended_key_usage(&["2.16.840.1.113730.4.1"])), true),
        ("key usage digitalSignature", leaf().with(key_usage(0x80)), true),
        ("key usage keyEncipherment", leaf().with(key_usage(0x20)), true),
        ("key usage keyAgreement", leaf().with(key_usage(0x08)), true),
        ("key usage keyCertSign only", leaf().with(key_usage(0x04)), false),
        ("Netscape type server", leaf().with(("2.16.840.1.113730.1.1", false, tlv(3, &[6, 0x40]))), true),
        ("Netscape type client", leaf().with(("2.16.840.1.113730.1.1", false, tlv(3, &[7, 0x80]))), false),
        ("unknown extension", leaf().with(("1.2.3.4", false, tlv(5, &[]))), true),
        ("critical subject alternative name", leaf().with(("2.5.29.18", false, sequence(&[]))), true),
    ] {
        if good {
            ok(what, &draft.sign(lk, mk), presented, roots);
        } else {
            no(what, "not meant for this use", &draft.sign(lk, mk), presented, roots);
        }
    }
    no(
        "clientAuth on the intermediate",
        "not meant",
        &l,
        &[middle().with(extended_key_usage(&[CLIENT_AUTH])).sign(mk, rk)],
        roots,
    );
    no(
        "clientAuth on the root",
        "not meant",
        &l,
        presented,
        &[root().with(extended_key_usage(&[CLIENT_AUTH])).sign(rk, rk)],
    );

    for (what, id) in [
        ("unknown", "1.2.3.4"),
        ("subject key identifier", "2.5.29.14"),
        ("issuer alternative name", "2.5.29.18"),
        ("freshest CRL", "2.5.29.46"),
    ] {
        let content = if id == "2.5.29.14" { tlv(4, &[1]) } else { tlv(5, &[]) };
        let critical = |draft: Draft| draft.with((id, true, content.clone()));
        no(what, "critical extension", &critical(leaf()).sign(lk, mk), presented, roots);
        no(what, "critical extension", &l, &[critical(middle()).sign(mk, rk)], roots);
        no(what, "critical extension", &l, presented, &[critical(root()).sign(rk, rk)]);
    }
    for id in ["2.5.29.32", "2.5.29.36", "2.5.29.54", "1.3.6.1.5.5.7.48.1.5"] {
        let content = match id {
            "2.5.29.32" => sequence(&[sequence(&[oid("2.5.29.32.0")])]),
            "2.5.29.36" => sequence(&[tlv(0x80, &[5])]),
            "2.5.29.54" => tlv(2, &[5]),
            _ => tlv(5, &[]),
        };
        ok(id, &leaf().with((id, true, content)).sign(lk, mk), presented, roots);
    }
    no(
        "basic constraints twice",
        "broken or doubled",
        &leaf().with(basic_constraints(false, None)).sign(lk, mk),
        presented,
        roots,
    );
    no(
        "broken key usage",
        "broken or doubled",
        &leaf().with(("2.5.29.15", true, vec![1, 2, 3])).sign(lk, mk),
        presented,
        roots,
    );
    no("empty key usage", "broken or doubled", &leaf().with(key_usage(0)).sign(lk, mk), presented, roots);
    no(
        "broken extension on the intermediate",
        "neither trusted",
        &l,
        &[middle().with(("2.5.29.15", true, vec![9])).sign(mk, rk)],
        roots,
    );
    ok(
        "broken extension that nobody obeys",
        &leaf().with(("1.3.6.1.5.5.7.1.1", false, vec![9])).sign(lk, mk),
        presented,
        roots,
    );
    no(
        "proxy certificate",
        "proxy",
        &without(leaf(), "2.5.29.17")
            .with(("1.3.6.1.5.5.7.1.14", true, sequence(&[sequence(&[oid("1.3.6.1.5.5.7.21.1")])])))
            .sign(lk, mk),
        presented,
        roots,
    );

    let identified = middle().with(subject_key_id(&[7; 20])).sign(mk, rk);
    ok(
        "key identifiers agree",
        &leaf().with(authority_key_id(&[7; 20])).sign(lk, mk),
        std::slice::from_ref(&identified),
        roots,
    );
    no(
        "key identifiers differ",
        "neither trusted",
        &leaf().with(authority_key_id(&[8; 20])).sign(lk, mk),
        std::slice::from_ref(&identified),
        roots,
    );
    ok(
        "authority key identifier without counterpart",
        &leaf().with(authority_key_id(&[8; 20])).sign(lk, mk),
        presented,
        roots,
    );
    ok(
        "issuer and serial agree",
        &leaf().with(authority_issuer_serial(&cn("root"), &[1])).sign(lk, mk),
        presented,
        roots,
    );
    no(
        "serial differs",
        "neither trusted",
        &leaf().with(authority_issuer_serial(&cn("root"), &[2])).sign(lk, mk),
        presented,
        roots,
    );
    no(
        "issuer differs",
        "neither trusted",
        &leaf().with(authority_issuer_serial(&cn("rot"), &[1])).sign(lk, mk),
        presented,
        roots,
    );
    ok(
        "the right twin by key identifier",
        &leaf().with(authority_key_id(&[7; 20])).sign(lk, mk),
        &[middle().with(subject_key_id(&[9; 20])).sign(sk, rk), identified.clone()],
        roots,
    );
    ok(
        "cross-signed intermediate, first issuer unknown",
        &l,
        &[m.clone(), Draft::new("middle", "nobody").with(basic_constraints(true, None)).sign(mk, sk)],
        roots,
    );

    for (one, two) in [("Middle  CA", " middle ca"), ("MIDDLE", "middle")] {
        let mut upper = middle();
        upper.subject = cn(one);
        let mut lower = leaf();
        lower.issuer = name_of(&[(CN, 19, two.as_bytes())]);
        ok("names differ in case, spaces and type", &lower.sign(lk, mk), &[upper.sign(mk, rk)], roots);
    }
    let mut latin = middle();
    latin.subject = name_of(&[(CN, 20, b"m\xfcnchen")]);
    let mut utf8 = leaf();
    utf8.issuer = cn("münchen");
    ok("Latin-1 and UTF-8", &utf8.sign(lk, mk), &[latin.sign(mk, rk)], roots);
    utf8.issuer = name_of(&[(CN, 30, &[0, b'm', 0, 0xfc, 0, b'n', 0, b'c', 0, b'h', 0, b'e', 0, b'n'])]);
    ok("Latin-1 and UTF-16", &utf8.sign(lk, mk), &[latin.sign(mk, rk)], roots);
    utf8.issuer = cn("MÜNCHEN");
    no("only ASCII letters fold", "neither trusted", &utf8.sign(lk, mk), &[latin.sign(mk, rk)], roots);
    let mut two = leaf();
    two.issuer = name_of(&[(CN, UTF8, b"middle"), (CN, UTF8, b"x")]);
    no("one part more", "neither trusted", &two.sign(lk, mk), presented, roots);
}

fn direct_v1(key: &KeyPair, signer: &KeyPair) -> Certificate {
    let mut draft = Draft::new("postgres", "root");
    draft.version = 1;
    draft.sign(key, signer)
}

#[test]
fn dates_are_compared_to_the_second_as_openssl_does() {
    let keys = Keys::new();
    let root = aged(root(), -40, 40).sign(&keys.root, &keys.root);
    let mut draft = leaf();
    draft.issuer = cn("root");
    let leaf = draft.sign(&keys.leaf, &keys.root);
    let judge = Judge::new();
    for (edge, good_offsets) in [(leaf.not_before(), 0..=1), (leaf.not_after(), -1..=-1)] {
        for offset in -1..=1 {
            let trial = Trial { judge: &judge, at: edge + Duration::seconds(offset) };
            let verdict = trial.agree("edge", &leaf, &[], std::slice::from_ref(&root));
            assert_eq!(verdict.is_ok(), good_offsets.contains(&offset), "{edge} {offset}");
        }
    }
}

#[test]
fn weak_keys_and_signatures_are_refused_as_at_security_level_2() {
    let judge = Judge::new();
    let make = |name: &str, bits: &str, digest: &str| {
        let key = judge.write(&format!("{name}.key"), "");
        let key = key.to_str().unwrap();
        said(&openssl(&["genrsa", "-out", key, bits], b""));
        let subject = format!("/CN={name}");
        let pem = said(&openssl(
            &[
                "req",
                "-x509",
                "-key",
                key,
                digest,
                "-days",
                "9",
                "-subj",
                &subject,
                "-addext",
                "keyUsage=critical,keyCertSign,digitalSignature",
            ],
            b"",
        ));
        pgseal_pki::read_bundle(pem.as_bytes()).unwrap().certificates.remove(0)
    };
    let signed = |digest: &str, root: &Certificate| {
        let root_file = judge.write("signer.pem", &root.pem());
        let directory = root_file.parent().unwrap();
        let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        said(&openssl(
            &[
                "req",
                "-new",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &file("l.key"),
                "-subj",
                "/CN=leaf",
                "-out",
                &file("l.csr"),
            ],
            b"",
        ));
        let pem = said(&openssl(
            &[
                "x509",
                "-req",
                "-in",
                &file("l.csr"),
                "-CA",
                &file("signer.pem"),
                "-CAkey",
                &file("good.key"),
                digest,
                "-set_serial",
                "7",
                "-days",
                "9",
            ],
            b"",
        ));
        pgseal_pki::read_bundle(pem.as_bytes()).unwrap().certificates.remove(0)
    };
    let trial = Trial { judge: &judge, at: now() + Duration::minutes(1) };
    let weak = make("weak", "1024", "-sha256");
    trial.agree("RSA 1024", &weak, &[], std::slice::from_ref(&weak)).unwrap_err();
    let sha1_root = make("good", "2048", "-sha1");
    trial.agree("SHA-1 on the root itself", &sha1_root, &[], std::slice::from_ref(&sha1_root)).unwrap();
    let sound = signed("-sha256", &sha1_root);
    assert_eq!(sound.signature_algorithm(), "sha256WithRSAEncryption");
    trial.agree("below a SHA-1 root", &sound, &[], std::slice::from_ref(&sha1_root)).unwrap();
    for digest in ["-sha1", "-md5"] {
        let leaf = signed(digest, &sha1_root);
        let refusal = trial.agree(digest, &leaf, &[], std::slice::from_ref(&sha1_root)).unwrap_err();
        assert!(refusal.to_string().contains("too weak"), "{refusal}");
    }
}

#[test]
fn a_curve_that_is_spelled_out_is_refused_in_a_chain_only() {
    let judge = Judge::new();
    let file = |name: &str| judge.write(name, "").to_str().unwrap().to_owned();
    let (ca_key, key, csr) = (file("ca.key"), file("x.key"), file("x.csr"));
    let explicit = ["ecparam", "-genkey", "-name", "prime256v1", "-param_enc", "explicit", "-out", &key];
    said(&openssl(&explicit, b""));
    said(&openssl(&["ecparam", "-genkey", "-name", "prime256v1", "-out", &ca_key], b""));
    let read = |pem: &str| pgseal_pki::read_bundle(pem.as_bytes()).unwrap().certificates.remove(0);
    let self_signed = |key: &str| {
        said(&openssl(&["req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-days", "9"], b""))
    };
    let ca = self_signed(&ca_key);
    let ca_file = judge.write("ca.pem", &ca);
    said(&openssl(&["req", "-new", "-key", &key, "-subj", "/CN=leaf", "-out", &csr], b""));
    let sign =
        ["x509", "-req", "-in", &csr, "-CA", ca_file.to_str().unwrap(), "-CAkey", &ca_key, "-days", "9"];
    let leaf = read(&said(&openssl(&sign, b"")));
    let trial = Trial { judge: &judge, at: now() + Duration::minutes(1) };
    let refusal = trial.agree("explicit leaf", &leaf, &[], &[read(&ca)]).unwrap_err();
    assert!(refusal.to_string().contains("spells out its elliptic curve"), "{refusal}");
    let own = read(&self_signed(&key));
    trial.agree("explicit, alone", &own, &[], std::slice::from_ref(&own)).unwrap();
}

#[test]
fn the_order_of_a_chain_is_found_again_and_strangers_are_named() {
    let keys = Keys::new();
    let root = root().sign(&keys.root, &keys.root);
    let middle = middle().sign(&keys.middle, &keys.root);
    let twin =
        Draft::new("middle", "root").with(basic_constraints(true, None)).sign(&keys.stranger, &keys.root);
    let leaf = leaf().sign(&keys.leaf, &keys.middle);
    let presented = [root.clone(), twin, leaf.clone(), middle.clone(), middle];
    let order = pgseal_pki::chain::order_of(&leaf, &presented);
    assert_eq!((order.issuers, order.strangers), (vec![3, 0], vec![1, 4]));
    let order = pgseal_pki::chain::order_of(&root, &presented[2..3]);
    assert_eq!((order.issuers, order.strangers), (vec![], vec![0]));
}

#[test]
fn a_hundred_presented_certificates_are_looked_at_and_no_more() {
    let keys = Keys::new();
    let root = root().sign(&keys.root, &keys.root);
    let mut draft = leaf();
    draft.issuer = cn("ca 0");
    let leaf = draft.sign(&keys.leaf, &keys.middle);
    let chain: Vec<Certificate> = (0..100)
        .map(|number| {
            let issuer = if number == 99 { "root".to_owned() } else { format!("ca {}", number + 1) };
            let signer = if number == 99 { &keys.root } else { &keys.middle };
            Draft::new(&format!("ca {number}"), &issuer)
                .with(basic_constraints(true, None))
                .sign(&keys.middle, signer)
        })
        .collect();
    let judge = Judge::new();
    let trial = Trial { judge: &judge, at: now() };
    let roots = std::slice::from_ref(&root);
    let start = std::time::Instant::now();
    trial.agree("99 issuers and a root", &draft_below(1, &keys), &chain[1..], roots).unwrap();
    trial.agree("100 issuers and a root", &leaf, &chain, roots).unwrap();
    let mut more = chain.clone();
    more.push(root.clone());
    let refusal =
        pgseal_pki::verify_chain(&leaf, &more, roots, now(), pgseal_pki::Purpose::Server).unwrap_err();
    assert!(refusal.to_string().contains("101 further certificates"), "{refusal}");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

fn draft_below(number: usize, keys: &Keys) -> Certificate {
    let mut draft = leaf();
    draft.issuer = cn(&format!("ca {number}"));
    draft.sign(&keys.leaf, &keys.middle)
}
