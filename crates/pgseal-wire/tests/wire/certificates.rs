//! Certificates, made when a test wants them: by pgseal-pki, and the odd ones by openssl.

use std::path::Path;
use std::process::Command;

use pgseal_pki::{AuthorityRequest, CertificateAuthority, IssuedCertificate, KeyType, LeafRequest, Subject};
use pgseal_wire::{RootFile, Roots};
use time::{Duration, OffsetDateTime};

/// A private key and the certificates that go with it, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl From<IssuedCertificate> for Identity {
    fn from(issued: IssuedCertificate) -> Self {
        Self { chain: issued.full_chain_pem(), key: issued.key.as_str().to_owned() }
    }
}

/// An authority of the test's own, valid for two years around now.
pub(crate) fn authority(name: &str) -> CertificateAuthority {
    let now = OffsetDateTime::now_utc();
    CertificateAuthority::create(&AuthorityRequest {
        subject: Subject::common_name(name).unwrap(),
        key_type: KeyType::EcdsaP256,
        not_before: now - Duration::days(365),
        not_after: now + Duration::days(365),
        permitted: None,
    })
    .unwrap()
}

/// A leaf for these names, from `from` to `to` days from now.
pub(crate) fn leaf(
    authority: &CertificateAuthority,
    names: &[&str],
    key_type: KeyType,
    (from, to): (i64, i64),
) -> Identity {
    let now = OffsetDateTime::now_utc();
    let request = LeafRequest {
        subject: None,
        sans: names.iter().map(|name| name.parse().unwrap()).collect(),
        key_type,
        not_before: now + Duration::days(from),
        not_after: now + Duration::days(to),
    };
    authority.issue_server(&request).unwrap().into()
}

/// A leaf that is good today.
pub(crate) fn good_leaf(authority: &CertificateAuthority, names: &[&str]) -> Identity {
    leaf(authority, names, KeyType::EcdsaP256, (-1, 90))
}

/// What `openssl` makes of these arguments, run one after the other in a directory of its own.
/// The last one leaves `key.pem` and `crt.pem`.
pub(crate) fn by_openssl(commands: &[&str]) -> Identity {
    let dir = tempfile::tempdir().unwrap();
    for command in commands {
        let words = shell_words(command);
        let done = Command::new("openssl").args(&words).current_dir(dir.path()).output();
        let done = done.expect("these tests need openssl: apt-get install openssl");
        assert!(done.status.success(), "openssl {command}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    Identity { chain: read("crt.pem"), key: read("key.pem") }
}

/// The certificate that guides make people make: X.509 v1, self-signed, no names but the CN.
pub(crate) fn version_one(common_name: &str) -> Identity {
    by_openssl(&[
        "ecparam -name prime256v1 -genkey -noout -out key.pem",
        &format!("req -new -key key.pem -subj /CN={common_name} -out req.pem"),
        "x509 -req -in req.pem -signkey key.pem -days 30 -out crt.pem",
    ])
}

/// A self-signed leaf that says of itself that it is an authority, as `openssl req -x509` makes.
pub(crate) fn self_signed_ca_leaf(common_name: &str) -> Identity {
    by_openssl(&[&format!(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN={common_name} -addext subjectAltName=DNS:{common_name} \
         -days 30 -keyout key.pem -out crt.pem"
    )])
}

/// Signed with a key of this kind by itself; `kind` as `openssl genpkey` has it.
pub(crate) fn self_signed(kind: &str, sign: &str) -> Identity {
    by_openssl(&[
        &format!("genpkey {kind} -out key.pem"),
        &format!(
            "req -x509 -key key.pem {sign} -subj /CN=localhost -addext subjectAltName=DNS:localhost \
             -days 30 -out crt.pem"
        ),
    ])
}

/// Writes a root file and reads it as libpq would.
pub(crate) fn root_file(dir: &Path, name: &str, pem: &str) -> RootFile {
    let path = dir.join(name);
    std::fs::write(&path, pem).unwrap();
    RootFile::read(&path)
}

/// Roots from PEM.
pub(crate) fn roots(pem: &str) -> Roots {
    Roots::from_pem("test roots", pem.as_bytes()).unwrap()
}

fn shell_words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}
