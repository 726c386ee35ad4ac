//! Files that want to read what is not theirs, or to call somebody, or to fill the machine.

use std::path::Path;

/// A file with its name.
pub(super) type Evil = (String, Vec<u8>);

fn hls(target: &str) -> String {
    format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n"
    )
}

/// Every way to name another file in a text that a demuxer understands. `canary` is a real video that nobody may open,
/// `port` a socket that nobody may call.
pub(super) fn texts(canary: &Path, port: u16) -> Vec<Evil> {
    let path = canary.to_str().unwrap();
    let call = format!("127.0.0.1:{port}");
    let mut all: Vec<(String, String)> = Vec::new();
    let targets = [
        format!("file://{path}"),
        format!("file:{path}"),
        path.to_owned(),
        "../../../canary.mp4".to_owned(),
        format!("http://{call}/a.ts"),
        format!("https://{call}/a.ts"),
        format!("tcp://{call}"),
        format!("udp://{call}"),
        format!("rtmp://{call}/live"),
        format!("rtsp://{call}/live"),
        format!("ftp://{call}/a.ts"),
        format!("gopher://{call}/a.ts"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///proc/self/environ".to_owned(),
        "/etc/passwd".to_owned(),
        format!("concat:{path}|{path}"),
        format!("subfile,,start,0,end,1000,,:{path}"),
        format!("crypto:{path}"),
        format!("cache:{path}"),
        format!("async:file:{path}"),
        format!("concat:http://{call}/a|{path}"),
        "data:text/plain;base64,R0lGODlh".to_owned(),
        "pipe:0".to_owned(),
        "fd:0".to_owned(),
        "unix:/var/run/docker.sock".to_owned(),
    ];
    for (number, target) in targets.iter().enumerate() {
        all.push((format!("list-{number}.mp4"), hls(target)));
        all.push((format!("concat-{number}.mkv"), format!("ffconcat version 1.0\nfile '{target}'\n")));
        all.push((format!("bare-{number}.ts"), format!("{target}\n")));
    }
    let page = format!("http://{call}/");
    for (name, text) in [
        ("master.m3u8", format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://{path}\n")),
        ("key.m3u8", format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-KEY:METHOD=AES-128,URI=\"file://{path}\",IV=0x0\n#EXTINF:5,\n{page}a.ts\n#EXT-X-ENDLIST\n")),
        ("map.m3u8", format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-MAP:URI=\"file://{path}\"\n#EXTINF:5,\nin\n#EXT-X-ENDLIST\n")),
        ("media.m3u8", format!("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"{page}a.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n{page}v.m3u8\n")),
        ("mark.m3u8", format!("\u{feff}{}", hls(&format!("file://{path}")))),
        ("lines.m3u8", hls(&format!("file://{path}")).replace('\n', "\r\n")),
        ("dash.mpd", format!("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" mediaPresentationDuration=\"PT5S\"><Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>file://{path}</BaseURL></Representation></AdaptationSet></Period></MPD>")),
        ("dash-http.mpd", format!("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" mediaPresentationDuration=\"PT5S\"><BaseURL>{page}</BaseURL><Period><AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate media=\"$Number$.m4s\" initialization=\"i.mp4\" duration=\"5\"/><Representation id=\"1\" bandwidth=\"1\"/></AdaptationSet></Period></MPD>")),
        ("entity.mpd", format!("<?xml version=\"1.0\"?><!DOCTYPE MPD [<!ENTITY x SYSTEM \"file://{path}\">]><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\">&x;</MPD>")),
        ("options.ffconcat", format!("ffconcat version 1.0\nfile '{path}'\noption safe 0\noption protocol_whitelist file,http\n")),
        ("session.sdp", format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n")),
        ("rtsp.txt", format!("RTSPtext\nrtsp://{call}/x\n")),
        ("list.asx", format!("<asx version=\"3.0\"><entry><ref href=\"{page}a.wmv\"/></entry></asx>")),
        ("list.pls", format!("[playlist]\nFile1={page}a.mp3\nNumberOfEntries=1\n")),
        ("list.xspf", format!("<playlist version=\"1\"><trackList><track><location>file://{path}</location></track></trackList></playlist>")),
        ("list.edl", "# mpv EDL v0\ncanary.mp4,0,5\n".to_owned()),
        ("index.idx", "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n".to_owned()),
        ("script.avs", format!("DirectShowSource(\"{path}\")\n")),
        ("script.vpy", "import vapoursynth, os\nos.system('true')\n".to_owned()),
        ("meta.txt", format!(";FFMETADATA1\ntitle={path}\n")),
        ("graph.txt", format!("movie={path}[out0]\n")),
        ("drawing.svg", format!("<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"><image xlink:href=\"{page}a.png\"/><image xlink:href=\"file://{path}\"/></svg>")),
        ("cpl.xml", format!("<?xml version=\"1.0\"?><CompositionPlaylist xmlns=\"http://www.smpte-ra.org/schemas/2067-3/2016\"><Id>urn:uuid:0</Id><ContentTitle>{path}</ContentTitle></CompositionPlaylist>")),
        ("smooth.ism", format!("<?xml version=\"1.0\"?><SmoothStreamingMedia MajorVersion=\"2\"><StreamIndex Type=\"video\" Url=\"{page}\"/></SmoothStreamingMedia>")),
    ] {
        all.push((name.to_owned(), text));
    }
    all.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}

/// Media whose insides name something else.
pub(super) fn nested(canary: &Path, port: u16) -> Vec<Evil> {
    let path = canary.to_str().unwrap();
    let url = format!("http://127.0.0.1:{port}/a.mp4");
    let list = hls(&format!("file://{path}"));
    let mut all = vec![
        ("reference-file.mov".to_owned(), reference(&format!("file://{path}"))),
        ("reference-http.mov".to_owned(), reference(&url)),
        ("gab2.avi".to_owned(), gab2(list.as_bytes())),
        ("gab2-http.avi".to_owned(), gab2(hls(&url).as_bytes())),
        ("linked-cover.flac".to_owned(), linked_cover(&url)),
        ("linked-cover.mp3".to_owned(), linked_frame(&url)),
        (
            "huge.bmp".to_owned(),
            b"BM\xff\xff\xff\x7f\0\0\0\0\x36\0\0\0\x28\0\0\0\xff\xff\0\0\xff\xff\0\0\x01\0\x18\0".to_vec(),
        ),
    ];
    // Names are data: none of them is ever part of a command.
    for name in [
        "-i %2Fetc%2Fpasswd.mp4",
        "concat:a|b.mp4",
        "file:///etc/passwd",
        "pipe:0",
        "%03d.png",
        "*.mp4",
        "$(id).mp4",
        "`id`.mp4",
        "a;id.mp4",
        "../../../../etc/passwd",
        "-f lavfi",
        "\u{202e}4pm.exe",
        "nul\u{0}l.mp4",
    ] {
        all.push((name.to_owned(), list.as_bytes().to_vec()));
    }
    all
}

/// A box of an MP4.
fn bx(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], &kind, body].concat()
}

/// A `QuickTime` movie that only says where the real one is.
fn reference(url: &str) -> Vec<u8> {
    let text = [url.as_bytes(), b"\0"].concat();
    let len = u32::try_from(text.len()).unwrap();
    let rdrf = bx(*b"rdrf", &[&[0; 4][..], b"url ", &len.to_be_bytes(), &text].concat());
    let movie = bx(*b"moov", &bx(*b"rmra", &bx(*b"rmda", &rdrf)));
    [bx(*b"ftyp", b"qt  \0\0\0\0qt  "), movie, bx(*b"mdat", &[0; 64])].concat()
}

/// A chunk of a RIFF file.
fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    let pad = &[0_u8][..body.len() % 2];
    [&kind[..], &len.to_le_bytes(), body, pad].concat()
}

