//! What people and programs write, and what is made of it.

use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::plan::probe::Chapter;

fn cue(start_ms: i64, end_ms: i64, text: &str) -> Cue {
    Cue { start_ms, end_ms, settings: String::new(), text: text.to_owned() }
}

#[test]
fn subrip_and_webvtt_are_read_as_they_are_found() {
    let expected = [
        cue(1_000, 2_500, "Hello <i>you</i>"),
        cue(3_000, 4_000, "Two\nlines"),
        cue(3_600_000, 3_600_010, "-"),
    ];
    let subrip = "1\r\n00:00:01,000 --> 00:00:02,500\r\nHello <i>you</i>\r\n\r\n2\r\n00:00:03,0 --> 00:00:04,000\r\nTwo\r\nlines\r\n\r\n\
                  3\r\n01:00:00,000 --> 01:00:00,010 X1:40 X2:600\r\n-";
    let webvtt = "\u{feff}WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE 00:00\n\nname\n00:01.000 --> 00:02.500\n\
                  Hello <i>you</i>\n\n00:00:03.000 --> 00:00:04.000 region:a\nTwo\nlines\n01:00:00.000 --> 01:00:00.010\n-\n";
    assert_eq!(read(subrip.as_bytes()), Ok(expected.to_vec()));
    assert_eq!(read(webvtt.as_bytes()), Ok(expected.to_vec()));
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(subrip.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(read(&wide), Ok(expected.to_vec()));
    // SubRip has no escapes, and a line of blanks ends nothing in WebVTT.
    let less = read(b"1\n00:00:01,000 --> 00:00:02,000\nif x < 5 and <b>y</b> > 3 <3\n \n").unwrap();
    assert_eq!(less[0].text, "if x &lt; 5 and <b>y</b> > 3 &lt;3");
    let blank = read(b"WEBVTT\n\n00:01.000 --> 00:02.000\nUp\n \ndown\n\nlost").unwrap();
    assert_eq!(blank[0].text, "Up\n \ndown");
    let placed = read(b"WEBVTT\n\n00:01.000 --> 00:02.000 line:0 align:start onclick:x\nUp").unwrap();
    assert_eq!(placed[0].settings, "line:0 align:start");
}

#[test]
fn what_holds_no_captions_is_refused_with_its_reason() {
    for (bytes, wrong) in [
        (&b"Hello"[..], Unreadable::Kind),
        (b"", Unreadable::Kind),
        (b"WEBVTTx\n", Unreadable::Kind),
        (b"1\n00:00:01 -> 00:00:02\nno arrow", Unreadable::Kind),
        (b"\xe9t\xe9", Unreadable::Encoding),
        (b"\xff\xfe\x00\xd8", Unreadable::Encoding),
    ] {
        assert_eq!(read(bytes), Err(wrong), "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(read(b"WEBVTT"), Ok(Vec::new()));
    let mut many = "00:01.0 --> 00:02.0\na\n\n".repeat(limits::CAPTION_CUES_MAX);
    assert_eq!(read(many.as_bytes()).map(|cues| cues.len()), Ok(limits::CAPTION_CUES_MAX));
    many.push_str("00:01.0 --> 00:02.0\na\n");
    assert_eq!(read(many.as_bytes()), Err(Unreadable::TooMany));
    let long = vec![b' '; limits::CAPTION_BYTES_MAX + 1];
    assert_eq!(read(&long), Err(Unreadable::TooLong));
    assert_eq!(read(&long[1..]), Err(Unreadable::Kind));
}

#[test]
fn words_are_moved_to_the_time_of_the_video_and_cut_to_its_length() {
    let cues = vec![
        cue(9_000, 12_000, "c"),
        cue(0, 1_000, "gone"),
        cue(500, 3_000, "a"),
        cue(4_000, 4_000, "never"),
        cue(13_000, 14_000, "gone"),
    ];
    assert_eq!(fitted(cues, -1_000, 10_000), [cue(0, 2_000, "a"), cue(8_000, 10_000, "c")]);
}

#[test]
fn a_written_file_is_strict_and_comes_back_the_same() {
    let cues =
        [cue(0, 1, "a --> b"), Cue { settings: "line:10%".into(), ..cue(3_723_004, 3_724_000, "x\n\ny") }];
    let text = write(&cues);
    assert_eq!(
        text,
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n00:00:00.000 --> 00:00:00.001\na --&gt; b\n\n\
         01:02:03.004 --> 01:02:04.000 line:10%\nx\ny\n"
    );
    assert_eq!(verify(text.as_bytes(), 3_724_000), Ok(2));
    assert_eq!(verify(text.as_bytes(), 3_723_999), Err(Fault::Outside(2)));
    let other = write(&[cue(5, 6, "a"), cue(4, 9, "b")]);
    assert_eq!(verify(other.as_bytes(), 10), Err(Fault::Order(2)));
    assert_eq!(verify(write(&[cue(5, 5, "a")]).as_bytes(), 10), Err(Fault::Backwards(1)));
    assert_eq!(verify(b"nothing", 10), Err(Fault::Unreadable(Unreadable::Kind)));
}

#[test]
fn chapters_have_their_titles_or_numbers() {
    let chapter = |start_us, end_us, title: &str| Chapter { start_us, end_us, title: title.into() };
    let cues = chapters(&[chapter(0, 2_000_000, "A <b> & c\n"), chapter(2_000_000, 3_000_999, "")]);
    assert_eq!(cues, [cue(0, 2_000, "A &lt;b> &amp; c"), cue(2_000, 3_000, "Chapter 2")]);
}

proptest! {
    #[test]
    fn whatever_is_read_can_be_shown(text in "(WEBVTT\n\n)?([0-9:., \n<>a-]|00:0[0-9][.,][0-9]{3} --> 00:0[0-9][.,][0-9]{3}\n){0,60}", shift in -5_000_i64..5_000) {
        if let Ok(cues) = read(text.as_bytes()) {
            let fitted = fitted(cues, shift, 6_000);
            let written = write(&fitted);
            prop_assert_eq!(verify(written.as_bytes(), 6_000), Ok(fitted.len()), "{}", written);
        }
    }
}
