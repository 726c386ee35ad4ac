//! What the tests stand on: a server process, clients, clips, and the invariants that hold after every fault.

pub(crate) mod card;
pub(crate) mod clips;
pub(crate) mod files;
pub(crate) mod invariants;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod sender;
pub(crate) mod server;
pub(crate) mod tables;
pub(crate) mod tls;
pub(crate) mod zoom;

use std::time::Duration;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// Waits until `look` finds something; fails the test after `deadline_s` seconds and says what was waited for.
pub(crate) async fn until<T>(what: &str, deadline_s: u64, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(deadline_s), waiting).await;
    found.unwrap_or_else(|_| panic!("after {deadline_s} s still not so: {what}"))
}

/// How often a fault is tried: few in `cargo test`, as many as this variable says in `make chaos`.
pub(crate) fn times(variable: &str, few: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Bytes that are the same for the same seed and look like nothing (`SplitMix64`).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A small random generator that a printed seed repeats (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// 64 random bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A client of HTTP. TLS is part of the build, so the process must say once where its cryptography comes from.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // The second time it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
}