/// An AVI whose subtitles are a playlist (the class of CVE-2017-9993).
fn gab2(list: &[u8]) -> Vec<u8> {
    let len = u32::try_from(list.len()).unwrap();
    let words =
        [b"GAB2\0\x02\0".as_slice(), &2_u32.to_le_bytes(), b"x\0", b"\x04\0", &len.to_le_bytes(), list]
            .concat();
    let mut head = vec![0; 56];
    head[24..28].copy_from_slice(&1_u32.to_le_bytes());
    let mut stream = vec![0; 56];
    stream[..4].copy_from_slice(b"txts");
    stream[20..28].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    let one = [b"strl".as_slice(), &chunk(*b"strh", &stream), &chunk(*b"strf", &[])].concat();
    let heads = [b"hdrl".as_slice(), &chunk(*b"avih", &head), &chunk(*b"LIST", &one)].concat();
    let movie = [b"movi".as_slice(), &chunk(*b"00tx", &words)].concat();
    let body = [b"AVI ".as_slice(), &chunk(*b"LIST", &heads), &chunk(*b"LIST", &movie)].concat();
    chunk(*b"RIFF", &body)
}

/// A FLAC file whose cover is an address: the type `-->` says so.
fn linked_cover(url: &str) -> Vec<u8> {
    let len = |text: &[u8]| u32::try_from(text.len()).unwrap().to_be_bytes();
    let mut picture = [&3_u32.to_be_bytes()[..], &len(b"-->"), b"-->", &len(b"")].concat();
    picture.extend([0; 16]);
    picture.extend([&len(url.as_bytes())[..], url.as_bytes()].concat());
    let size = u32::try_from(picture.len()).unwrap().to_be_bytes();
    let mut info = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    info.extend([0x0b, 0xb8, 0x02, 0xf0, 0, 0, 0, 0]);
    info.extend([0; 16]);
    [b"fLaC\0\0\0\x22".as_slice(), &info, &[0x86], &size[1..], &picture].concat()
}

/// An ID3 tag whose cover is an address, before nothing.
fn linked_frame(url: &str) -> Vec<u8> {
    let body = [b"\0-->\0\x03\0".as_slice(), url.as_bytes()].concat();
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    let frame = [b"APIC".as_slice(), &len, b"\0\0", &body].concat();
    let size = u8::try_from(frame.len()).unwrap();
    [b"ID3\x03\0\0\0\0\0".as_slice(), &[size], &frame, &[0xff, 0xfb, 0x90, 0]].concat()
}

/// An element of a Matroska file; its length is always written in eight bytes.
fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u64 | 1 << 56).to_be_bytes();
    [id, &len[..], body].concat()
}

/// A good Matroska file of unknown length with so many attachments in front of its first cluster.
pub(super) fn attached(live: &[u8], count: u64) -> Vec<u8> {
    let one = |n: u64| {
        let parts = [
            element(b"\x46\x6e", b"a.ttf"),
            element(b"\x46\x60", b"font/ttf"),
            element(b"\x46\x5c", b"x"),
            element(b"\x46\xae", &(n + 1).to_be_bytes()),
        ];
        element(b"\x61\xa7", &parts.concat())
    };
    let all: Vec<u8> = (0..count).flat_map(one).collect();
    let cluster = live.windows(4).position(|part| part == b"\x1f\x43\xb6\x75").unwrap();
    [&live[..cluster], &element(b"\x19\x41\xa4\x69", &all), &live[cluster..]].concat()
}
