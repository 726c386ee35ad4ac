//! Reads small real files and compares every sample with what ffprobe says about them.

use matinee_core::media::{
    Coding, Edit, Facts, FourCc, H264, Index, Indexer, MediaError, Sample, Step, Track, TrackKind,
};
use proptest::prelude::*;

/// A file and its packets as ffprobe lists them; the README beside them says how both were made.
macro_rules! fixture {
    ($name:literal) => {
        (
            include_bytes!(concat!("fixtures/", $name)).as_slice(),
            include_str!(concat!("fixtures/", $name, ".packets.csv")),
        )
    };
}

type Fixture = (&'static [u8], &'static str);

const BACK: Fixture = fixture!("back.mp4");
const FRONT: Fixture = fixture!("front.mp4");
const CMAF: Fixture = fixture!("cmaf.mp4");
const MIXED: Fixture = fixture!("mixed.mp4");
const VP9_OPUS: Fixture = fixture!("vp9-opus.mp4");
const SURROUND: Fixture = fixture!("surround.mp4");
const ROTATED: Fixture = fixture!("rotated.mov");
const INTERLACED: Fixture = fixture!("interlaced.mp4");
const HIGH422: Fixture = fixture!("high422.mp4");
const HEVC: Fixture = fixture!("hevc.mp4");
const AV1: Fixture = fixture!("av1.mp4");
const TIMECODE: Fixture = fixture!("timecode.mov");
const ALL: [Fixture; 12] =
    [BACK, FRONT, CMAF, MIXED, VP9_OPUS, SURROUND, ROTATED, INTERLACED, HIGH422, HEVC, AV1, TIMECODE];

/// Indexes bytes as a file of that length; the number is how many reads it took.
fn read(file: &[u8]) -> Result<(Index, usize), MediaError> {
    let mut indexer = Indexer::new(file.len() as u64);
    let mut answer: &[u8] = b"";
    for reads in 0.. {
        match indexer.step(answer)? {
            Step::Done(index) => return Ok((*index, reads)),
            Step::Read { offset, len } => {
                assert!(len > 0, "nothing was asked for");
                let range =
                    usize::try_from(offset).expect("small")..usize::try_from(offset + len).expect("small");
                answer = file.get(range).expect("because only bytes of the file may be asked for");
            }
        }
    }
    unreachable!("because the loop has no end of its own")
}

fn index(file: &[u8]) -> Index {
    read(file).expect("because the file is whole").0
}

/// The packets of one stream as samples; a duration that ffprobe does not know is 0.
fn packets(csv: &str, stream: &str, shift: i64) -> Vec<Sample> {
    let rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row[0] == stream);
    rows.map(|row| {
        let number = |at: usize| row[at].parse::<i64>().unwrap_or(0);
        Sample {
            offset: number(5).cast_unsigned(),
            size: u32::try_from(number(4)).expect("small"),
            dts: number(2).cast_unsigned(),
            cts: i32::try_from(number(1) - number(2) - shift).expect("small"),
            duration: u32::try_from(number(3)).expect("small"),
            sync: row[6].starts_with('K'),
        }
    })
    .collect()
}

#[test]
fn every_sample_is_where_and_when_ffprobe_says() {
    // For files with negative composition offsets ffprobe moves all of them up, by `shift`.
    let check = |name: &str, (file, csv): Fixture, streams: &[&str], shift: i64| {
        let index = index(file);
        for (track, stream) in index.tracks.iter().zip(streams) {
            let shift = if track.coding == Coding::Other || shift == 0 { 0 } else { shift };
            let shift = if matches!(track.kind, TrackKind::Video { .. }) { shift } else { 0 };
            let expected = packets(csv, stream, shift);
            let ours: Vec<Sample> = track.samples.iter().collect();
            assert_eq!(ours.len(), expected.len(), "{name} stream {stream}");
            assert_eq!(ours.len(), track.samples.len(), "{name} stream {stream}");
            let last = ours.len() - 1;
            for (number, (ours, mut expected)) in ours.into_iter().zip(expected).enumerate() {
                // Without an entry of its own, ffprobe takes the last frame of sound for a full one.
                if expected.duration == 0 || (number == last && expected.duration == 1024) {
                    expected.duration = ours.duration;
                }
                assert_eq!(ours, expected, "{name} stream {stream} sample {number}");
            }
        }
        assert_eq!(index.check(), Ok(()), "{name}");
    };
    check("back", BACK, &["0", "1"], 0);
    check("front", FRONT, &["0", "1"], 0);
    check("cmaf", CMAF, &["0", "1"], 512);
    check("mixed", MIXED, &["0", "1"], 0);
    check("vp9-opus", VP9_OPUS, &["0", "1"], 0);
    check("surround", SURROUND, &["0"], 0);
    check("rotated", ROTATED, &["0", "1"], 0);
    check("interlaced", INTERLACED, &["0"], 0);
    check("high422", HIGH422, &["0"], 0);
    check("hevc", HEVC, &["0"], 0);
    check("av1", AV1, &["0"], 0);
    check("timecode", TIMECODE, &["0"], 0);
}

