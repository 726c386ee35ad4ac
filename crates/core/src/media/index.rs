//! Finds and reads the index of an MP4 file by asking for byte ranges; it never reads by itself.

use bytes::Bytes;

use super::boxes::{HEADER_MAX, Header};
use super::error::{FourCc, MediaError};
use super::fragmented::{Trex, fragment};
use super::movie::{Movie, movie};
use super::track::Index;
use crate::limits::{INDEX_BYTES_MAX, INDEX_READ_AHEAD_BYTES, INDEX_READ_MIN_BYTES};

/// Types that the first box of an MP4 or `QuickTime` file may have.
const FIRST_BOXES: [&[u8; 4]; 16] = [
    b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot", b"uuid", b"sidx",
    b"meta", b"pdin", b"emsg", b"prft", b"ssix",
];

/// What the indexer wants next.
#[derive(Debug)]
pub enum Step {
    /// Read these bytes and hand them to the next call of [`Indexer::step`].
    Read {
        /// Position in the file, in bytes.
        offset: u64,
        /// How many bytes; never 0, and never behind the end of the file.
        len: u64,
    },
    /// The index is complete.
    Done(Box<Index>),
}

/// Does the end of a file, of which these are the first of `len` bytes, begin with the whole index?
pub fn begins_with_index(first: &[u8], len: u64) -> bool {
    Header::parse(first, len).is_ok_and(|header| header.kind.0 == *b"moov" && header.len <= len)
}

/// Reads an index piece by piece: box headers, then `moov`, then every `moof` of a fragmented file.
#[derive(Debug)]
pub struct Indexer {
    size: u64,
    /// Where the box starts that is looked at.
    at: u64,
    asked: Option<(u64, u64)>,
    window: Window,
    moov: Option<Movie>,
    media_seen: bool,
    moov_first: bool,
    moof_bytes: u64,
    moof_len: u64,
    implicit_bytes: u64,
}

/// The bytes that were read last.
#[derive(Debug, Default)]
struct Window {
    offset: u64,
    bytes: Bytes,
}

impl Window {
    /// `len` bytes from `offset`, if they are all here.
    fn get(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.bytes.get(start..end)
    }
}

/// What happens after a box was looked at.
enum Turn {
    Wait { offset: u64, len: u64 },
    Next { at: u64 },
    End { cut: bool },
}

