//! Makes certificates of every kind, also wrong ones, and asks the openssl command about them.
//!
//! rcgen writes only sound version 3 certificates; here every field is free.
#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::similar_names,
    reason = "a failure here is a failed test"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use pgseal_pki::{Certificate, ChainRefusal, Purpose, verify_chain};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use time::{Duration, OffsetDateTime};

/// One DER element.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(u8::try_from(short).unwrap()),
        long => {
            let bytes: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap());
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut bytes = vec![u8::try_from(arcs[0] * 40 + arcs[1]).unwrap()];
    for arc in &arcs[2..] {
        let mut groups = vec![u8::try_from(arc & 0x7f).unwrap()];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
            rest >>= 7;
        }
        groups.reverse();
        bytes.extend(groups);
    }
    tlv(0x06, &bytes)
}

/// A name of one attribute in each place, values as `UTF8String` or with another tag.
pub(crate) fn name_of(parts: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> =
        parts.iter().map(|(kind, tag, value)| tlv(0x31, &sequence(&[oid(kind), tlv(*tag, value)]))).collect();
    sequence(&rdns)
}

pub(crate) const CN: &str = "2.5.4.3";
pub(crate) const UTF8: u8 = 12;

pub(crate) fn cn(name: &str) -> Vec<u8> {
    name_of(&[(CN, UTF8, name.as_bytes())])
}

pub(crate) fn date(moment: OffsetDateTime) -> Vec<u8> {
    let m = u8::from(moment.month());
    let rest =
        format!("{m:02}{:02}{:02}{:02}{:02}Z", moment.day(), moment.hour(), moment.minute(), moment.second());
    if (1950..2050).contains(&moment.year()) {
        tlv(0x17, format!("{:02}{rest}", moment.year() % 100).as_bytes())
    } else {
        tlv(0x18, format!("{:04}{rest}", moment.year()).as_bytes())
    }
}

/// An extension: identifier, critical, content.
pub(crate) type Extension = (&'static str, bool, Vec<u8>);

pub(crate) fn basic_constraints(ca: bool, path_length: Option<u8>) -> Extension {
    let mut parts = Vec::new();
    if ca {
        parts.push(tlv(0x01, &[0xff]));
    }
    parts.extend(path_length.map(|length| tlv(0x02, &[length])));
    ("2.5.29.19", true, sequence(&parts))
}

/// Bits of the key usage: 0x80 digitalSignature, 0x20 keyEncipherment, 0x04 keyCertSign, 0x02 cRLSign.
pub(crate) fn key_usage(bits: u8) -> Extension {
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
    ("2.5.29.15", true, tlv(0x03, &[unused, bits]))
}

pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const ANY_USAGE: &str = "2.5.29.37.0";

pub(crate) fn extended_key_usage(purposes: &[&str]) -> Extension {
    let oids: Vec<Vec<u8>> = purposes.iter().map(|purpose| oid(purpose)).collect();
    ("2.5.29.37", false, sequence(&oids))
}

pub(crate) fn subject_key_id(id: &[u8]) -> Extension {
    ("2.5.29.14", false, tlv(0x04, id))
}

pub(crate) fn authority_key_id(id: &[u8]) -> Extension {
    ("2.5.29.35", false, sequence(&[tlv(0x80, id)]))
}

/// The authority by its issuer's name and serial.
pub(crate) fn authority_issuer_serial(issuer: &[u8], serial: &[u8]) -> Extension {
    let general_name = tlv(0xa4, issuer);
    ("2.5.29.35", false, sequence(&[tlv(0xa1, &general_name), tlv(0x82, serial)]))
}

/// Tags of general names.
pub(crate) const EMAIL: u8 = 0x81;
pub(crate) const DNS: u8 = 0x82;
pub(crate) const URI: u8 = 0x86;
pub(crate) const IP: u8 = 0x87;
pub(crate) const DIRECTORY: u8 = 0xa4;

pub(crate) fn alt_names(names: &[(u8, &[u8])]) -> Extension {
    let names: Vec<Vec<u8>> = names.iter().map(|(tag, value)| tlv(*tag, value)).collect();
    ("2.5.29.17", false, sequence(&names))
}

/// Permitted and excluded subtrees.
pub(crate) fn name_constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Extension {
    let trees = |tag: u8, bases: &[(u8, &[u8])]| {
        let bases: Vec<Vec<u8>> = bases.iter().map(|(kind, base)| sequence(&[tlv(*kind, base)])).collect();
        tlv(tag, &bases.concat())
    };
    let mut parts = Vec::new();
    if !permitted.is_empty() {
        parts.push(trees(0xa0, permitted));
    }
    if !excluded.is_empty() {
        parts.push(trees(0xa1, excluded));
    }
    ("2.5.29.30", true, sequence(&parts))
}

/// A certificate to be signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: u8,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    pub(crate) extensions: Vec<Extension>,
    /// The algorithm that the signed part names, where it is another than that of the signature.
    pub(crate) inner_algorithm: Option<Vec<u8>>,
}

