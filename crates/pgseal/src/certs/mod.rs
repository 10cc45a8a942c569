//! Certificates at home: the folders of CAs, what was issued, and the passphrases of keys.

pub(crate) mod authority;
pub(crate) mod passphrase;
