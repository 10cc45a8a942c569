//! Post-quantum hybrids, and all other groups of TLS 1.3, are listed as an OpenSSL that has them agrees on them: each offered
//! alone, in the server's order; and none that is not listed.

use serde_json::Value;

use crate::harness::{Install, Key, TlsServer, record};

const PROMISE: &str = "post-quantum groups are listed as openssl agrees on them";

/// Names of this project's, and OpenSSL's.
const GROUPS: [(&str, &str); 12] = [
    ("X25519MLKEM768", "X25519MLKEM768"),
    ("SecP256r1MLKEM768", "SecP256r1MLKEM768"),
    ("SecP384r1MLKEM1024", "SecP384r1MLKEM1024"),
    ("X25519", "X25519"),
    ("X448", "X448"),
    ("P-256", "P-256"),
    ("P-384", "P-384"),
    ("P-521", "P-521"),
    ("ffdhe2048", "ffdhe2048"),
    ("ffdhe3072", "ffdhe3072"),
    ("ffdhe4096", "ffdhe4096"),
    ("brainpoolP256r1", "brainpoolP256r1tls13"),
];

#[test]
fn each_group_is_listed_where_openssl_agrees_on_it_alone() {
    let install = Install::post_quantum();
    for list in [
        "X25519MLKEM768:X25519:prime256v1",
        "SecP384r1MLKEM1024:SecP256r1MLKEM768:secp521r1:X448",
        "X25519:X25519MLKEM768:ffdhe3072",
    ] {
        let conf = format!("ssl_groups = '{list}'");
        let server = TlsServer::with(&install, Key::Rsa, |setup| setup.conf(&conf));
        let scanned = server.scanned(&[]);
        let listed: Vec<&Value> = scanned["groups"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["protocols"].as_array().unwrap().iter().any(|one| one == "TLSv1.3"))
            .collect();
        for (name, group) in GROUPS {
            let client = server.openssl().of(&install).with(&["-tls1_3", "-groups", group]);
            let agreed = client.agrees().is_some();
            let row = listed.iter().find(|row| row["name"] == name);
            assert_eq!(row.is_some(), agreed, "{name} of {list}: {listed:#?}");
            if let Some(row) = row {
                assert_eq!(row["post_quantum"], name.contains("MLKEM"), "{row}");
            }
            record(PROMISE, 1);
        }
        let order: Vec<&str> = listed.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(order.len(), list.split(':').count(), "{list}: {order:?}");
        let hybrid = list.contains("MLKEM");
        let missing = scanned["findings"].as_array().unwrap();
        let missing = missing.iter().any(|finding| finding["name"] == "no-post-quantum-group");
        assert_eq!(missing, !hybrid, "{:#}", scanned["findings"]);
        // What a client of today gets: this program's own has the hybrid of X25519.
        if list.starts_with("X25519MLKEM768") {
            assert_eq!(scanned["tls"]["negotiated"]["group"], "X25519MLKEM768", "{:#}", scanned["tls"]);
        }
    }
}