#[test]
fn the_shape_of_a_file_is_told() {
    let check = |(file, _): Fixture, fragmented, moov_first, reads| {
        let (index, needed) = read(file).expect("because the file is whole");
        assert_eq!((index.fragmented, index.moov_first, index.cut), (fragmented, moov_first, false));
        assert_eq!(needed, reads);
    };
    // These files are shorter than the read-ahead.
    check(BACK, false, false, 1);
    check(FRONT, false, true, 1);
    check(CMAF, true, true, 1);
    check(MIXED, true, true, 1);
}

#[test]
fn codecs_are_named_as_players_expect_them() {
    let check = |(file, _): Fixture, codecs: &[&str]| {
        let index = index(file);
        let ours: Vec<&str> = index.tracks.iter().map(|track| track.codec.as_str()).collect();
        assert_eq!(ours, codecs);
    };
    check(BACK, &["avc1.64000A", "mp4a.40.2"]);
    check(FRONT, &["avc1.42C00A", "mp4a.40.2"]);
    check(VP9_OPUS, &["vp09.00.10.08", "opus"]);
    check(HEVC, &["hvc1.1.6.L30.90"]);
    check(AV1, &["av01.0.00M.08"]);
    check(ROTATED, &["avc1.64000A", "mp4a.40.2"]);
    check(TIMECODE, &["jpeg", "sowt", "tmcd"]);
}

fn only(fixture: Fixture) -> Track {
    index(fixture.0).tracks.swap_remove(0)
}

#[test]
fn the_facts_of_h264_come_from_its_parameter_set() {
    let check = |fixture: Fixture, expected: H264| {
        let track = only(fixture);
        assert_eq!(track.coding, Coding::H264(expected));
        let TrackKind::Video { sar, .. } = track.kind else { panic!("the track has pictures") };
        assert_eq!(sar, expected.sar);
    };
    let plain = H264 {
        profile: 100,
        constraints: 0,
        level: 10,
        chroma_format: 1,
        bit_depth: 8,
        progressive: true,
        sar: (1, 1),
        width: 64,
        height: 48,
    };
    check(BACK, plain);
    check(FRONT, H264 { profile: 66, constraints: 0xc0, ..plain });
    check(INTERLACED, H264 { level: 21, progressive: false, sar: (16, 11), width: 80, height: 60, ..plain });
    check(HIGH422, H264 { profile: 122, bit_depth: 10, chroma_format: 2, ..plain });
}

#[test]
fn sound_has_the_channels_and_rate_of_its_codec() {
    let check = |(file, _): Fixture, channels, rate_hz| {
        let index = index(file);
        let sound = index.tracks.iter().find(|track| matches!(track.kind, TrackKind::Audio { .. }));
        assert_eq!(sound.map(|track| track.kind), Some(TrackKind::Audio { channels, rate_hz }));
    };
    check(BACK, 1, 48_000);
    check(FRONT, 2, 44_100);
    check(VP9_OPUS, 2, 48_000);
    check(SURROUND, 6, 48_000);
    check(ROTATED, 1, 48_000);
    check(TIMECODE, 1, 8_000);
    assert_eq!(only(SURROUND).coding, Coding::Aac { object_type: 2, rate_hz: 48_000, channels: 6 });
}

