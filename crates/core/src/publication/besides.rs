//! What a host has of a video besides its pictures and its sound: captions, and the whole as a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ObjectId;

/// What is there, as far as it was put there by us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Besides {
    /// Captions by language: a host has one of each.
    pub captions: BTreeMap<String, Put>,
    /// The file, once it was asked for.
    pub download: Option<Download>,
    /// Whether the host was given what we have, as far as both tell.
    pub original: Option<Original>,
}

/// What a host says that it was given, against what we gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Original {
    /// The same bytes.
    Same,
    /// Others.
    Differs,
}

impl Original {
    /// By two digests, in hexadecimal digits.
    pub const fn of(theirs: &str, ours: &str) -> Self {
        if theirs.eq_ignore_ascii_case(ours) { Self::Same } else { Self::Differs }
    }
}

/// Captions that a host was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Our file of them.
    pub object: ObjectId,
    /// Why the host did not take it, when that is so.
    pub refused: Option<String>,
}

/// The whole as one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Where it is in its life.
    pub state: Making,
    /// Hundredths of the work, if the host tells them.
    pub percent: Option<u8>,
}

/// Where a file is that a host makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Making {
    /// It is being made.
    Making,
    /// It is there.
    Ready,
    /// There will be none.
    Failed,
}

/// Captions that are to be at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The language as a tag.
    pub language: String,
    /// What people are to read in menus.
    pub label: String,
    /// Only what everybody must read.
    pub forced: bool,
    /// Our file of them.
    pub object: ObjectId,
}

/// What is to be done about captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// They are to be there, in place of what is.
    Put(Spoken),
    /// Those of this language are to go.
    Remove(String),
}

impl Besides {
    /// What makes the captions that are there those that are `wanted`: one for each language, all the words rather than those
    /// that everybody must read. What names no language cannot be there.
    pub fn changes(&self, wanted: Vec<Spoken>) -> Vec<Change> {
        let mut each: BTreeMap<String, Spoken> = BTreeMap::new();
        for spoken in wanted.into_iter().filter(|spoken| !spoken.language.is_empty()) {
            let first = each.get(&spoken.language);
            if first.is_none_or(|first| first.forced && !spoken.forced) {
                each.insert(spoken.language.clone(), spoken);
            }
        }
        let gone = self.captions.keys().filter(|language| !each.contains_key(*language)).cloned();
        let mut changes: Vec<Change> = gone.map(Change::Remove).collect();
        let is_there =
            |one: &Spoken| self.captions.get(&one.language).is_some_and(|put| put.object == one.object);
        changes.extend(each.into_values().filter(|one| !is_there(one)).map(Change::Put));
        changes
    }

    /// Is the host to be asked for the file, first or again, of a video that is `ready` there?
    pub fn is_unfinished(&self, wanted: bool, ready: bool) -> bool {
        let open = self.download.as_ref().is_none_or(|download| download.state == Making::Making);
        wanted && ready && open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(language: &str, forced: bool, object: u128) -> Spoken {
        let (language, label) = (language.to_owned(), language.to_uppercase());
        Spoken { language, label, forced, object: ObjectId::from_bits(object) }
    }

    fn there(all: &[(&str, u128)]) -> Besides {
        let put = |object: u128| Put { object: ObjectId::from_bits(object), refused: None };
        let captions = all.iter().map(|(language, object)| ((*language).to_owned(), put(*object)));
        Besides { captions: captions.collect(), ..Besides::default() }
    }

    #[test]
    fn a_host_gets_what_it_lacks_and_loses_what_nobody_wants() {
        let en = spoken("en", false, 1);
        for (has, wanted, expected) in [
            (there(&[]), vec![], vec![]),
            (there(&[]), vec![en.clone()], vec![Change::Put(en.clone())]),
            (there(&[("en", 1)]), vec![en.clone()], vec![]),
            (there(&[("en", 2)]), vec![en.clone()], vec![Change::Put(en.clone())]),
            (there(&[("de", 2), ("en", 1)]), vec![en.clone()], vec![Change::Remove("de".to_owned())]),
            (there(&[]), vec![spoken("en", true, 3), en.clone()], vec![Change::Put(en.clone())]),
            (there(&[]), vec![en.clone(), spoken("en", true, 3)], vec![Change::Put(en.clone())]),
            (there(&[]), vec![spoken("", false, 4)], vec![]),
        ] {
            assert_eq!(has.changes(wanted.clone()), expected, "{has:?} {wanted:?}");
        }
    }

    #[test]
    fn digests_are_compared_whatever_their_digits_look_like() {
        assert_eq!(Original::of("00ABcd", "00abCD"), Original::Same);
        assert_eq!(Original::of("00abcd", "00abce"), Original::Differs);
    }

    #[test]
    fn a_file_is_asked_for_when_the_video_is_ready_and_until_it_is_there() {
        let with =
            |state| Besides { download: Some(Download { state, percent: None }), ..Besides::default() };
        assert!(
            Besides::default().is_unfinished(true, true) && with(Making::Making).is_unfinished(true, true)
        );
        for (besides, wanted, ready) in [
            (Besides::default(), false, true),
            (Besides::default(), true, false),
            (with(Making::Ready), true, true),
            (with(Making::Failed), true, true),
        ] {
            assert!(!besides.is_unfinished(wanted, ready), "{besides:?}");
        }
    }
}
