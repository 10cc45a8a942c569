//! A policy's words about suites: names, or OpenSSL's words for classes.

use pgseal_wire::registry::{self, SuiteEntry};

use crate::policy::Policy;

/// Whether a suite is outside of what a policy lists. OpenSSL's words for classes are understood as far as policies use
/// them (ciphers(1)): `HIGH` and `MEDIUM` are ciphers of 128 bits and more, `!` takes a class out.
pub(crate) fn violates(policy: &Policy, code: u16) -> bool {
    let Some(suite) = registry::suite(code) else {
        return true;
    };
    if suite.is("tls1.3") {
        return !policy.tls13_suites.iter().any(|name| name == suite.iana);
    }
    let words = || policy.tls12_suites.iter().map(String::as_str);
    if words().filter_map(|word| word.strip_prefix(['!', '-'])).any(|class| of_class(suite, class)) {
        return true;
    }
    !words()
        .filter(|word| !word.starts_with(['!', '-', '+']))
        .any(|word| suite.openssl == Some(word) || suite.iana == word || of_class(suite, word))
}

fn of_class(suite: &SuiteEntry, word: &str) -> bool {
    let weak = ["null", "export", "des", "rc2", "anonymous"].iter().any(|class| suite.is(class));
    match word {
        "HIGH" => !weak && !suite.is("rc4") && !suite.is("3des") && !suite.is("idea"),
        "MEDIUM" => {
            !weak && (suite.is("rc4") || suite.is("3des") || suite.is("idea") || suite.iana.contains("SEED"))
        }
        "ALL" => !suite.is("null"),
        "aNULL" => suite.is("anonymous"),
        "eNULL" | "NULL" => suite.is("null"),
        "EXPORT" | "EXP" => suite.is("export"),
        "RC4" => suite.is("rc4"),
        "3DES" => suite.is("3des"),
        "DES" => suite.is("des"),
        "MD5" => suite.is("md5"),
        "PSK" => suite.is("psk"),
        "kRSA" => suite.is("rsa-key-exchange"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_classes_of_a_policy_are_understood() {
        let intermediate = Policy::named("intermediate").unwrap();
        for (code, outside) in
            [(0xc02c, false), (0x1301, false), (0xc0ad, true), (0x002f, true), (0x0a0a, true)]
        {
            assert_eq!(violates(&intermediate, code), outside, "{code:04x}");
        }
        let old = Policy::named("old").unwrap();
        // AES128-SHA, RC4-SHA, DES-CBC3-SHA, ADH-AES128-SHA, NULL-SHA, EXP-RC4-MD5.
        for (code, outside) in
            [(0x002f, false), (0x0005, true), (0x000a, true), (0x0034, true), (0x0002, true), (0x0003, true)]
        {
            assert_eq!(violates(&old, code), outside, "{code:04x}");
        }
    }
}