#[test]
fn edits_rotation_and_language_are_kept() {
    let back = index(BACK.0);
    assert_eq!(back.tracks[0].edit, Edit::Plain { lead_ticks: 0, media_time: 1024, length_ticks: 12_800 });
    assert_eq!(back.tracks[1].edit, Edit::Plain { lead_ticks: 0, media_time: 1024, length_ticks: 48_000 });
    assert_eq!((back.tracks[0].language.as_str(), back.tracks[1].language.as_str()), ("und", "swe"));
    let rotated = index(ROTATED.0);
    assert_eq!(rotated.tracks.iter().map(|track| track.rotation_degrees).collect::<Vec<_>>(), [270, 0]);
    // A quarter of a second less 1,024 frames of encoder delay, in whole milliseconds: 228.
    let Edit::Plain { lead_ticks, media_time, .. } = rotated.tracks[1].edit else {
        panic!("the edit is plain")
    };
    assert_eq!((lead_ticks, media_time), (10_944, 0));
    assert!(back.tracks.iter().all(|track| track.enabled && !track.encrypted && track.sample_entries == 1));
    assert_eq!(back.tracks[0].sample_entry.get(4..8), Some(&b"avc1"[..]));
}

#[test]
fn facts_add_up_to_what_ffprobe_lists() {
    for fixture in [BACK, FRONT, CMAF, MIXED, VP9_OPUS] {
        let track = only(fixture);
        let facts = track.samples.facts();
        let samples: Vec<Sample> = track.samples.iter().collect();
        let bytes: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
        let keys: Vec<u64> = samples.iter().filter(|sample| sample.sync).map(|sample| sample.dts).collect();
        let far = keys.windows(2).map(|pair| pair[1] - pair[0]).chain([12_800 - keys[keys.len() - 1]]).max();
        let expected = Facts {
            count: 25,
            bytes,
            bytes_max: samples.iter().map(|sample| sample.size).max().expect("because there are samples"),
            first_dts: 0,
            end_dts: 12_800,
            first_pts: samples[0].pts(),
            end_pts: samples[0].pts() + 12_800,
            syncs: keys.len() as u64,
            sync_distance_ticks: far.expect("because there are key frames"),
            rises: true,
            reordered: facts.reordered,
            leading: false,
            duration_min_ticks: 512,
            duration_max_ticks: 512,
        };
        assert_eq!(facts, expected);
        assert_eq!(track.samples.end_dts(), 12_800);
        assert_eq!(facts.bits_per_second(track.timescale), bytes * 8);
        assert!(track.samples.syncs().map(|(_, sample)| sample.dts).eq(keys));
    }
    assert!(only(BACK).samples.facts().reordered);
    assert!(!only(FRONT).samples.facts().reordered);
    assert_eq!(only(BACK).samples.facts().sync_distance_ticks, 12 * 512);
}

#[test]
fn samples_gathered_one_by_one_are_the_samples_of_the_file() {
    for (file, _) in ALL {
        for track in index(file).tracks {
            let gathered: matinee_core::media::Samples = track.samples.iter().collect();
            assert!(gathered.iter().eq(track.samples.iter()));
            assert_eq!(gathered.facts(), track.samples.facts());
        }
    }
}

#[test]
fn a_file_that_is_no_mp4_says_so() {
    let check = |bytes: &[u8]| assert_eq!(read(bytes).map(drop), Err(MediaError::NotMp4), "{bytes:?}");
    check(b"");
    check(b"ftyp");
    check(b"plain text that is long enough for a box");
    check(b"PK\x03\x04\x14\0\0\0\x08\0an archive");
    check(b"\0\0\0\x04ftypisom");
}

#[test]
fn a_file_without_its_index_is_cut_off() {
    let (file, _) = BACK;
    let cut = read(&file[..3000]).map(drop);
    let mdat = FourCc(*b"mdat");
    assert!(
        matches!(cut, Err(MediaError::Truncated { within, needs: 3001.., has: 3000 }) if within == mdat),
        "{cut:?}"
    );
    let start = file.windows(4).position(|four| four == b"moov").expect("because the file has an index") - 4;
    assert_eq!(read(&file[..start]).map(drop), Err(MediaError::NoMoov));
    let needs = file.len() as u64;
    let moov = MediaError::Truncated { within: FourCc(*b"moov"), needs, has: needs - 1 };
    assert_eq!(read(&file[..file.len() - 1]).map(drop), Err(moov));
}

#[test]
fn a_file_cut_behind_its_index_has_samples_outside() {
    let (file, _) = FRONT;
    let index = index(&file[..file.len() - 1]);
    let has = index.size;
    let last = index.tracks.iter().filter_map(|track| track.check(has).err()).collect::<Vec<_>>();
    assert!(
        matches!(last[..], [MediaError::SampleOutside { needs, has: h, .. }] if needs == has + 1 && h == has)
    );
    assert_eq!(index.check(), Err(last[0].clone()));
}

