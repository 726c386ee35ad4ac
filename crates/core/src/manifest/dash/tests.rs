//! Golden manifests and the arithmetic of their time lines.

use super::*;
use crate::manifest::samples::{abroad, film, modern, segments, variant};
use crate::storyboard::Storyboard;
use proptest::prelude::*;

#[test]
fn a_film_has_a_set_per_codec_family_and_one_per_sound_track() {
    insta::assert_snapshot!(mpd(&film()));
}

#[test]
fn sounds_and_subtitles_are_sets_of_their_own() {
    let text = mpd(&abroad());
    let (_, behind_the_pictures) = text.split_once("</AdaptationSet>").unwrap();
    insta::assert_snapshot!(behind_the_pictures);
}

#[test]
fn pictures_of_another_codec_or_brightness_are_sets_of_their_own() {
    let text = mpd(&modern());
    let heads = text.lines().filter(|line| !line.starts_with("     "));
    insta::assert_snapshot!(heads.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_storyboard_is_a_set_of_tiles() {
    let keys: Vec<i64> = (0..31).map(|n| n * 2_000_000).collect();
    let storyboard = Storyboard::of((426, 240), &keys, 61_000_000).unwrap();
    let film = Presentation { tiles: Some(Tiles { storyboard, bytes: 50_000 }), ..film() };
    let text = mpd(&film);
    let set = text.split("  <AdaptationSet ").find(|set| set.contains("image/jpeg")).unwrap();
    insta::assert_snapshot!(set);
}

#[test]
fn another_codec_is_another_set_and_sound_may_be_missing() {
    let mut film = film();
    film.audio.clear();
    film.variants.push(variant(1_280, 720, "av01.0.05M.08", &[51_200, 512]));
    let text = mpd(&film);
    assert_eq!(text.matches("<AdaptationSet ").count(), 2);
    assert_eq!(text.matches("contentType=\"audio\"").count(), 0);
}

#[test]
fn a_plain_bucket_gets_a_list_of_ranges() {
    let ranges = |_: &Track| Form::Ranges { init_offset: 20_310, init_bytes: 833 };
    insta::assert_snapshot!(mpd_ranges(&film(), &ranges));
}

#[test]
fn times_that_do_not_begin_at_zero_are_exact_and_not_shifted() {
    let mut film = film();
    film.variants[0].track.segments = segments(1_024, &[100, 100, 100, 50]);
    film.variants[0].track.segments[3].start_ticks += 5;
    let text = mpd(&film);
    assert!(!text.contains("presentationTimeOffset"), "{text}");
    assert!(text.contains("<S t=\"1024\" d=\"100\" r=\"2\"/>\n      <S t=\"1329\" d=\"50\"/>"), "{text}");
}

#[test]
fn twelve_hours_of_equal_segments_are_one_row() {
    let long = variant(1_920, 1_080, "avc1.640028", &vec![51_200; 10_800]);
    let text = mpd(&Presentation { variants: vec![long], audio: Vec::new(), ..film() });
    assert!(text.contains("<S t=\"0\" d=\"51200\" r=\"10799\"/>"), "{text}");
    assert!(text.contains("mediaPresentationDuration=\"PT43200.000S\""), "{text}");
}

/// The attribute's value in one row.
fn value(row: &str, name: &str) -> Option<u64> {
    let after = row.split_once(&format!(" {name}=\""))?.1;
    after.split_once('"')?.0.parse().ok()
}

proptest! {
    #[test]
    fn the_rows_are_the_segments(durations in proptest::collection::vec(1_u32..4, 1..200), start in 0_u64..3) {
        let mut film = film();
        film.audio.clear();
        film.variants.truncate(1);
        film.variants[0].track.segments = segments(start, &durations);
        let text = mpd(&film);
        let (mut at, mut count) = (0, 0);
        for row in text.lines().filter(|line| line.trim_start().starts_with("<S ")) {
            at = value(row, "t").unwrap_or(at);
            let runs = 1 + value(row, "r").unwrap_or(0);
            at += runs * value(row, "d").unwrap();
            count += runs;
        }
        prop_assert_eq!(count, durations.len() as u64);
        prop_assert_eq!(at, start + durations.iter().map(|one| u64::from(*one)).sum::<u64>());
    }
}
