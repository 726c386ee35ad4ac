//! `matinee chaos`: the demonstration with everything going wrong. The fakes fail, the server is killed, and in the end it is
//! counted that nothing was lost, done twice or left behind. A seed repeats what is done when; the machine decides the rest.

mod under_way;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use matinee_core::event::Topic;
use matinee_io::clock::Stopwatch;
use matinee_io::fetch::fake::Manner;
use matinee_io::host::fake::{Fault, Frame, Trouble};
use matinee_io::random;
use matinee_io::store::fake::{Call, Fault as StoreFault, Trouble as StoreTrouble};
use sha2::{Digest as _, Sha256};

use self::under_way::UnderWay;
use super::demo::configuration;
use super::stage::Stage;

const EXAMPLES: &str = "Examples:
  matinee chaos
  matinee chaos --kills 20 --videos 10 --seed 7
  matinee chaos --with examples/recording-pipeline/matinee.toml

Everything runs on this machine and ends by itself. Besides the videos that are counted here, one comes in
pieces and one goes straight to Cloudflare, if it is in the configuration: they are under way whenever the
server is killed. Exit code 0: every video is where it belongs once, byte for byte, and when all are
deleted nothing is left anywhere.";

/// So long all of it may take to come to rest when nothing goes wrong any more.
const REST: Duration = Duration::from_mins(10);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);
/// The longest time between two kills, in milliseconds.
const LIFE_MS_MAX: u64 = 4_000;
/// What goes wrong at a host; none of it may cost anything.
const AT_HOSTS: [Fault; 7] = [
    Fault::Status(500),
    Fault::Status(503),
    Fault::Throttled(Some(1)),
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Html,
    Fault::Half,
];
/// What goes wrong at a store.
const AT_STORES: [StoreTrouble; 5] = [
    StoreTrouble::SlowDown,
    StoreTrouble::Status(500),
    StoreTrouble::Reset,
    StoreTrouble::Lost,
    StoreTrouble::Cut,
];
/// With which calls.
const CALLS: [Call; 7] =
    [Call::Put, Call::Get, Call::Head, Call::List, Call::Begin, Call::Part, Call::Complete];
/// How Zoom answers who downloads: the right is over, too many ask, it is broken or away.
const AT_ZOOM: [u16; 4] = [401, 429, 500, 503];

/// How bad it gets.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A configuration for real services, which are replaced by their fakes
    #[arg(long = "with", value_name = "FILE")]
    configuration: Option<PathBuf>,
    /// How often the server is killed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    kills: u32,
    /// How many videos are brought in
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    videos: u32,
    /// Repeats the same decisions; printed when it is left out
    #[arg(long)]
    seed: Option<u64>,
}

/// Does it, and counts.
pub(crate) async fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let seed = arguments.seed.unwrap_or_else(|| u64::from(u32::from_le_bytes(random::bytes())));
    writeln!(out, "seed {seed}")?;
    let (text, beside) = configuration(arguments.configuration.as_deref())?;
    let clock = Stopwatch::start();
    let mut stage = Stage::set(&text, &beside).await?;
    stage.start().await?;
    stage.listen(&["video.distributed"]).await?;
    let sample = stage.sample().await?;
    let mut dice = Dice(seed);
    let mut under_way = UnderWay::begin(&stage, &sample, &text).await?;
    let faults = torment(&mut stage, &mut dice, (&sample, &mut under_way), arguments).await?;
    let videos = usize::try_from(arguments.videos)? + under_way.videos();
    writeln!(
        out,
        "{} kills, {faults} faults, {videos} videos, of which {} were under way at each kill; now all of it comes to rest",
        arguments.kills,
        under_way.videos()
    )?;
    out.flush()?;
    rest("every video is where it belongs", async || distributed(&stage) >= videos).await?;
    let (repeated, forged) = stage.site.odd();
    check(&stage, (&sample, &under_way), videos)?;
    writeln!(
        out,
        "every video is there once, byte for byte; {repeated} messages came again, {forged} were forged"
    )?;
    writeln!(out, "{}", stage.tell(&["gc", "prove"]).await?)?;
    let ids = stage.tell(&["ls", "--quiet"]).await?;
    let words: Vec<&str> = ["rm"].into_iter().chain(ids.split_whitespace()).collect();
    stage.tell(&words).await?;
    rest("nothing is left of what was deleted", async || left(&stage) == 0).await?;
    writeln!(out, "deleted, and nothing is left at any host or store; {} s", clock.elapsed_ms() / 1_000)?;
    stage.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Brings videos in while everything goes wrong; how many faults there were.
async fn torment(
    stage: &mut Stage,
    dice: &mut Dice,
    (sample, under_way): (&Bytes, &mut UnderWay),
    arguments: &Arguments,
) -> anyhow::Result<u32> {
    let (mut brought, mut killed, mut faults) = (0, 0, 0);
    while brought < arguments.videos || killed < arguments.kills {
        if brought < arguments.videos {
            bring(stage, dice, sample, brought).await?;
            brought += 1;
        }
        faults += hurt(stage, dice);
        under_way.advance(dice, arguments.kills - killed).await?;
        tokio::time::sleep(Duration::from_millis(dice.below(LIFE_MS_MAX))).await;
        if killed < arguments.kills {
            stage.kill()?;
            stage.start().await?;
            killed += 1;
        }
    }
    calm(stage);
    under_way.finish().await?;
    Ok(faults)
}