/// The moment at which all tests judge, without a fraction.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(OffsetDateTime::now_utc().unix_timestamp()).unwrap()
}

impl Draft {
    /// Version 3, valid for a month around now, no extensions.
    pub(crate) fn new(subject: &str, issuer: &str) -> Self {
        Self {
            version: 3,
            serial: vec![1],
            issuer: cn(issuer),
            subject: cn(subject),
            not_before: now() - Duration::days(15),
            not_after: now() + Duration::days(15),
            extensions: Vec::new(),
            inner_algorithm: None,
        }
    }

    pub(crate) fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    pub(crate) fn to_der(&self, key: &KeyPair, signer: &KeyPair) -> Vec<u8> {
        let algorithm = algorithm(signer);
        let mut parts = Vec::new();
        if self.version > 1 {
            parts.push(tlv(0xa0, &tlv(0x02, &[self.version - 1])));
        }
        parts.push(tlv(0x02, &self.serial));
        parts.push(self.inner_algorithm.clone().unwrap_or_else(|| algorithm.clone()));
        parts.push(self.issuer.clone());
        parts.push(sequence(&[date(self.not_before), date(self.not_after)]));
        parts.push(self.subject.clone());
        parts.push(key.subject_public_key_info());
        if !self.extensions.is_empty() {
            let extensions: Vec<Vec<u8>> = self.extensions.iter().map(extension).collect();
            parts.push(tlv(0xa3, &sequence(&extensions)));
        }
        signed(&sequence(&parts), signer)
    }

    pub(crate) fn sign(&self, key: &KeyPair, signer: &KeyPair) -> Certificate {
        Certificate::from_der(&self.to_der(key, signer)).unwrap()
    }
}

pub(crate) fn extension((id, critical, content): &Extension) -> Vec<u8> {
    let mut parts = vec![oid(id)];
    if *critical {
        parts.push(tlv(0x01, &[0xff]));
    }
    parts.push(tlv(0x04, content));
    sequence(&parts)
}

pub(crate) fn algorithm(signer: &KeyPair) -> Vec<u8> {
    let algorithm = signer.algorithm();
    if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
        sequence(&[oid("1.2.840.10045.4.3.2")])
    } else if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 {
        sequence(&[oid("1.2.840.10045.4.3.3")])
    } else if algorithm == &rcgen::PKCS_ED25519 {
        sequence(&[oid("1.3.101.112")])
    } else {
        sequence(&[oid("1.2.840.113549.1.1.11"), tlv(0x05, &[])])
    }
}

/// A signed part, its algorithm and its signature: a certificate, or a list.
pub(crate) fn signed(part: &[u8], signer: &KeyPair) -> Vec<u8> {
    let mut signature = vec![0];
    signature.extend(signer.sign(part).unwrap());
    sequence(&[part.to_vec(), algorithm(signer), tlv(0x03, &signature)])
}

