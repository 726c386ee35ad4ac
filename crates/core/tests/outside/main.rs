//! All that lies outside, simulated: stores, hosts and a receiver of webhooks that crash, lie, lag and go away, and the machines
//! that deal with them. After each history nothing is lost, nothing is an orphan, and the events explain everything.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod films;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod world;

#[cfg(test)]
mod histories {
    use super::history::Sim;

    /// Histories in `cargo test`, some seconds; `make chaos` sets `SIM_SEEDS` (a count, or `=` and one seed).
    const SEEDS: u64 = 100;

    /// It found by itself, in its 18th history, that all copies in stores were given up when every store was away for an hour
    /// (`core::placement`): without the rule that was added then it fails again.
    #[test]
    fn after_every_history_nothing_is_lost_and_nothing_is_an_orphan() {
        #[expect(clippy::disallowed_methods, reason = "a test is told here how long it may take")]
        let wanted = std::env::var("SIM_SEEDS").unwrap_or_default();
        let seeds = match wanted.strip_prefix('=') {
            Some(one) => one.parse().map(|seed: u64| seed..seed + 1).expect("SIM_SEEDS is `=` and a number"),
            None => 0..wanted.parse().unwrap_or(SEEDS),
        };
        for seed in seeds {
            // What fails is run again by `SIM_SEEDS="=SEED"`; the seed means the same history for ever.
            let history = std::panic::catch_unwind(|| Sim::new(seed).run());
            assert!(
                history.is_ok(),
                "seed {seed}: run it again with SIM_SEEDS={seed:?}",
                seed = format!("={seed}")
            );
        }
    }
}
