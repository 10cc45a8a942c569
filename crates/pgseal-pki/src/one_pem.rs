//! The single file that holds a server's key and certificates, so that one `rename(2)` replaces
//! both (PostgreSQL loads it under `ssl_cert_file` and `ssl_key_file` alike).

use zeroize::Zeroizing;

use crate::authority::IssuedCertificate;
use crate::key::KeyError;

/// Stands first, since people copy `ssl_cert_file` to clients.
const WARNING: &str = "\
# This file holds the server's PRIVATE KEY. Never copy it to a client, and keep its mode 0600.
# Clients need the authority's certificate only (sslrootcert). The server reads this one file as
# ssl_cert_file and as ssl_key_file, so that both change together.
";

/// A warning, the private key, the leaf, its intermediates.
pub fn server_with_key_pem(issued: &IssuedCertificate) -> Zeroizing<String> {
    with_key(issued.key.as_str(), issued)
}

/// The same with the key under a passphrase, for a server whose `ssl_passphrase_command` knows it.
pub fn server_with_encrypted_key_pem(
    issued: &IssuedCertificate,
    passphrase: &[u8],
) -> Result<Zeroizing<String>, KeyError> {
    Ok(with_key(&issued.key.encrypted_pem(passphrase)?, issued))
}

/// The private key, the leaf, its intermediates: for a client, whose `sslkey` and `sslcert` may name one file.
pub fn client_with_key_pem(issued: &IssuedCertificate) -> Zeroizing<String> {
    joined(["", issued.key.as_str(), &issued.certificate_pem, &issued.chain_pem])
}

fn with_key(key: &str, issued: &IssuedCertificate) -> Zeroizing<String> {
    joined([WARNING, key, &issued.certificate_pem, &issued.chain_pem])
}

fn joined(parts: [&str; 4]) -> Zeroizing<String> {
    // Sized at once: growing would leave copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        text.push_str(part);
    }
    text
}
