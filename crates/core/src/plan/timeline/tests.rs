//! Packet lists as ffprobe writes them, cut anywhere.

use super::*;
use crate::plan::samples::probe;
use proptest::prelude::*;

const LIST: &str = "packet,0,0.080000,0.040000,K__\npacket,1,0.000000,0.021333,K_D\npacket,0,0.200000,0.040000,___\n\
    packet,0,0.120000,0.040000,___\npacket,0,0.160000,0.040000,___\npacket,1,0.021333,0.021333,K__,\n\
    packet,0,0.240000,0.040000,K__\npacket,7,9.000000,1.000000,K__\n\n";

fn read(list: &str, piece: usize) -> Result<Timeline, Refusal> {
    let mut reader = PacketList::new(&probe(&[]).unwrap());
    for bytes in list.as_bytes().chunks(piece) {
        reader.feed(bytes)?;
    }
    reader.finish()
}

#[test]
fn a_list_gives_origin_end_and_key_frames() {
    let line = read(LIST, 1_000).unwrap();
    let expected = Timeline {
        origin_us: 21_333,
        container_start_us: 0,
        video_start_us: Some(80_000),
        frames_end_us: Some(280_000),
        audio_end_us: Some(42_666),
        duration_us: 258_667,
        key_frames_us: vec![80_000, 240_000],
        video_packets: 5,
        interval_us: 40_000,
        variable_rate: false,
        largest_gap_us: 40_000,
        seekable: true,
        late_us: 0,
    };
    assert_eq!(line, expected);
    assert_eq!(line.key_distance_us(), 160_000);
}

#[test]
fn discarded_key_frames_can_be_sought_but_are_no_origin() {
    let line = read("0,-0.080000,0.040000,K_D\n0,0.000000,0.040000,__\n", 9).unwrap();
    assert_eq!((line.origin_us, line.key_before(0, 0), line.video_packets), (0, Some(-80_000), 1));
}

#[test]
fn times_that_jump_back_or_are_missing_cannot_be_sought() {
    let at = |n: i64| Packet { pts_us: n % 100 * 40_000, duration_us: 40_000, key: true, discard: false };
    assert!(!Timeline::from_packets(0, (0..200).map(at), std::iter::empty()).seekable);
    assert!(Timeline::from_packets(0, (0..100).map(at), std::iter::empty()).seekable);
    let untimed = read("0,N/A,0.040000,K__\n0,0.040000,0.040000,K__\n", 100).unwrap();
    assert_eq!((untimed.seekable, untimed.video_packets), (false, 2));
}

#[test]
fn pictures_reordered_over_a_long_pause_can_be_sought() {
    let at = |seconds: &i64| Packet {
        pts_us: seconds * 1_000_000,
        duration_us: 40_000,
        key: false,
        discard: false,
    };
    let line = Timeline::from_packets(0, [0, 1, 60, 2, 3, 61].iter().map(at), std::iter::empty());
    assert_eq!((line.seekable, line.largest_gap_us, line.interval_us), (true, 57_000_000, 1_000_000));
}

#[test]
fn uneven_pictures_are_a_variable_rate_but_rounded_ones_are_not() {
    let line = |times: &[i64]| {
        let at = |ms: &i64| Packet { pts_us: ms * 1_000, duration_us: 33_000, key: true, discard: false };
        Timeline::from_packets(0, times.iter().map(at), std::iter::empty())
    };
    assert!(!line(&[0, 33, 67, 100, 133]).variable_rate);
    let uneven = line(&[0, 33, 67, 133, 167]);
    assert_eq!((uneven.variable_rate, uneven.largest_gap_us), (true, 66_000));
}

#[test]
fn a_last_picture_without_a_duration_lasts_as_long_as_the_shortest() {
    let line = read("0,0.0,N/A,K_\n0,0.04,N/A,__\n0,0.08,N/A,__\n", 5).unwrap();
    assert_eq!(line.frames_end_us, Some(120_000));
    assert_eq!(line.average_rate(), Some(Rate::of(25, 1)));
}

#[test]
fn a_line_without_an_end_is_refused() {
    let long = |len: usize| read(&"9".repeat(len), 64).map(|line| line.video_packets);
    assert_eq!(long(limits::PACKET_LINE_BYTES_MAX), Ok(0));
    assert_eq!(long(limits::PACKET_LINE_BYTES_MAX + 1).unwrap_err().code(), "unsupported_media");
}

#[test]
fn seconds_become_whole_microseconds() {
    let check = |text: &str, us: Option<i64>| assert_eq!(seconds_us(text), us, "{text}");
    check("1.4", Some(1_400_000));
    check("-0.021333", Some(-21_333));
    check("60", Some(60_000_000));
    check("0.0000019", Some(1));
    check("N/A", None);
    check("", None);
    check("1e9", None);
    check("99999999999999999999", None);
    check("3155760000", None);
}

proptest! {
    #[test]
    fn a_list_reads_the_same_however_it_is_cut(piece in 1_usize..80) {
        prop_assert_eq!(read(LIST, piece), read(LIST, 10_000));
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let mut reader = PacketList::new(&probe(&[]).unwrap());
        let _ = reader.feed(&bytes).and_then(|()| reader.finish());
    }
}

#[test]
fn a_last_sound_that_does_not_say_how_long_it_is_lasts_as_long_as_the_others() {
    let sound = |at: i64, lasts: i64| Packet { pts_us: at, duration_us: lasts, key: true, discard: false };
    let end = |sounds: &[Packet]| {
        Timeline::from_packets(0, std::iter::empty(), sounds.iter().copied()).audio_end_us
    };
    assert_eq!(end(&[sound(0, 0), sound(500_000, 0), sound(1_000_000, 0)]), Some(1_500_000));
    assert_eq!(end(&[sound(0, 20_000), sound(20_000, 20_000)]), Some(40_000));
    assert_eq!(end(&[sound(0, 0), sound(9_000_000_000, 0)]), Some(9_001_000_000), "a gap is no sound");
    assert_eq!(end(&[sound(0, 0)]), Some(0));
}
