//! Entropy: the only place that draws random numbers.

use matinee_core::id::Id;

use crate::clock;

/// Random bytes from the kernel, fit for secrets.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut drawn = [0_u8; N];
    fill(&mut drawn);
    drawn
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("because Linux always answers getrandom(2)");
}

/// A new identifier that carries the present moment.
pub fn id<N>() -> Id<N> {
    Id::new(clock::now(), bytes())
}

#[cfg(test)]
mod tests {
    use matinee_core::id::VideoId;

    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        assert_ne!(id::<matinee_core::id::Video>(), id::<matinee_core::id::Video>() as VideoId);
    }
}
