//! How much of a file its sender puts into one request: learnt from what proxies on the way let through.

/// The first chunk in bytes. Below 100 MB, the limit of well-known content networks.
pub const CHUNK_START_BYTES: u64 = 64 << 20;
/// No chunk is larger: a proxy that buffers whole requests would lose as much at a break.
pub const CHUNK_MAX_BYTES: u64 = 512 << 20;
/// No chunk is smaller: below it the requests themselves cost more than the bytes.
pub const CHUNK_MIN_BYTES: u64 = 64 << 10;
/// So many requests without one new byte, and the sender gives up for now.
pub const FRUITLESS_MAX: u32 = 12;
/// After so many good chunks a larger one is tried.
const GOOD_BEFORE_MORE: u32 = 4;
/// So many breaks without progress, and the size of the chunk is doubted.
const BREAKS_BEFORE_LESS: u32 = 2;
/// Waits between two tries, in milliseconds.
const WAIT_MIN_MS: u64 = 500;
const WAIT_MAX_MS: u64 = 30_000;

/// Where files are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server: each file is announced there.
    Server {
        /// Its address, without a slash at the end.
        base: String,
    },
    /// One upload that somebody has announced already.
    Upload {
        /// The address of the server.
        base: String,
        /// Where the bytes go.
        url: String,
    },
}

impl Target {
    /// Reads an address; `None` when it is none of HTTP.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        if host.is_empty() || host.starts_with('/') || text.contains(char::is_whitespace) {
            return None;
        }
        match text.split_once("/files/") {
            Some((base, key)) if !key.is_empty() => {
                Some(Self::Upload { base: base.to_owned(), url: text.to_owned() })
            }
            Some((base, _)) => Some(Self::Server { base: base.to_owned() }),
            None => Some(Self::Server { base: text.trim_end_matches('/').to_owned() }),
        }
    }

    /// The address of the server.
    pub fn base(&self) -> &str {
        match self {
            Self::Server { base } | Self::Upload { base, .. } => base,
        }
    }
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was taken.
    Taken,
    /// 413: the body is too large for somebody on the way.
    TooLarge,
    /// 408 or 504: somebody on the way did not want to wait any longer; it had taken so long, in milliseconds.
    TimedOut {
        /// How long the request had taken.
        after_ms: u64,
    },
    /// 502 or 503: a proxy did not reach the server.
    Gateway,
    /// The connection broke.
    Cut,
}

/// What the sender does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends the next chunk after this wait; when something was learnt, it is told.
    Go {
        /// How long to wait, in milliseconds.
        wait_ms: u64,
        /// What was learnt, for a person.
        learnt: Option<String>,
    },
    /// Gives up for now: nothing gets through.
    GiveUp {
        /// The likely cause.
        cause: String,
    },
}

/// What a sender knows of its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    bytes: u64,
    /// The smallest chunk that was refused for its size.
    refused: Option<u64>,
    /// The largest chunk that got through.
    taken: u64,
    good: u32,
    breaks: u32,
    fruitless: u32,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { bytes: CHUNK_START_BYTES, refused: None, taken: 0, good: 0, breaks: 0, fruitless: 0 }
    }
}

impl Chunks {
    /// The most that goes into the next request, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What to do after a request of `sent` bytes, of which `kept` were found at the server; `jitter` is any number.
    pub fn after(&mut self, outcome: Outcome, sent: u64, kept: u64, jitter: u64) -> Step {
        if kept > 0 {
            self.fruitless = 0;
        } else if outcome != Outcome::Taken {
            self.fruitless += 1;
        }
        if self.fruitless >= FRUITLESS_MAX {
            return Step::GiveUp { cause: self.cause(outcome) };
        }
        let learnt = match outcome {
            Outcome::Taken => {
                self.grow(sent);
                return Step::Go { wait_ms: 0, learnt: None };
            }
            Outcome::TooLarge => self.shrink(sent, outcome),
            Outcome::TimedOut { .. } if kept == 0 => self.shrink(sent, outcome),
            Outcome::Gateway | Outcome::Cut if kept == 0 => {
                self.breaks += 1;
                if self.breaks >= BREAKS_BEFORE_LESS { self.shrink(sent, outcome) } else { None }
            }
            Outcome::TimedOut { .. } | Outcome::Gateway | Outcome::Cut => {
                self.breaks = 0;
                None
            }
        };
        // A refusal of the size is answered by a smaller chunk at once.
        let at_once = matches!(outcome, Outcome::TooLarge) && learnt.is_some();
        Step::Go { wait_ms: if at_once { 0 } else { wait_ms(self.fruitless, jitter) }, learnt }
    }

