//! Certificates at home: the folders of CAs, what was issued and where it lies, who issues, the passphrases of keys.

pub(crate) mod authority;
pub(crate) mod chain;
pub(crate) mod inventory;
pub(crate) mod issuer;
pub(crate) mod output;
pub(crate) mod passphrase;
pub(crate) mod revocation;