impl Indexer {
    /// Starts on a file of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            at: 0,
            asked: None,
            window: Window::default(),
            moov: None,
            media_seen: false,
            moov_first: false,
            moof_bytes: 0,
            moof_len: 0,
            implicit_bytes: 0,
        }
    }

    /// Takes the bytes that the last step asked for, none at first, and says what is wanted next.
    ///
    /// After `Done` or an error the indexer is used up.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, MediaError> {
        if let Some((offset, len)) = self.asked.take() {
            let wanted = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
            let has = offset.saturating_add(bytes.len() as u64);
            let cut =
                MediaError::Truncated { within: FourCc(*b"file"), needs: offset.saturating_add(len), has };
            self.window = Window { offset, bytes: Bytes::copy_from_slice(wanted.ok_or(cut)?) };
        }
        loop {
            match self.turn()? {
                Turn::Wait { offset, len } => {
                    self.asked = Some((offset, len));
                    return Ok(Step::Read { offset, len });
                }
                Turn::Next { at } => self.at = at,
                Turn::End { cut } => return self.finish(cut).map(Step::Done),
            }
        }
    }

    /// What is known of a fragmented file whose next bytes are not there yet; `None` before its `moov` was read, and
    /// for every other file, whose index is complete or nothing.
    pub fn so_far(mut self) -> Option<Index> {
        let growing = self.moov.as_ref().is_some_and(|movie| movie.fragments.is_some());
        if growing { self.finish(false).ok().map(|index| *index) } else { None }
    }

    /// Looks at the box that starts at `self.at`.
    fn turn(&mut self) -> Result<Turn, MediaError> {
        let room = self.size.saturating_sub(self.at);
        if room < 8 {
            return if self.at == 0 { Err(MediaError::NotMp4) } else { Ok(Turn::End { cut: room > 0 }) };
        }
        let head = room.min(HEADER_MAX as u64);
        let Some(bytes) = self.window.get(self.at, head) else {
            return Ok(Turn::Wait { offset: self.at, len: self.read_ahead().clamp(head, room) });
        };
        let header = self.header(bytes, room)?;
        let end = self.at.checked_add(header.len);
        let end =
            end.ok_or(MediaError::Malformed { within: header.kind, why: "its length is beyond any file" })?;
        if end > self.size {
            return self.cut(header.kind, end);
        }
        match &header.kind.0 {
            b"moov" if self.moov.is_none() => self.read_moov(header.len, end),
            b"moof" => self.read_moof(header.len, end),
            b"mdat" => {
                self.media_seen = true;
                Ok(Turn::Next { at: end })
            }
            _ => Ok(Turn::Next { at: end }),
        }
    }

    /// How much to ask for when the next box header is not here.
    fn read_ahead(&self) -> u64 {
        if self.moov.is_none() {
            // The index may be short, or the rest of the file, and is then here with its header.
            return INDEX_READ_AHEAD_BYTES;
        }
        // The next fragment's header box is about as long as the last one.
        self.moof_len.saturating_add(HEADER_MAX as u64).clamp(INDEX_READ_MIN_BYTES, INDEX_READ_AHEAD_BYTES)
    }

    fn header(&self, bytes: &[u8], room: u64) -> Result<Header, MediaError> {
        let header = Header::parse(bytes, room);
        if self.at > 0 {
            return header;
        }
        let known = header.ok().filter(|header| FIRST_BOXES.contains(&&header.kind.0));
        known.ok_or(MediaError::NotMp4)
    }

    /// A box goes on behind the end of the file: what fragments there were before can still be used.
    fn cut(&self, within: FourCc, needs: u64) -> Result<Turn, MediaError> {
        if self.moov.is_some() {
            return Ok(Turn::End { cut: true });
        }
        Err(MediaError::Truncated { within, needs, has: self.size })
    }

    fn read_moov(&mut self, len: u64, end: u64) -> Result<Turn, MediaError> {
        if len > INDEX_BYTES_MAX {
            let what = "the size of the index (moov box) in bytes";
            return Err(MediaError::TooLarge { what, value: len, limit: INDEX_BYTES_MAX });
        }
        let Some(bytes) = self.window.get(self.at, len) else {
            return Ok(Turn::Wait { offset: self.at, len });
        };
        // A copy of its own when more was read than the index, because the tables stay in memory.
        let exact = bytes.len() == self.window.bytes.len();
        let bytes = if exact { self.window.bytes.clone() } else { Bytes::copy_from_slice(bytes) };
        let movie = movie(&bytes, self.size)?;
        let fragmented = movie.fragments.is_some();
        self.moov = Some(movie);
        self.moov_first = !self.media_seen;
        Ok(if fragmented { Turn::Next { at: end } } else { Turn::End { cut: false } })
    }

    fn read_moof(&mut self, len: u64, end: u64) -> Result<Turn, MediaError> {
        self.media_seen = true;
        let Some(movie) = &mut self.moov else { return Ok(Turn::Next { at: end }) };
        let total = self.moof_bytes.saturating_add(len);
        if total > INDEX_BYTES_MAX {
            let what = "the size of all fragment headers (moof boxes) in bytes";
            return Err(MediaError::TooLarge { what, value: total, limit: INDEX_BYTES_MAX });
        }
        let Some(bytes) = self.window.get(self.at, len) else {
            return Ok(Turn::Wait { offset: self.at, len });
        };
        let trexes =
            movie.fragments.as_mut().expect("because the walk goes on behind moov only for fragments");
        self.implicit_bytes =
            append(&mut movie.tracks, trexes, bytes, self.at)?.saturating_add(self.implicit_bytes);
        if self.implicit_bytes > self.size {
            let (needs, has) = (self.implicit_bytes, self.size);
            return Err(MediaError::Truncated { within: FourCc(*b"mdat"), needs, has });
        }
        self.moof_bytes = total;
        self.moof_len = len;
        Ok(Turn::Next { at: end })
    }

    fn finish(&mut self, cut: bool) -> Result<Box<Index>, MediaError> {
        let movie = self.moov.take().ok_or(MediaError::NoMoov)?;
        let fragmented = movie.fragments.is_some();
        let tracks = movie.tracks;
        Ok(Box::new(Index { size: self.size, fragmented, moov_first: self.moov_first, cut, tracks }))
    }
}

/// Adds the samples of one `moof` to its tracks; returns the bytes of samples whose number only the file bounds.
fn append(
    tracks: &mut [super::Track],
    trexes: &mut [Trex],
    moof: &[u8],
    offset: u64,
) -> Result<u64, MediaError> {
    let mut implicit = 0_u64;
    for traf in fragment(moof, offset, trexes)? {
        let place = trexes.iter().position(|trex| trex.track_id == traf.track_id);
        let place = place.expect("because fragments of other tracks are left out");
        trexes[place].next_dts = traf.end_dts;
        // There is one trex for each track, in the same order.
        let track = &mut tracks[place];
        if track.kind == super::TrackKind::Other {
            continue;
        }
        for run in traf.runs {
            if run.is_implicit() {
                implicit = implicit.saturating_add(run.end() - run.offset());
            }
            track.samples.push(run);
        }
    }
    Ok(implicit)
}

