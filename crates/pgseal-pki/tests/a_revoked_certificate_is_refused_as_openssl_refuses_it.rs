//! Differential test of `verify_chain_with_lists` against `openssl verify -crl_check_all`, and of the names that
//! `openssl rehash` gives to files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

mod mint;

use mint::*;
use pgseal_pki::{Certificate, Purpose, RevocationList, verify_chain_with_lists};
use rcgen::KeyPair;
use time::Duration;

/// A list to be signed.
#[derive(Clone)]
struct Listing {
    issuer: Vec<u8>,
    serials: Vec<Vec<u8>>,
    from: i64,
    to: Option<i64>,
    extensions: Vec<Extension>,
}

impl Listing {
    fn of(issuer: &str, serials: &[u8]) -> Self {
        Self {
            issuer: cn(issuer),
            serials: serials.iter().map(|serial| vec![*serial]).collect(),
            from: -5,
            to: Some(5),
            extensions: Vec::new(),
        }
    }

    fn dated(self, from: i64, to: Option<i64>) -> Self {
        Self { from, to, ..self }
    }

    fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    fn sign(&self, signer: &KeyPair) -> Vec<u8> {
        let when = |days: i64| date(now() + Duration::days(days));
        let entries: Vec<Vec<u8>> =
            self.serials.iter().map(|serial| sequence(&[tlv(0x02, serial), when(-6)])).collect();
        let mut parts = vec![tlv(0x02, &[1]), algorithm(signer), self.issuer.clone(), when(self.from)];
        parts.extend(self.to.map(when));
        if !entries.is_empty() {
            parts.push(sequence(&entries));
        }
        if !self.extensions.is_empty() {
            let extensions: Vec<Vec<u8>> = self.extensions.iter().map(extension).collect();
            parts.push(tlv(0xa0, &sequence(&extensions)));
        }
        signed(&sequence(&parts), signer)
    }
}

fn pem(list: &[u8]) -> String {
    said(&openssl(&["crl", "-inform", "der"], list))
}

struct Bench {
    judge: Judge,
    root: Certificate,
    middle: Certificate,
    leaf: Certificate,
}

impl Bench {
    /// Both must answer the same: trusted or not, with which number, at which depth.
    fn agree(&self, what: &str, lists: &[Vec<u8>], expected: Option<u16>) {
        let ours = lists.iter().map(|list| RevocationList::from_der(list).unwrap()).collect::<Vec<_>>();
        let (presented, roots) = (std::slice::from_ref(&self.middle), std::slice::from_ref(&self.root));
        let verdict = verify_chain_with_lists(&self.leaf, presented, roots, &ours, now(), Purpose::Server);
        let file = self.judge.write("lists.pem", &lists.iter().map(|list| pem(list)).collect::<String>());
        let mut more = AS_LIBPQ.to_vec();
        more.push("-crl_check_all");
        if !lists.is_empty() {
            more.extend(["-CRLfile", file.to_str().unwrap()]);
        }
        let theirs = self.judge.ask(&self.leaf, presented, roots, now(), &more);
        let ours = match &verdict {
            Ok(_) => Answer::Ok,
            Err(refusal) => Answer::Error(refusal.fault().openssl_code().unwrap(), refusal.depth()),
        };
        assert_eq!(ours, theirs, "{what}: {verdict:?}");
        assert_eq!(verdict.err().and_then(|refusal| refusal.fault().openssl_code()), expected, "{what}");
    }
}