    fn grow(&mut self, sent: u64) {
        self.breaks = 0;
        self.taken = self.taken.max(sent);
        // The last chunk of a file is short and proves little.
        if sent < self.bytes {
            return;
        }
        self.good += 1;
        let more = self.bytes.saturating_mul(2).min(CHUNK_MAX_BYTES);
        if self.good >= GOOD_BEFORE_MORE && self.refused.is_none_or(|refused| more < refused) {
            self.bytes = more;
            self.good = 0;
        }
    }

    fn shrink(&mut self, sent: u64, outcome: Outcome) -> Option<String> {
        self.good = 0;
        self.breaks = 0;
        if sent <= CHUNK_MIN_BYTES {
            return None;
        }
        if self.refused.is_none_or(|refused| sent < refused) {
            self.refused = Some(sent);
        }
        // A power of two below what was refused: proxies' limits mostly are ones.
        let half = (sent - 1).max(1);
        let half = 1_u64 << (u64::BITS - 1 - half.leading_zeros());
        self.bytes = half.clamp(CHUNK_MIN_BYTES, CHUNK_MAX_BYTES);
        Some(format!("{} Going on in pieces of {}.", self.cause(outcome), told(self.bytes)))
    }

    /// The likely cause, for a person who can perhaps change it.
    fn cause(&self, outcome: Outcome) -> String {
        let refused = self.refused.unwrap_or(self.bytes);
        match outcome {
            Outcome::TooLarge => {
                let known = match refused {
                    95_000_000.. => " (content networks often take 100 MB at most)",
                    _ if refused > 1 << 20 && self.taken <= 1 << 20 => {
                        " (nginx takes 1 MB unless client_max_body_size says more)"
                    }
                    _ => "",
                };
                format!("A proxy before the server refuses bodies of {}{known}.", told(refused))
            }
            Outcome::TimedOut { after_ms } => format!(
                "A proxy before the server ends requests that take longer than {} s.",
                after_ms.div_ceil(1_000)
            ),
            Outcome::Gateway => {
                "A proxy does not reach the server: it is being restarted, or the proxy cannot hold \
                 bodies of this size."
                    .to_owned()
            }
            Outcome::Cut => {
                "The connection breaks before the server has any of it: the network is down, or a proxy \
                 that buffers whole requests ends them."
                    .to_owned()
            }
            Outcome::Taken => String::new(),
        }
    }
}

/// Longer each time, of which the second half is jitter, so that many senders do not come back together.
fn wait_ms(fruitless: u32, jitter: u64) -> u64 {
    let Some(doublings) = fruitless.checked_sub(1) else { return 0 };
    let full = (WAIT_MIN_MS << doublings.min(16)).min(WAIT_MAX_MS);
    full / 2 + jitter % (full / 2 + 1)
}