/// Runs the openssl command.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Output {
    run("openssl", arguments, input)
}

/// Runs a command that the tests need; says how to get it where it is missing.
pub(crate) fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "this test needs the command {program} ({error}): install it with the system's \
                 package manager, for example \"apt-get install {program}\""
            )
        });
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The text a command printed, after checking that it succeeded.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}{errors}", output.status);
    text
}

/// What `openssl verify` answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    /// `X509_V_ERR_…` and depth of the first error.
    Error(u16, usize),
    /// A failure without a number.
    Other(String),
}

/// A directory for certificates to be judged.
pub(crate) struct Judge {
    directory: tempfile::TempDir,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn write(&self, file: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(file);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `openssl verify` at a moment; `more` holds further options.
    pub(crate) fn ask(
        &self,
        leaf: &Certificate,
        presented: &[Certificate],
        roots: &[Certificate],
        at: OffsetDateTime,
        more: &[&str],
    ) -> Answer {
        let pem = |list: &[Certificate]| list.iter().map(Certificate::pem).collect::<String>();
        let leaf = self.write("leaf.pem", &leaf.pem());
        let at = at.unix_timestamp().to_string();
        let mut arguments = vec!["verify", "-attime", &at, "-no-CApath", "-no-CAstore"];
        arguments.extend(more);
        let files = (self.write("roots.pem", &pem(roots)), self.write("presented.pem", &pem(presented)));
        if roots.is_empty() {
            arguments.push("-no-CAfile");
        } else {
            arguments.extend(["-CAfile", files.0.to_str().unwrap()]);
        }
        if !presented.is_empty() {
            arguments.extend(["-untrusted", files.1.to_str().unwrap()]);
        }
        arguments.push(leaf.to_str().unwrap());
        let output = openssl(&arguments, b"");
        if output.status.success() {
            return Answer::Ok;
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        answer(&text).unwrap_or(Answer::Other(text))
    }
}

/// Reads `error 20 at 0 depth lookup: …`.
fn answer(text: &str) -> Option<Answer> {
    let (_, rest) = text.split_once("error ")?;
    let (code, rest) = rest.split_once(" at ")?;
    let (depth, _) = rest.split_once(" depth lookup")?;
    Some(Answer::Error(code.parse().ok()?, depth.parse().ok()?))
}

/// As libpq has it: purpose of a server, security level 2 (Debian's, Red Hat's and Ubuntu's).
pub(crate) const AS_LIBPQ: [&str; 4] = ["-purpose", "sslserver", "-auth_level", "2"];

/// A sound root named `root`.
pub(crate) fn root() -> Draft {
    Draft::new("root", "root").with(basic_constraints(true, None)).with(key_usage(0x06))
}

/// Verdicts here and of `openssl verify`, at one moment.
pub(crate) struct Trial<'a> {
    pub(crate) judge: &'a Judge,
    pub(crate) at: OffsetDateTime,
}

impl Trial<'_> {
    /// Both verdicts must agree: trusted or not, and the first error's number and depth.
    pub(crate) fn agree(
        &self,
        what: &str,
        leaf: &Certificate,
        presented: &[Certificate],
        roots: &[Certificate],
    ) -> Result<(), ChainRefusal> {
        let ours = verify_chain(leaf, presented, roots, self.at, Purpose::Server);
        let theirs = self.judge.ask(leaf, presented, roots, self.at, &AS_LIBPQ);
        let ours = ours.map(|chain| assert!(!chain.path().is_empty()));
        match (&ours, &theirs) {
            (Err(refusal), Answer::Error(code, depth)) => {
                if let Some(known) = refusal.fault().openssl_code() {
                    assert_eq!((known, refusal.depth()), (*code, *depth), "{what}: {refusal}");
                }
            }
            (Ok(()), Answer::Ok) | (Err(_), Answer::Other(_)) => {}
            _ => panic!("{what}: here {ours:?}, openssl {theirs:?}"),
        }
        ours
    }
}
