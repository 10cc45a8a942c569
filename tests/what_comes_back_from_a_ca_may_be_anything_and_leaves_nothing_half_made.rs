//! `pgseal cert import` of what a company's people may send back: a chain with other line ends, marks, an order of its own,
//! words between and the root in it is taken; what is no chain, or none for this key, names what it is, and leaves
//! nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Account, Pgseal, Ran, Sandbox, record, run};

/// A root, an intermediate and one that is over, by openssl; of a request a leaf as it is to be, and others that are not.
const COMPANY: &str = r#"
made() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"; }
made -x509 -keyout root.key -out root.crt -days 30 -subj /CN=root -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign
made -keyout inter.key -out inter.csr -subj /CN=issuing
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n' > inter.ext
openssl x509 -req -in inter.csr -CA root.crt -CAkey root.key -CAcreateserial -days 20 -extfile inter.ext -out inter.crt
mkdir index && : > index/index.txt && echo 01 > index/serial
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index/index.txt\nserial=index/serial\nnew_certs_dir=index\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=optional\n' > ca.conf
printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n' > leaf.ext
dated() { # out extensions begin end certificate key
    openssl ca -batch -notext -config ca.conf -in "$request" -subj /CN=db1 -out "$1" -extfile "$2" -startdate "$3" -enddate "$4" \
        -cert "$5" -keyfile "$6"
}
day() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
request=$1
dated leaf.crt leaf.ext "$(day '-1 hour')" "$(day '+9 days')" inter.crt inter.key
dated early.crt leaf.ext "$(day '+1 day')" "$(day '+9 days')" inter.crt inter.key
dated late.crt leaf.ext "$(day '-9 days')" "$(day '-1 day')" inter.crt inter.key
dated ca.crt inter.ext "$(day '-1 hour')" "$(day '+9 days')" inter.crt inter.key
grep -v subjectAltName leaf.ext > nameless.ext
dated nameless.crt nameless.ext "$(day '-1 hour')" "$(day '+9 days')" inter.crt inter.key
request=inter.csr
openssl ca -batch -notext -config ca.conf -in inter.csr -out over.crt -extfile inter.ext -startdate "$(day '-9 days')" \
    -enddate "$(day '-1 day')" -cert root.crt -keyfile root.key
"#;

/// The forms in which people send it.
const FORMS: &str = r#"
cat root.crt inter.crt leaf.crt > reversed.pem
sed 's/$/\r/' leaf.crt > crlf.pem; sed 's/$/\r/' inter.crt >> crlf.pem
(printf '\357\273\277'; cat crlf.pem) > bom.pem
(echo 'Dear all,'; cat inter.crt; echo; echo '# subject=/CN=db1'; cat leaf.crt; openssl ecparam -name prime256v1; echo Regards) > letter.pem
(cat leaf.crt inter.crt; openssl x509 -in inter.crt -text -noout) > with-text.pem
cat leaf.crt leaf.crt inter.crt inter.crt > twice.pem
openssl x509 -in leaf.crt -outform der -out der.crt
openssl crl2pkcs7 -nocrl -certfile reversed.pem -outform der -out der.p7b
openssl crl2pkcs7 -nocrl -certfile reversed.pem -out pem.p7b
cp "$1" own.key
openssl pkcs12 -export -in leaf.crt -inkey own.key -passout pass: -out both.p12
openssl pkey -in own.key -outform der -out der.key
head -c 300 leaf.crt > cut.pem
: > empty.pem
echo '<html><title>Sign in</title></html>' > page.pem
cat leaf.crt inter.crt > chain.pem
cat leaf.crt over.crt > over.pem
for which in early late ca nameless; do cat $which.crt inter.crt > $which.pem; done
sed '3s/^..../!!!!/' leaf.crt > spoilt.pem
"#;

fn by() -> Account {
    Account::current()
}

fn cert<'s>(sandbox: &'s Sandbox, words: &[&str]) -> Pgseal<'s> {
    let state = sandbox.home_of(&by()).join("state");
    Pgseal::new(sandbox).env("PGSEAL_STATE_DIR", state).arg("cert").args(words)
}

#[track_caller]
fn sh(folder: &Path, script: &str, word: &str) {
    let mut shell = by().command("sh", "/nonexistent".as_ref());
    shell.current_dir(folder).args(["-ec", script, "sh", word]);
    run(shell, b"", Duration::from_secs(60)).succeeded();
}

/// What came back, for a request of ours.
struct Answer {
    sandbox: Sandbox,
    folder: PathBuf,
    key: String,
}