#[test]
fn a_fragmented_file_that_is_cut_keeps_its_whole_fragments() {
    let (file, _) = CMAF;
    let moofs: Vec<usize> =
        file.windows(4).enumerate().filter(|(_, four)| *four == b"moof").map(|(at, _)| at - 4).collect();
    let whole = index(file).tracks[0].samples.len();
    let cut = index(&file[..moofs[moofs.len() - 1] + 20]);
    assert!(cut.cut);
    assert_eq!(cut.check(), Ok(()));
    assert!((1..=whole).contains(&cut.tracks[0].samples.len()));
}

/// The same file with as much free space before the index as wanted.
fn padded(file: &[u8], free: usize) -> Vec<u8> {
    let (ftyp, rest) = file.split_at(usize::from(file[3]));
    let mut bytes = ftyp.to_vec();
    bytes.extend(u32::try_from(free).expect("small").to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(ftyp.len() + free, 0);
    bytes.extend(rest);
    bytes
}

#[test]
fn boxes_behind_the_read_ahead_cost_a_read_each_and_are_not_read_through() {
    let file = padded(CMAF.0, 1 << 20);
    let (index, reads) = read(&file).expect("because free space changes nothing");
    assert_eq!(index.tracks[0].samples.len(), 25);
    assert!((2..=6).contains(&reads), "{reads}");
    let file = padded(BACK.0, 1 << 20);
    let (index, reads) = read(&file).expect("because free space changes nothing");
    assert_eq!(index.tracks[0].samples.len(), 25);
    assert!((2..=4).contains(&reads), "{reads}");
}

#[test]
fn an_index_over_the_limit_is_refused_unread() {
    let mut file = b"\0\0\0\x08ftyp".to_vec();
    let moov = matinee_core::limits::INDEX_BYTES_MAX + 1;
    file.extend(u32::try_from(moov).expect("small").to_be_bytes());
    file.extend(b"moov\0\0\0\0");
    let mut indexer = Indexer::new(moov + 8);
    assert!(matches!(indexer.step(b""), Ok(Step::Read { offset: 0, .. })));
    file.resize(64 << 10, 0);
    assert!(matches!(indexer.step(&file), Err(MediaError::TooLarge { value, .. }) if value == moov));
}

#[test]
fn an_answer_shorter_than_asked_for_is_a_cut_file() {
    let mut indexer = Indexer::new(1000);
    assert!(indexer.step(b"").is_ok());
    assert!(matches!(
        indexer.step(b"\0\0\0\x08ftyp"),
        Err(MediaError::Truncated { needs: 1000, has: 8, .. })
    ));
}

/// Whatever an index says, it must not have cost more memory than the file explains.
fn probe(file: &[u8]) {
    let Ok((index, _)) = read(file) else { return };
    let held: usize = index.tracks.iter().map(|track| track.samples.held_bytes()).sum();
    assert!(held <= 16 * file.len() + 4096, "{held} bytes held for a file of {}", file.len());
    for track in &index.tracks {
        let counted = track.samples.iter().take(1 << 16).count();
        assert!(counted == track.samples.len() || counted == 1 << 16, "a sample is missing");
        if track.samples.len() < 1 << 16 {
            let _ = (track.samples.facts(), track.check(index.size));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_bytes_end_in_an_index_or_an_error(tail in prop::collection::vec(any::<u8>(), 0..600)) {
        probe(&tail);
        let mut file = b"\0\0\0\x08ftyp".to_vec();
        file.extend(tail);
        probe(&file);
    }

    #[test]
    fn damaged_files_end_in_an_index_or_an_error(
        which in 0..ALL.len(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0_u8), Just(0xff), Just(1), any::<u8>()]), 1..6),
        words in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0_u32), Just(u32::MAX), 0..64_u32, any::<u32>()]), 0..3),
    ) {
        let mut file = ALL[which].0.to_vec();
        // Most of a file is media, whose damage nobody sees here: aim at the index.
        let moov = file.windows(4).position(|four| four == b"moov").expect("because all files have an index");
        let last = file.len() - 4;
        for (at, value) in hits {
            let at = moov + at.index(last - moov);
            file[at] = value;
        }
        for (at, value) in words {
            let at = moov + at.index((last - moov) / 4) * 4;
            file[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        probe(&file);
    }

    #[test]
    fn files_cut_anywhere_end_in_an_index_or_an_error(which in 0..ALL.len(), at in any::<prop::sample::Index>()) {
        let file = ALL[which].0;
        probe(&file[..at.index(file.len())]);
    }
}
