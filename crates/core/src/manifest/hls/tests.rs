//! Golden playlists and the rules of RFC 8216.

use super::*;
use crate::manifest::samples::{abroad, audio, film, modern, segments, variant};
use proptest::prelude::*;

const RANGES: Form = Form::Ranges { init_offset: 20_310, init_bytes: 833 };

#[test]
fn a_film_has_one_variant_per_size_and_the_sound_counts() {
    insta::assert_snapshot!(multivariant(&film()));
}

#[test]
fn a_silent_film_names_no_sound() {
    let silent = Presentation { audio: Vec::new(), i_frames: false, ..film() };
    insta::assert_snapshot!(multivariant(&silent));
}

#[test]
fn sound_alone_is_a_variant_without_a_resolution() {
    let sound = Presentation { variants: Vec::new(), ..film() };
    insta::assert_snapshot!(multivariant(&sound));
}

#[test]
fn tracks_with_the_same_title_get_different_names() {
    let twice = Presentation {
        audio: vec![audio("A", "", &[1]), audio("A", "", &[1]), audio("", "", &[1])],
        ..film()
    };
    let text = multivariant(&twice);
    for name in ["NAME=\"A\"", "NAME=\"A 2\"", "NAME=\"Audio 3\""] {
        assert_eq!(text.matches(name).count(), 1, "{name} in {text}");
    }
}

#[test]
fn sounds_and_subtitles_are_alternatives() {
    insta::assert_snapshot!(multivariant(&abroad()));
}

#[test]
fn other_codecs_follow_with_a_group_of_sounds_of_their_own() {
    insta::assert_snapshot!(multivariant(&modern()));
}

#[test]
fn sounds_without_a_picture_are_alternatives_and_no_qualities() {
    insta::assert_snapshot!(multivariant(&Presentation { variants: Vec::new(), ..abroad() }));
}

#[test]
fn subtitles_are_one_segment_as_long_as_the_video() {
    let text = &abroad().texts[0];
    insta::assert_snapshot!(subtitle_playlist(text, 11_200));
    assert!(subtitle_playlist(text, 11_000).contains("TARGETDURATION:11\n"));
}

#[test]
fn a_finished_track_is_vod() {
    let film = film();
    insta::assert_snapshot!(playlist(&film.variants[0].track, Kind::Video, Form::Slices, true, 4));
}

#[test]
fn a_growing_track_is_an_event_from_its_start_without_an_end() {
    let film = film();
    insta::assert_snapshot!(playlist(&film.audio[0].track, Kind::Audio, Form::Slices, false, 5));
}

#[test]
fn a_plain_bucket_gets_byte_ranges() {
    let film = film();
    insta::assert_snapshot!(playlist(&film.variants[0].track, Kind::Video, RANGES, true, 4));
}

#[test]
fn i_frames_are_the_first_picture_of_each_segment() {
    let film = film();
    let track = &film.variants[1].track;
    insta::assert_snapshot!([i_frames(track, Form::Slices, 4), i_frames(track, RANGES, 4)].join("\n"));
}

#[test]
fn twelve_hours_are_one_line_pair_per_segment() {
    let long = variant(1_920, 1_080, "avc1.640028", &vec![51_200; 10_800]);
    let text = playlist(&long.track, Kind::Video, Form::Slices, true, 4);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("v/") || line.starts_with("#EXTINF")).count(),
        21_600
    );
    assert!(text.capacity() < 1_000_000, "{}", text.capacity());
}

/// The lengths of a playlist in units of 10 microseconds.
fn lengths(text: &str) -> Vec<u64> {
    let digits =
        |line: &str| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').replace('.', "").parse().ok();
    text.lines().filter_map(digits).collect()
}

proptest! {
    #[test]
    fn no_length_is_above_the_target_and_their_sum_is_the_duration(
        durations in proptest::collection::vec(1_u32..1_000_000, 1..60),
        timescale in 1_u32..100_000,
        growing: bool,
    ) {
        let mut track = film().variants.remove(0).track;
        (track.timescale, track.segments) = (timescale, segments(7, &durations));
        let text = playlist(&track, Kind::Video, Form::Slices, !growing, 1);
        let target: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-TARGETDURATION:"))
            .and_then(|value| value.parse().ok())
            .unwrap();
        let all = lengths(&text);
        prop_assert_eq!(all.len(), durations.len());
        prop_assert!(all.iter().all(|length| (length + 50_000) / 100_000 <= target));
        let ticks: u64 = durations.iter().map(|one| u64::from(*one)).sum();
        let exact = ticks * 100_000 / u64::from(timescale);
        prop_assert!(all.iter().sum::<u64>().abs_diff(exact) <= durations.len() as u64);
        prop_assert_eq!(text.contains("ENDLIST"), !growing);
    }

    #[test]
    fn a_growing_playlist_only_grows_at_its_end(durations in proptest::collection::vec(1_u32..51_200, 2..40), cut in 1_usize..39) {
        let mut track = film().variants.remove(0).track;
        track.segments = segments(0, &durations);
        let whole = playlist(&track, Kind::Video, Form::Slices, false, 4);
        track.segments.truncate(cut);
        let part = playlist(&track, Kind::Video, Form::Slices, false, 4);
        prop_assert!(whole.starts_with(&part));
    }
}