#[cfg(test)]
mod tests {
    use super::super::support::{boxed, full, nest};
    use super::*;

    /// A file that is zeros but for some pieces; reads return what is there.
    fn read(size: u64, pieces: &[(u64, Vec<u8>)]) -> Result<(Index, Vec<(u64, u64)>), MediaError> {
        let mut indexer = Indexer::new(size);
        let (mut answer, mut asked) = (Vec::new(), Vec::new());
        loop {
            match indexer.step(&answer)? {
                Step::Done(index) => return Ok((*index, asked)),
                Step::Read { offset, len } => {
                    asked.push((offset, len));
                    answer = vec![0; usize::try_from(len).unwrap()];
                    for (start, bytes) in pieces {
                        let places =
                            (*start..).zip(bytes).filter(|(at, _)| (offset..offset + len).contains(at));
                        places.for_each(|(at, byte)| answer[usize::try_from(at - offset).unwrap()] = *byte);
                    }
                }
            }
        }
    }

    fn moov() -> Vec<u8> {
        nest(*b"moov", &[&full(*b"mvhd", 0, 0, &[0, 0, 1000, 0])])
    }

    #[test]
    fn the_index_behind_ten_gigabytes_costs_two_reads() {
        let far = 10_u64 << 30;
        let mut head = boxed(*b"ftyp", b"isom");
        head.extend([0, 0, 0, 1]);
        head.extend(b"mdat");
        head.extend((far - 12).to_be_bytes());
        let size = far + moov().len() as u64;
        let (index, asked) = read(size, &[(0, head), (far, moov())]).unwrap();
        assert!(!index.moov_first && index.tracks.is_empty());
        assert_eq!(asked, [(0, INDEX_READ_AHEAD_BYTES), (far, moov().len() as u64)]);
    }

    #[test]
    fn a_first_box_to_the_end_or_beyond_every_number_is_understood() {
        let to_end = boxed(*b"ftyp", b"isom").into_iter().chain(*b"\0\0\0\0mdat").collect();
        assert_eq!(read(1000, &[(0, to_end)]).map(drop), Err(MediaError::NoMoov));
        let mut beyond = boxed(*b"ftyp", b"isom");
        beyond.extend(*b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff");
        let why = "its length is beyond any file";
        assert_eq!(read(1000, &[(0, beyond)]).map(drop), Err(MediaError::malformed(*b"mdat", why)));
    }

    #[test]
    fn the_end_of_a_file_begins_with_its_index_or_it_is_of_no_use() {
        assert!(begins_with_index(b"\0\0\0\x10moov\0\0\0\x08mvhd", 16));
        assert!(
            !begins_with_index(b"\0\0\0\x11moov\0\0\0\x08mvhd", 16),
            "it is longer than the end of the file"
        );
        assert!(!begins_with_index(b"\0\0\0\x10mdat\0\0\0\x08mvhd", 16));
        assert!(!begins_with_index(b"moov", 4) && !begins_with_index(b"", 0));
    }

    #[test]
    fn fragments_are_known_as_far_as_they_are_there() {
        let (trex, mvhd) = (full(*b"trex", 0, 0, &[1, 1, 0, 0, 0]), full(*b"mvhd", 0, 0, &[0, 0, 1000, 0]));
        let start = [boxed(*b"ftyp", b"isom"), nest(*b"moov", &[&mvhd, &nest(*b"mvex", &[&trex])])].concat();
        let known = |there: &[u8]| {
            let mut indexer = Indexer::new(1 << 30);
            let mut step = indexer.step(b"").unwrap();
            while let Step::Read { offset, len } = step {
                let from = usize::try_from(offset).unwrap();
                match there.get(from..from + usize::try_from(len).unwrap()) {
                    Some(bytes) => step = indexer.step(bytes).unwrap(),
                    None => return indexer.so_far(),
                }
            }
            None
        };
        let filler = boxed(*b"free", &vec![0; 1 << 17]);
        let index = known(&[start.as_slice(), &filler].concat()).unwrap();
        assert!(index.fragmented && !index.cut, "the index is there, and no fragment yet");
        assert!(known(b"").is_none(), "nothing is there");
        let whole = [boxed(*b"ftyp", b"isom"), moov(), filler].concat();
        assert!(known(&whole).is_none(), "an index that is complete is no part of one");
    }

    #[test]
    fn the_rest_after_the_last_box_does_not_matter() {
        let file = [boxed(*b"ftyp", b"isom"), moov()].concat();
        let size = file.len() as u64 + 5;
        assert!(read(size, &[(0, file)]).is_ok());
    }
}