/// One more video comes in, by one of three ways.
async fn bring(stage: &Stage, dice: &mut Dice, sample: &Bytes, number: u32) -> anyhow::Result<()> {
    let name = format!("{number}.mp4");
    match dice.below(3) {
        0 => {
            let cut_every = (dice.below(2) == 0).then(|| sample.len() / 3 + 1);
            let manner = Manner { cut_every, ..Manner::default() };
            let status = stage.recorded(&format!("meeting-{number}"), sample, manner).await?;
            ensure!(status == 200, "Zoom was answered with {status}");
        }
        1 => drop(stage.uploaded(&name, sample).await?),
        _ => drop(stage.imported(&name, sample).await?),
    }
    Ok(())
}

/// Lets something go wrong everywhere; how many things.
fn hurt(stage: &Stage, dice: &mut Dice) -> u32 {
    let mut hurt = 0;
    for frame in [stage.bunny.frame(), stage.cloudflare.frame()] {
        let times = u32::try_from(dice.below(4)).unwrap_or_default();
        let fault = dice.pick(&AT_HOSTS);
        frame.trouble(Trouble { call: "*", fault, times, until: None });
        hurt += times;
    }
    let times = u32::try_from(dice.below(3)).unwrap_or_default();
    stage.store.fail(StoreFault { call: dice.pick(&CALLS), skip: 0, times, trouble: dice.pick(&AT_STORES) });
    let refused = u32::try_from(dice.below(2)).unwrap_or_default();
    stage.site.refuse(refused);
    let turned_away = u32::try_from(dice.below(3)).unwrap_or_default();
    stage.zoom.refuse(dice.pick(&AT_ZOOM), turned_away);
    hurt + times + refused + turned_away
}

fn calm(stage: &Stage) {
    [stage.bunny.frame(), stage.cloudflare.frame()].into_iter().for_each(Frame::calm);
    stage.store.mend();
    stage.site.refuse(0);
    stage.zoom.refuse(200, 0);
}

/// How many videos the site was told of, each once.
fn distributed(stage: &Stage) -> usize {
    let told = stage.site.heard(0);
    let mut videos: Vec<_> = told
        .iter()
        .filter(|heard| heard.topic == Topic::VideoDistributed.name())
        .map(|heard| heard.data["subject"].to_string())
        .collect();
    videos.sort();
    videos.dedup();
    videos.len()
}

/// What was promised is so: compared with what the fakes have, not with what the server says.
fn check(stage: &Stage, (sample, under_way): (&Bytes, &UnderWay), videos: usize) -> anyhow::Result<()> {
    let told = stage.site.heard(0);
    ensure!(told.len() == videos, "{} messages were told of {videos} videos", told.len());
    for heard in &told {
        let title = heard.data["video"]["title"].as_str().unwrap_or_default();
        let bytes = under_way.bytes(title).unwrap_or(sample);
        let sum: [u8; 32] = Sha256::digest(bytes).into();
        for publication in heard.data["publications"].as_array().into_iter().flatten() {
            let remote = publication["remote_id"].as_str().unwrap_or_default();
            let received = match publication["kind"].as_str() {
                Some("bunny") => stage.bunny.received(remote),
                _ => stage.cloudflare.received(remote),
            };
            ensure!(received == Some(sum), "{publication} has other bytes");
        }
        for copy in heard.data["archive"].as_array().into_iter().flatten() {
            let url = copy["url"].as_str().unwrap_or_default();
            let key = url.split('/').skip(3).collect::<Vec<_>>().join("/");
            ensure!(stage.store.bytes(&key).as_ref() == Some(bytes), "{key} has other bytes");
        }
    }
    let hosts = told.iter().flat_map(|heard| heard.data["publications"].as_array().into_iter().flatten());
    let (wanted, there) = (hosts.count(), stage.bunny.there().len() + stage.cloudflare.there().len());
    ensure!(wanted == there, "the hosts have {there} videos, and {wanted} were told");
    Ok(())
}

/// Things that the fakes still hold.
fn left(stage: &Stage) -> usize {
    let held = stage.store.inventory();
    stage.bunny.there().len()
        + stage.cloudflare.there().len()
        + held.objects
        + held.old_versions
        + held.marks
        + held.uploads
}

async fn rest(what: &str, so: impl AsyncFn() -> bool) -> anyhow::Result<()> {
    let resting = async {
        while !so().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    let rested = tokio::time::timeout(REST, resting).await;
    rested.with_context(|| format!("after {} s it is still not so: {what}", REST.as_secs()))
}

/// Decisions that a seed repeats (`SplitMix64`).
struct Dice(u64);

impl Dice {
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    const fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.below(of.len() as u64)).expect("because a list of ours is short");
        of[at]
    }
}