fn told(bytes: u64) -> String {
    match bytes {
        ..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `size` bytes over a way that lets through at most `limit` a request; chunks that were sent.
    fn send(chunks: &mut Chunks, size: u64, limit: u64) -> Vec<u64> {
        let (mut at, mut tries) = (0, Vec::new());
        while at < size {
            let sent = chunks.bytes().min(size - at);
            tries.push(sent);
            assert!(tries.len() < 10_000, "it comes to an end");
            let outcome = if sent > limit { Outcome::TooLarge } else { Outcome::Taken };
            let kept = if sent > limit { 0 } else { sent };
            at += kept;
            let step = chunks.after(outcome, sent, kept, 0);
            assert!(matches!(step, Step::Go { wait_ms: 0, .. }), "{step:?}");
        }
        tries
    }

    #[test]
    fn an_address_is_a_server_or_one_upload() {
        let server = |base: &str| Some(Target::Server { base: base.to_owned() });
        for (text, expected) in [
            ("https://a.example/", server("https://a.example")),
            ("http://127.0.0.1:8080", server("http://127.0.0.1:8080")),
            ("https://a.example/films/files/", server("https://a.example/films")),
            (
                "https://a.example/files/k3y",
                Some(Target::Upload {
                    base: "https://a.example".to_owned(),
                    url: "https://a.example/files/k3y".to_owned(),
                }),
            ),
            ("a.example", None),
            ("ftp://a.example", None),
            ("https://", None),
            ("https:///files/x", None),
        ] {
            assert_eq!(Target::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_limit_of_a_proxy_is_found_in_few_tries_and_not_run_into_again() {
        for limit in [64 << 10, 1 << 20, 1_000_000, 100_000_000, u64::MAX] {
            let mut chunks = Chunks::default();
            // Long enough to grow up to the limit at least once.
            let size = (256 << 20).max(limit.min(1 << 30) * 16);
            let tries = send(&mut chunks, size, limit);
            let refused = tries.iter().filter(|sent| **sent > limit).count();
            assert!(refused <= 11, "{limit}: {refused}");
            assert!(send(&mut chunks, 256 << 20, limit).iter().all(|sent| *sent <= limit), "{limit}");
        }
    }

    #[test]
    fn what_was_learnt_names_the_likely_cause() {
        let learnt = |outcome, sent| {
            let mut chunks = Chunks::default();
            chunks.after(outcome, sent, 0, 0);
            let step = chunks.after(outcome, sent, 0, 0);
            let Step::Go { learnt: Some(learnt), .. } = step else { panic!("{step:?}") };
            learnt
        };
        assert!(learnt(Outcome::TooLarge, 4 << 20).contains("client_max_body_size"));
        assert!(learnt(Outcome::TooLarge, 128 << 20).contains("100 MB"));
        assert!(learnt(Outcome::TimedOut { after_ms: 59_900 }, 64 << 20).contains("longer than 60 s"));
        assert!(learnt(Outcome::Gateway, 64 << 20).contains("does not reach the server"));
        assert!(learnt(Outcome::Cut, 64 << 20).contains("buffers whole requests"));
        assert!(learnt(Outcome::Cut, 64 << 20).contains("pieces of 32 MiB"));
    }

    #[test]
    fn a_break_that_brought_bytes_changes_nothing_and_costs_no_wait() {
        let mut chunks = Chunks::default();
        for _ in 0..500 {
            let step = chunks.after(Outcome::Cut, CHUNK_START_BYTES, 1, 7);
            assert_eq!(step, Step::Go { wait_ms: 0, learnt: None });
        }
        assert_eq!(chunks.bytes(), CHUNK_START_BYTES);
    }

    #[test]
    fn without_any_progress_it_waits_longer_and_gives_up_in_the_end() {
        let mut chunks = Chunks::default();
        let mut waited = Vec::new();
        let cause = loop {
            match chunks.after(Outcome::Gateway, chunks.bytes(), 0, u64::MAX) {
                Step::Go { wait_ms, .. } => waited.push(wait_ms),
                Step::GiveUp { cause } => break cause,
            }
        };
        assert_eq!(waited.len(), FRUITLESS_MAX as usize - 1);
        assert!(waited.iter().all(|wait_ms| (WAIT_MIN_MS / 2..=WAIT_MAX_MS).contains(wait_ms)), "{waited:?}");
        assert!(waited.iter().sum::<u64>() > 60_000, "a restart of the server is outlasted: {waited:?}");
        assert!(cause.contains("does not reach the server"));
    }
}
