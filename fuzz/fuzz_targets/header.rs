//! Any text as a header, a token or an address of a request: no panic, and a range lies inside of its file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::access::path::Key;
use matinee_core::access::secret::Secret;
use matinee_core::access::{path, runner, sender};
use matinee_core::id::VideoId;
use matinee_core::range::{Wanted, attachment, wanted};
use matinee_core::sending::Target;
use matinee_core::time::Millis;
use matinee_core::upload::{checksum::Checksum, concat::Concat, metadata, resumable};
use matinee_core::{hardware, language};

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let Wanted::Part { first, last } = wanted(Some(text), size) {
        assert!(first <= last && last < size, "{text}");
    }
    let saved = attachment(text);
    assert!(saved.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{saved}");
    if let Ok(pairs) = metadata::pairs(text) {
        let _ = metadata::name(&pairs);
    }
    if let Ok(checksum) = Checksum::parse(text) {
        assert_eq!(Checksum::parse(&checksum.header()), Ok(checksum));
    }
    let _ = (Concat::parse(text), Target::parse(text), hardware::refused(text));
    let _ = (resumable::boolean(text), resumable::integer(text), resumable::digest(text));
    let _ = (resumable::wants_digest(text), resumable::file_name(text));
    let tag = language::tag(text);
    assert_eq!(language::tag(&tag), tag, "a tag is its own tag");
    let keys = [Key { number: 1, secret: [7; 32] }];
    assert!(path::verify(&keys, VideoId::from_bits(1), text, Millis(0)).is_err(), "nobody guesses a MAC");
    assert!(runner::verify(&keys, text, Millis(0)).is_err());
    let _ = sender::verify(&keys, text, Millis(0));
    if let Some(secret) = Secret::read(text) {
        let _ = secret.hash();
    }
});
