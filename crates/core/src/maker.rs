//! Ids that say who made them. What lies outside under such a name is this server's, even when no row knows it; what is of
//! another server in the same account or bucket is not touched.

use crate::id::Id;

/// Separates this key from all others that follow from the same secret.
const LABEL: &str = "matinee 2026 who made an id v1";
/// The bits of an id that hold the code: 42 random ones are left beside the time.
const CODE: u128 = 0xffff_ffff;

/// Who makes ids: a server with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Maker {
    key: [u8; 32],
}

impl std::fmt::Debug for Maker {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Maker(..)")
    }
}

impl Maker {
    /// The maker that has this secret; it is not the secret itself that is used.
    pub fn of(secret: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key(LABEL, secret) }
    }

    /// The same id, with our code in it. The time stays, so it sorts as before.
    pub fn sign<N>(&self, id: Id<N>) -> Id<N> {
        let rest = id.bits() & !CODE;
        Id::from_bits(rest | self.code(rest))
    }

    /// Was it made by us? Of the ids of others one in four thousand millions seems so.
    pub fn made<N>(&self, id: Id<N>) -> bool {
        let rest = id.bits() & !CODE;
        id.bits() == rest | self.code(rest)
    }

    fn code(&self, rest: u128) -> u128 {
        let hash = blake3::keyed_hash(&self.key, &rest.to_be_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        u128::from(u32::from_be_bytes([a, b, c, d]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{EntryId, PublicationId};
    use crate::time::Millis;

    #[test]
    fn an_id_is_known_by_its_maker_alone() {
        let (ours, theirs) = (Maker::of(&[1; 32]), Maker::of(&[2; 32]));
        let id = EntryId::new(Millis(1_700_000_000_000), [7; 10]);
        let signed = ours.sign(id);
        assert!(ours.made(signed) && !theirs.made(signed) && !ours.made(id));
        assert_eq!((signed.created(), signed.bits() >> 32), (id.created(), id.bits() >> 32));
        assert_eq!(format!("{ours:?}"), "Maker(..)");
    }

    proptest! {
        #[test]
        fn a_name_that_was_read_wrong_is_not_ours(bits: u128, flipped in 0_u32..128) {
            let maker = Maker::of(&[3; 32]);
            let signed = maker.sign(PublicationId::from_bits(bits));
            prop_assert!(maker.made(signed));
            prop_assert!(!maker.made(PublicationId::from_bits(signed.bits() ^ (1 << flipped))));
        }
    }
}
