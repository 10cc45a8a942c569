//! The files of certificates beside the server's own, held against what OpenSSL takes of them: one that does not load costs
//! a reload all of TLS, and a start the server (be-secure-openssl.c, be_tls_init).

use std::collections::BTreeMap;
use std::path::Path;

use pgseal_pki::crl::read_revocation_lists;
use pgseal_pki::{BundleError, read_bundle};

use super::facts::Setting;
use super::observe::in_data;
use crate::place::Place;

/// Authorities are some hundred at most; lists of what they took back may be long, and a frame carries 16 MiB.
const LIMIT: u64 = 15 << 20;
/// Their settings.
pub(super) const FILES: [&str; 3] = ["ssl_ca_file", "ssl_crl_file", "ssl_dh_params_file"];

/// What was looked at, what could not be judged; or why the server will not load it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) sound: Vec<&'static str>,
    pub(super) unsure: Vec<String>,
}

/// Looks at each file that the settings name.
pub(super) async fn look(place: &mut Place, settings: &BTreeMap<String, Setting>) -> Result<Looked, String> {
    let mut looked = Looked::default();
    let named = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    for name in FILES {
        let file = named(name);
        if file.is_empty() {
            continue;
        }
        let bytes = read(place, file).await.map_err(|why| format!("{}: {why}", complaint(name, file)))?;
        let judged = match name {
            "ssl_ca_file" => authorities(&bytes),
            "ssl_crl_file" => revocations(&bytes),
            _ => parameters(&bytes),
        };
        match judged {
            Judged::Sound => looked.sound.push(name),
            Judged::Unsure(why) => looked.unsure.push(format!("{file} ({why})")),
            Judged::Wrong(why) => return Err(format!("{}: {why}", complaint(name, file))),
        }
    }
    let folder = named("ssl_crl_dir");
    if !folder.is_empty() {
        // OpenSSL looks into it only when a certificate is to be judged.
        match place.names_in(&in_data(place, folder)).await {
            Ok(_) => looked.sound.push("ssl_crl_dir"),
            Err(failure) => looked.unsure.push(format!("{folder} ({})", failure.sentence())),
        }
    }
    Ok(looked)
}

/// As the server itself says it.
fn complaint(name: &str, file: &str) -> String {
    match name {
        "ssl_ca_file" => format!("could not load root certificate file \"{file}\""),
        "ssl_crl_file" => format!("could not load SSL certificate revocation list file \"{file}\""),
        _ => format!("could not load DH parameters file \"{file}\""),
    }
}

async fn read(place: &mut Place, file: &str) -> Result<Vec<u8>, String> {
    let path = in_data(place, file);
    let said = |failure: crate::failure::Failure| failure.sentence().to_owned();
    let found = place.hands.look(&path).await.map_err(said)?;
    let (real, _) = found.ok_or("there is none")?;
    Ok(place.hands.read(Path::new(&real), LIMIT).await.map_err(said)?.to_vec())
}

#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Sound,
    Wrong(String),
    /// OpenSSL may take what is not understood here.
    Unsure(String),
}

/// At least one certificate, and none that is broken.
fn authorities(bytes: &[u8]) -> Judged {
    match read_bundle(bytes) {
        Ok(bundle) if !bundle.certificates.is_empty() => Judged::Sound,
        Ok(_) if holds(bytes, b"BEGIN TRUSTED CERTIFICATE") => {
            Judged::Unsure("it holds certificates in a form of OpenSSL's own".to_owned())
        }
        Ok(_) => Judged::Wrong("it holds no certificate".to_owned()),
        Err(
            error @ (BundleError::Certificate { .. } | BundleError::TooManyParts | BundleError::TooLarge(_)),
        ) => Judged::Unsure(error.to_string()),
        // Keys beside them are passed over.
        Err(error @ (BundleError::Key { .. } | BundleError::SecondKey { .. })) => {
            Judged::Unsure(error.to_string())
        }
        Err(error) => Judged::Wrong(error.to_string()),
    }
}

/// At least one list; a certificate in its place is taken, too (X509_load_cert_crl_file).
fn revocations(bytes: &[u8]) -> Judged {
    match read_revocation_lists(bytes) {
        Ok(lists) if !lists.is_empty() && holds(bytes, b"-----BEGIN X509 CRL-----") => Judged::Sound,
        Ok(lists) if !lists.is_empty() => Judged::Wrong("it is in DER, and PEM is read".to_owned()),
        _ if holds(bytes, b"-----BEGIN X509 CRL-----") || holds(bytes, b"-----BEGIN CERTIFICATE-----") => {
            Judged::Unsure("what it holds is not understood here".to_owned())
        }
        _ => Judged::Wrong("it holds no revocation list".to_owned()),
    }
}

/// Read at a start alone with consequences: at a reload the built-in ones take their place.
fn parameters(bytes: &[u8]) -> Judged {
    if holds(bytes, b"-----BEGIN DH PARAMETERS-----") && holds(bytes, b"-----END DH PARAMETERS-----") {
        return Judged::Unsure("whether its prime is safe was not computed".to_owned());
    }
    Judged::Wrong("it holds no DH parameters".to_owned())
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssl_takes_for_sure_is_sound_and_what_it_refuses_for_sure_is_wrong() {
        let wrong = |judged: Judged| matches!(judged, Judged::Wrong(_));
        let unsure = |judged: Judged| matches!(judged, Judged::Unsure(_));
        assert!(wrong(authorities(b"")) && wrong(authorities(b"no certificate at all\n")));
        assert!(unsure(authorities(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")));
        assert!(wrong(revocations(b"text")) && wrong(parameters(b"text")));
        assert!(unsure(revocations(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")));
        let dh = b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n";
        assert!(unsure(parameters(dh)));
    }
}