impl Answer {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let asked = cert(&sandbox, &["csr", "--san", "localhost", "--out", "db1", "--format", "json"]);
        let asked = asked.run().succeeded().json();
        let (request, key) = (asked["request"].as_str().unwrap(), asked["key"].as_str().unwrap());
        let folder = sandbox.dir_of(&by(), "company");
        sh(&folder, COMPANY, request);
        sh(&folder, FORMS, key);
        Self { folder, key: key.to_owned(), sandbox }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn import(&self, name: &str, key: &str, out: &str) -> Ran {
        let (file, root) = (self.path(name), self.path("root.crt"));
        cert(&self.sandbox, &["import", &file, "--key", key, "--sslrootcert", &root, "--out", out]).run()
    }

    fn work(&self) -> PathBuf {
        cert(&self.sandbox, &[]).work_dir()
    }

    /// Certificates in the list of all that were issued or taken in.
    fn listed(&self) -> usize {
        let told = cert(&self.sandbox, &["list", "--format", "json"]).run().succeeded().json();
        told["certificates"].as_array().map(Vec::len).unwrap()
    }
}

#[test]
fn whatever_form_the_chain_comes_in_the_same_bytes_are_kept() {
    let answer = Answer::new();
    let read = |name: &str| fs::read_to_string(answer.folder.join(name)).unwrap();
    let chain = read("leaf.crt") + &read("inter.crt");
    for form in ["chain", "reversed", "crlf", "bom", "letter", "with-text", "twice"] {
        let ran = answer.import(&format!("{form}.pem"), &answer.key, form).succeeded();
        let kept = answer.work().join(form);
        assert_eq!(fs::read_to_string(kept.join("server.crt")).unwrap(), chain, "{form}:\n{ran}");
        let pem = fs::read_to_string(kept.join("server-with-key.pem")).unwrap();
        assert!(pem.contains(&chain) && pem.contains(&fs::read_to_string(&answer.key).unwrap()), "{form}");
        assert_eq!(fs::read_to_string(kept.join("ca.crt")).unwrap(), read("root.crt"), "{form}");
        record("a form of a company's chain", 1);
    }
    answer.import("reversed.pem", &answer.key, "again").succeeded().says("the root CN=root was left out");
}

#[test]
fn what_is_no_chain_for_this_key_says_what_it_is_and_leaves_nothing() {
    let answer = Answer::new();
    let before = answer.listed();
    let key = fs::read(&answer.key).unwrap();
    let cases = [
        ("der.crt", "own.key", "openssl x509 -inform der"),
        ("both.p12", "own.key", "PKCS#12"),
        ("der.p7b", "own.key", "openssl pkcs7 -inform der -print_certs"),
        ("pem.p7b", "own.key", "it holds PKCS#7"),
        ("chain.pem", "der.key", "openssl pkey -inform der"),
        ("own.key", "leaf.crt", "certificate and key are swapped"),
        ("own.key", "own.key", "it is the private key once more"),
        ("root.key", "own.key", "it holds a private key, and what was signed is wanted"),
        ("inter.csr", "own.key", "it holds the request"),
        ("chain.pem", "root.key", "none of the 2 certificates in"),
        ("inter.crt", "own.key", "is for another key"),
        ("empty.pem", "own.key", "it is empty"),
        ("page.pem", "own.key", "it holds no PEM block"),
        ("cut.pem", "own.key", "that begins at line 1 does not end"),
        ("spoilt.pem", "own.key", "at line 1 holds no valid base64"),
        ("leaf.crt", "own.key", "CN=issuing is missing"),
        ("early.pem", "own.key", "not valid before"),
        ("late.pem", "own.key", "expired"),
        ("over.pem", "own.key", "expired"),
        ("ca.pem", "own.key", ""),
        ("nameless.pem", "own.key", "no subject alternative names"),
    ];
    for (file, with, sentence) in cases {
        let ran = answer.import(file, &answer.path(with), "signed").ended(2);
        let ran = ran.complains(sentence).complains("nothing was changed").never_mentions("PRIVATE KEY");
        assert!(!answer.work().join("signed").exists(), "{file} with {with}:\n{ran}");
        assert_eq!(answer.listed(), before, "{file} with {with}:\n{ran}");
        record("what is no chain for the key leaves nothing", 1);
    }
    assert_eq!(fs::read(&answer.key).unwrap(), key);
    // What is in the way is not written over, and nothing is put beside it.
    let folder = answer.work().join("signed");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("server.crt"), "mine").unwrap();
    answer.import("chain.pem", &answer.key, "signed").ended(2).complains("is there already");
    let names: Vec<_> = fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["server.crt"]);
    assert_eq!(fs::read_to_string(folder.join("server.crt")).unwrap(), "mine");
}
