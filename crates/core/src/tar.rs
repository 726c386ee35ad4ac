//! The simple form of tar (ustar): a head for each file, and nothing else. Every system can unpack it.

/// The length of a head, and of everything that is filled up.
pub const BLOCK: usize = 512;
/// What ends an archive: two blocks of zeros.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The longest name in bytes.
pub const NAME_BYTES_MAX: usize = 100;

/// The head of a plain file that everybody may read. `None` when the name is too long or empty.
pub fn head(name: &str, size: u64, modified_s: u64) -> Option<[u8; BLOCK]> {
    // The size has eleven octal digits.
    if name.is_empty() || name.len() > NAME_BYTES_MAX || size >= 1 << 33 {
        return None;
    }
    let mut head = [0_u8; BLOCK];
    put(&mut head, 0, name);
    put(&mut head, 100, "0000644");
    put(&mut head, 108, "0000000");
    put(&mut head, 116, "0000000");
    put(&mut head, 124, &format!("{size:011o}"));
    put(&mut head, 136, &format!("{:011o}", modified_s & 0x1_ffff_ffff));
    // The sum is taken as if it were spaces itself.
    put(&mut head, 148, "        ");
    put(&mut head, 156, "0");
    put(&mut head, 257, "ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut head, 148, &format!("{sum:06o}\0 "));
    Some(head)
}

fn put(head: &mut [u8; BLOCK], at: usize, text: &str) {
    head[at..at + text.len()].copy_from_slice(text.as_bytes());
}

/// How many zeros follow a file of this length.
pub const fn fill(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_its_fields_and_a_right_sum() {
        let head = head("a/b.txt", 1_000, 8).unwrap();
        assert_eq!(&head[..8], b"a/b.txt\0");
        assert_eq!(&head[124..136], b"00000001750\0");
        assert_eq!(&head[136..148], b"00000000010\0");
        assert_eq!(&head[257..265], b"ustar\x0000");
        let mut blank = head;
        blank[148..156].fill(b' ');
        let sum: u32 = blank.iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(&head[148..156], format!("{sum:06o}\0 ").as_bytes());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_odd_is_filled() {
        assert!(head(&"n".repeat(NAME_BYTES_MAX), 0, 0).is_some());
        assert!(head(&"n".repeat(NAME_BYTES_MAX + 1), 0, 0).is_none());
        assert!(head("", 0, 0).is_none());
        assert!(head("a", 1 << 33, 0).is_none());
        assert_eq!([0, 1, 511, 512, 513].map(fill), [0, 511, 1, 0, 511]);
    }
}
