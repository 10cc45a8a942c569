//! Certificates by another hand than pgseal's: other authorities, other names, other dates.
//! Knows how to make them, not why they are wrong.

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::process::run;

/// An authority that signs whatever it is told to.
pub(crate) struct Forge {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Forged {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Forged {
    /// Both in one file, as `ssl_cert_file` and `ssl_key_file` may name it.
    pub(crate) fn one_pem(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

impl Forge {
    /// A new authority of that name.
    pub(crate) fn new(name: &str) -> Self {
        let params = authority_params(name);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("an authority can sign itself").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The same with an Ed25519 key, which signs so.
    pub(crate) fn of_ed25519(name: &str) -> Self {
        let params = authority_params(name);
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("an Ed25519 key can be made");
        let certificate = params.self_signed(&key).expect("an authority can sign itself").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The authority of a pgseal folder, with its own key.
    #[track_caller]
    pub(crate) fn of_folder(dir: &Path) -> Self {
        Self::of_ca(&dir.join("ca"))
    }

    /// A CA's own folder, with its key.
    #[track_caller]
    pub(crate) fn of_ca(dir: &Path) -> Self {
        let read = |name: &str| {
            fs::read_to_string(dir.join(name)).unwrap_or_else(|e| panic!("could not read {name}: {e}"))
        };
        let certificate = read("server-ca.crt");
        let key = KeyPair::from_pem(&read("server-ca.key")).expect("the CA key can be read");
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).expect("the CA certificate can be read");
        Self { certificate, issuer }
    }

    /// Its own certificate, as PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A server certificate for these names, valid this year.
    pub(crate) fn leaf(&self, names: &[impl AsRef<str>]) -> Forged {
        let (not_before, not_after) = this_year();
        self.leaf_dated(names, not_before, not_after)
    }

    /// The same with an RSA key of 2048 bits.
    pub(crate) fn rsa_leaf(&self, names: &[impl AsRef<str>]) -> Forged {
        let (not_before, not_after) = this_year();
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("an RSA key can be made");
        let mut params = leaf_params(names, not_before, not_after);
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed").pem();
        Forged { certificate, key: key.serialize_pem() }
    }

    /// The same with an Ed25519 key, as OpenSSL makes it: it reads no other's.
    pub(crate) fn ed25519_leaf(&self, names: &[impl AsRef<str>]) -> Forged {
        let (not_before, not_after) = this_year();
        let mut openssl = Command::new("openssl");
        openssl.args(["genpkey", "-algorithm", "ed25519"]);
        let made = run(openssl, b"", std::time::Duration::from_secs(10)).succeeded();
        let key = KeyPair::from_pem(made.stdout()).expect("OpenSSL's key can be read");
        let params = leaf_params(names, not_before, not_after);
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed").pem();
        Forged { certificate, key: key.serialize_pem() }
    }

    /// The same with dates.
    pub(crate) fn leaf_dated(
        &self,
        names: &[impl AsRef<str>],
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> Forged {
        self.sign(&leaf_params(names, not_before, not_after))
    }

    /// A client certificate for a user of that name, valid this year.
    pub(crate) fn client(&self, common_name: &str) -> Forged {
        let (not_before, not_after) = this_year();
        let mut params = leaf_params(&[] as &[&str], not_before, not_after);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    /// An authority that this one has signed.
    pub(crate) fn under(&self, name: &str) -> Self {
        let mut params = authority_params(name);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A list of revoked serial numbers, as PEM, current for a month.
    pub(crate) fn revocation_list(&self, serials: &[u64]) -> String {
        let now = OffsetDateTime::now_utc();
        self.revocation_list_until(serials, now + Duration::days(30))
    }

    /// The same, to be renewed by then.
    pub(crate) fn revocation_list_until(&self, serials: &[u64], next_update: OffsetDateTime) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::hours(1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: next_update.min(now) - Duration::hours(1),
            next_update,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list can be signed");
        list.pem().expect("a list is PEM")
    }

    /// Signs anything.
    pub(crate) fn sign(&self, params: &CertificateParams) -> Forged {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed").pem();
        Forged { certificate, key: key.serialize_pem() }
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = this_year();
    params
}

/// A v3 server certificate that is nobody's authority.
pub(crate) fn leaf_params(
    names: &[impl AsRef<str>],
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
    let common_name = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names).expect("names of hosts and addresses");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (not_before, not_after);
    params
}

/// From an hour ago, for a year.
pub(crate) fn this_year() -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - Duration::hours(1), now + Duration::days(365))
}
