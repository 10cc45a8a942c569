//! Files of Diffie-Hellman parameters, as `ssl_dh_params_file` names one: how long their prime is. Knows nothing of groups
//! that have a name.

use crate::{der, pem};

/// Parts of a PEM file that are looked at.
const MAX_PARTS: usize = 16;

/// The length of the prime of the first `DH PARAMETERS` block of a PEM file (PKCS #3, 9: `SEQUENCE { prime INTEGER, base
/// INTEGER, … }`; `PEM_read_DHparams` takes `X9.42 DH PARAMETERS` as well, whose first member is the same), in bits;
/// `None`: there is no such block.
pub fn dh_prime_bits(bytes: &[u8]) -> Option<usize> {
    let parts = pem::parts(bytes, MAX_PARTS).ok()?;
    parts.into_iter().find_map(|part| match part {
        pem::Part::Block(block) if block.label.ends_with("DH PARAMETERS") => prime_bits(&block.decode()?),
        _ => None,
    })
}

fn prime_bits(parameters: &[u8]) -> Option<usize> {
    let (sequence, _) = der::expect(parameters, der::SEQUENCE)?;
    let (prime, _) = der::expect(sequence.content, der::INTEGER)?;
    let zeros = prime.content.iter().take_while(|byte| **byte == 0).count();
    let number = prime.content.get(zeros..)?;
    let unused = number.first()?.leading_zeros() as usize;
    Some(number.len() * 8 - unused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(prime: &[u8]) -> Vec<u8> {
        let number = der::element(der::INTEGER, prime);
        let base = der::element(der::INTEGER, &[2]);
        pem::encode("DH PARAMETERS", &der::element(der::SEQUENCE, &[number, base].concat()))
            .as_bytes()
            .to_vec()
    }

    #[test]
    fn a_prime_is_as_long_as_its_first_bit_that_is_set() {
        assert_eq!(dh_prime_bits(&file(&[0, 0xff, 1, 2, 3])), Some(32));
        assert_eq!(dh_prime_bits(&file(&[0x7f, 1, 2, 3])), Some(31));
        assert_eq!(dh_prime_bits(&file(&[0])), None);
        assert_eq!(dh_prime_bits(b"no parameters"), None);
        assert_eq!(dh_prime_bits(pem::encode("DH PARAMETERS", &[0x30, 0x80]).as_bytes()), None);
    }
}
