//! Names that people give to pipelines, steps, hosts and brokers: they stand in addresses and in configuration files.

/// Longest name in bytes: what a label of a host's name may have.
const BYTES_MAX: usize = 63;

/// Can this be a name? Small letters, digits and `-`, a letter or digit first.
pub fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= BYTES_MAX
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|byte| letter(byte) || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_an_address() {
        for (length, fits) in [(1, true), (63, true), (64, false)] {
            assert_eq!(is_name(&"a".repeat(length)), fits, "{length}");
        }
        for name in ["default", "4k", "cat-tube-2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "A", "a b", "ä", "a/b"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
