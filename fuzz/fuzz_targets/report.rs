//! Any bytes as what ffprobe says of a file, and after a zero as its packets: no panic, and a plan keeps to its rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::gate;
use matinee_core::loudness::Measured;
use matinee_core::plan::damage::Damage;
use matinee_core::plan::timeline::PacketList;
use matinee_core::plan::{self, Capabilities, Pipeline, Probe, argv};

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (said, packets) = (&input[..split], input.get(split + 1..).unwrap_or_default());
    let text = String::from_utf8_lossy(said);
    let _ = (Measured::parse(&text), gate::parse(&text, "ssim@size0"));
    let mut damage = Damage::default();
    damage.feed(said);
    let Ok(probe) = Probe::parse(said) else { return };
    let mut list = PacketList::new(&probe);
    // Lines are cut anywhere.
    let (first, rest) = packets.split_at(packets.len() / 2);
    if list.feed(first).and_then(|()| list.feed(rest)).is_err() {
        return;
    }
    let Ok(timeline) = list.finish() else { return };
    let here = Capabilities {
        slots: 4,
        memory_bytes: 1 << 40,
        encoders: ["libx264", "aac", "libvpx-vp9", "libsvtav1", "libopus"].map(str::to_owned).to_vec(),
        filters: ["zscale", "bwdif", "overlay"].map(str::to_owned).to_vec(),
        engines: Vec::new(),
    };
    let Ok(plan) = plan::plan(&probe, &timeline, &Pipeline::default(), &here) else { return };
    let Some(video) = &plan.video else { return };
    let mut next = 0;
    for chunk in &video.chunks {
        assert_eq!(chunk.first, next, "no gap and no overlap");
        next += chunk.frames;
    }
    assert_eq!(next, video.frames);
    let ladder = video.family(0).expect("the first family is the ladder");
    assert!(ladder.renditions.iter().all(|one| one.width % 2 == 0 && one.height % 2 == 0));
    let words = argv::chunk(&plan, (video, ladder), &video.chunks[0], "in", &argv::chunk_outputs(ladder));
    assert_eq!(words.iter().filter(|word| *word == "-i").count(), 1);
});