#[test]
fn every_list_has_openssls_verdict() {
    let new = || KeyPair::generate().unwrap();
    let (rk, mk, lk, sk) = (new(), new(), new(), new());
    let serial = |mut draft: Draft, number: u8| {
        draft.serial = vec![number];
        draft
    };
    let middle = || {
        let draft = Draft::new("middle", "root").with(basic_constraints(true, None));
        serial(draft.with(subject_key_id(b"the middle")), 7)
    };
    let leaf = serial(Draft::new("leaf", "middle").with(basic_constraints(false, None)), 9).sign(&lk, &mk);
    let bench = Bench {
        judge: Judge::new(),
        root: root().sign(&rk, &rk),
        middle: middle().with(key_usage(0x06)).sign(&mk, &rk),
        leaf: leaf.clone(),
    };
    let clean = Listing::of("root", &[]).sign(&rk);
    let with = |of_middle: &Listing| vec![clean.clone(), of_middle.sign(&mk)];
    let of_middle = |serials: &[u8]| Listing::of("middle", serials);

    bench.agree("nobody revoked", &with(&of_middle(&[])), None);
    bench.agree("somebody else revoked", &with(&of_middle(&[8, 10])), None);
    bench.agree("the leaf revoked", &with(&of_middle(&[8, 9])), Some(23));
    bench.agree(
        "the intermediate revoked",
        &[Listing::of("root", &[7]).sign(&rk), of_middle(&[]).sign(&mk)],
        Some(23),
    );
    bench.agree("no list at all", &[], Some(3));
    bench.agree("no list of the intermediate's", std::slice::from_ref(&clean), Some(3));
    bench.agree("no list of the root's", &[of_middle(&[]).sign(&mk)], Some(3));
    bench.agree("a stranger's list", &[clean.clone(), Listing::of("stranger", &[]).sign(&sk)], Some(3));
    bench.agree("another key of the same name", &[clean.clone(), of_middle(&[]).sign(&sk)], Some(8));
    bench.agree("expired", &with(&of_middle(&[]).dated(-5, Some(-1))), Some(12));
    bench.agree("not valid yet", &with(&of_middle(&[]).dated(1, Some(5))), Some(11));
    bench.agree("without an end", &with(&of_middle(&[]).dated(-5, None)), None);
    bench.agree(
        "an expired one beside a current one",
        &[clean.clone(), of_middle(&[9]).dated(-5, Some(-1)).sign(&mk), of_middle(&[]).sign(&mk)],
        None,
    );
    bench.agree(
        "the older one beside the newer",
        &[clean.clone(), of_middle(&[]).dated(-9, Some(5)).sign(&mk), of_middle(&[9]).sign(&mk)],
        Some(23),
    );
    let unknown = ("1.3.6.1.4.1.99999.1", true, tlv(0x05, &[]));
    bench.agree("a critical extension", &with(&of_middle(&[]).with(unknown)), Some(36));
    let key_id = |id: &[u8]| authority_key_id(id);
    bench.agree("its key by identifier", &with(&of_middle(&[]).with(key_id(b"the middle"))), None);

    let silent = Bench {
        judge: Judge::new(),
        root: bench.root.clone(),
        middle: middle().with(key_usage(0x04)).sign(&mk, &rk),
        leaf,
    };
    silent.agree("an authority that may not sign lists", &with(&of_middle(&[])), Some(35));
}

#[test]
fn a_name_is_digested_as_openssl_digests_it() {
    let key = KeyPair::generate().unwrap();
    let names: Vec<Vec<u8>> = vec![
        cn("root"),
        cn("  The   Root \t CA "),
        name_of(&[
            ("2.5.4.6", 19, b"DE"),
            ("2.5.4.10", UTF8, "Zürich & Söhne".as_bytes()),
            (CN, 22, b"CA 1"),
        ]),
        name_of(&[(CN, 20, b"caf\xe9"), ("1.2.840.113549.1.9.1", 22, b"Ca@Example.ORG")]),
        name_of(&[(CN, 30, &[0, b'A', 0, b' ', 0x20, 0xac])]),
        name_of(&[(CN, UTF8, &[b'x'; 300])]),
    ];
    for subject in names {
        let mut draft = Draft::new("x", "x");
        draft.subject = subject;
        let certificate = draft.sign(&key, &key);
        let theirs = said(&openssl(&["x509", "-noout", "-hash"], certificate.pem().as_bytes()));
        assert_eq!(certificate.subject().openssl_hash(), theirs.trim(), "{}", certificate.subject());
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for bytes in [&[][..], b"hello", &[0x30, 0x03, 1, 2, 3], &[0x30; 200]] {
        assert!(RevocationList::from_der(bytes).is_err());
    }
    let key = KeyPair::generate().unwrap();
    let mut list = Listing::of("root", &[1, 2, 3]).sign(&key);
    assert_eq!(RevocationList::from_der(&list).unwrap().len(), 3);
    list.push(0);
    assert!(RevocationList::from_der(&list).is_err());
}
