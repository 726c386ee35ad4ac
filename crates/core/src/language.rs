//! Languages: the tag that players read, made of what files say, and the name that people read.

/// The tag of RFC 5646, the codes of ISO 639-2 that mean the same, and the language's own name for itself.
///
/// A language that is not here keeps its three letters, which is a tag, too.
const KNOWN: [(&str, &[&str], &str); 76] = [
    ("af", &["afr"], "Afrikaans"),
    ("ar", &["ara"], "العربية"),
    ("az", &["aze"], "Azərbaycanca"),
    ("be", &["bel"], "Беларуская"),
    ("bg", &["bul"], "Български"),
    ("bn", &["ben"], "বাংলা"),
    ("bo", &["bod", "tib"], "བོད་སྐད་"),
    ("bs", &["bos"], "Bosanski"),
    ("ca", &["cat"], "Català"),
    ("cs", &["ces", "cze"], "Čeština"),
    ("cy", &["cym", "wel"], "Cymraeg"),
    ("da", &["dan"], "Dansk"),
    ("de", &["deu", "ger"], "Deutsch"),
    ("el", &["ell", "gre"], "Ελληνικά"),
    ("en", &["eng"], "English"),
    ("eo", &["epo"], "Esperanto"),
    ("es", &["spa"], "Español"),
    ("et", &["est"], "Eesti"),
    ("eu", &["eus", "baq"], "Euskara"),
    ("fa", &["fas", "per"], "فارسی"),
    ("fi", &["fin"], "Suomi"),
    ("fr", &["fra", "fre"], "Français"),
    ("ga", &["gle"], "Gaeilge"),
    ("gl", &["glg"], "Galego"),
    ("gu", &["guj"], "ગુજરાતી"),
    ("he", &["heb"], "עברית"),
    ("hi", &["hin"], "हिन्दी"),
    ("hr", &["hrv"], "Hrvatski"),
    ("hu", &["hun"], "Magyar"),
    ("hy", &["hye", "arm"], "Հայերեն"),
    ("id", &["ind"], "Bahasa Indonesia"),
    ("is", &["isl", "ice"], "Íslenska"),
    ("it", &["ita"], "Italiano"),
    ("ja", &["jpn"], "日本語"),
    ("ka", &["kat", "geo"], "ქართული"),
    ("kk", &["kaz"], "Қазақша"),
    ("km", &["khm"], "ខ្មែរ"),
    ("kn", &["kan"], "ಕನ್ನಡ"),
    ("ko", &["kor"], "한국어"),
    ("la", &["lat"], "Latina"),
    ("lb", &["ltz"], "Lëtzebuergesch"),
    ("lo", &["lao"], "ລາວ"),
    ("lt", &["lit"], "Lietuvių"),
    ("lv", &["lav"], "Latviešu"),
    ("mk", &["mkd", "mac"], "Македонски"),
    ("ml", &["mal"], "മലയാളം"),
    ("mn", &["mon"], "Монгол"),
    ("mr", &["mar"], "मराठी"),
    ("ms", &["msa", "may"], "Bahasa Melayu"),
    ("my", &["mya", "bur"], "မြန်မာ"),
    ("nb", &["nob"], "Norsk bokmål"),
    ("ne", &["nep"], "नेपाली"),
    ("nl", &["nld", "dut"], "Nederlands"),
    ("nn", &["nno"], "Norsk nynorsk"),
    ("no", &["nor"], "Norsk"),
    ("pa", &["pan"], "ਪੰਜਾਬੀ"),
    ("pl", &["pol"], "Polski"),
    ("pt", &["por"], "Português"),
    ("ro", &["ron", "rum"], "Română"),
    ("ru", &["rus"], "Русский"),
    ("sk", &["slk", "slo"], "Slovenčina"),
    ("sl", &["slv"], "Slovenščina"),
    ("sq", &["sqi", "alb"], "Shqip"),
    ("sr", &["srp"], "Српски"),
    ("sv", &["swe"], "Svenska"),
    ("sw", &["swa"], "Kiswahili"),
    ("ta", &["tam"], "தமிழ்"),
    ("te", &["tel"], "తెలుగు"),
    ("th", &["tha"], "ไทย"),
    ("tl", &["tgl"], "Tagalog"),
    ("tr", &["tur"], "Türkçe"),
    ("uk", &["ukr"], "Українська"),
    ("ur", &["urd"], "اردو"),
    ("uz", &["uzb"], "Oʻzbekcha"),
    ("vi", &["vie"], "Tiếng Việt"),
    ("zh", &["zho", "chi"], "中文"),
];

/// The longest tag that is believed; RFC 5646 section 4.4.1 asks for room for 35 letters.
const TAG_MAX: usize = 35;
/// The longest title of a track that is shown, in letters; it stands in menus.
const TITLE_MAX: usize = 80;

/// The tag of a language, from a tag or a code of ISO 639-2; empty when the text is neither, or says "none".
pub fn tag(text: &str) -> String {
    let text = text.trim().replace('_', "-");
    let (first, rest) =
        text.split_once('-').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
    let primary = first.to_ascii_lowercase();
    let letters = (2..=8).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
    let subtag =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let fits = text.len() <= TAG_MAX && letters && rest.is_none_or(|rest| rest.split('-').all(subtag));
    // Undetermined, several, uncoded, and no language at all.
    if !fits || matches!(primary.as_str(), "und" | "mul" | "mis" | "zxx") {
        return String::new();
    }
    let known = KNOWN.iter().find(|(_, codes, _)| codes.contains(&primary.as_str()));
    let short = known.map_or(primary.as_str(), |(short, ..)| short);
    let rest: String = rest.into_iter().flat_map(|rest| rest.split('-')).map(cased).collect();
    format!("{short}{rest}")
}

/// A further part of a tag with its hyphen, in the letters of RFC 5646 section 2.1.1: `-Hant`, `-BR`, `-valencia`.
fn cased(part: &str) -> String {
    let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
    match part.len() {
        2 if letters => format!("-{}", part.to_ascii_uppercase()),
        4 if letters => format!("-{}{}", part[..1].to_ascii_uppercase(), part[1..].to_ascii_lowercase()),
        _ => format!("-{}", part.to_ascii_lowercase()),
    }
}

/// What a person reads of a track: its title, else the name of its language, else its tag; empty when nothing is known.
pub fn label(title: &str, tag: &str) -> String {
    let title = title.trim();
    if !title.is_empty() {
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        return title.chars().map(plain).take(TITLE_MAX).collect();
    }
    let (first, rest) = tag.split_once('-').map_or((tag, None), |(first, rest)| (first, Some(rest)));
    let name = KNOWN.iter().find(|(short, ..)| *short == first).map_or(first, |(.., name)| name);
    rest.map_or_else(|| name.to_owned(), |rest| format!("{name} ({rest})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_codes_of_iso_639_and_tags_become_the_shortest_tag() {
        for (text, expected) in [
            ("eng", "en"),
            ("ger", "de"),
            ("deu", "de"),
            ("SWE", "sv"),
            ("en", "en"),
            ("pt-BR", "pt-BR"),
            ("zho_Hant", "zh-Hant"),
            ("gsw", "gsw"),
            ("und", ""),
            ("zxx", ""),
            ("", ""),
            ("e", ""),
            ("en\"", ""),
            ("123", ""),
            ("en--us", ""),
            ("english-with-a-tail-that-does-not-end", ""),
        ] {
            assert_eq!(tag(text), expected, "{text}");
        }
    }

    #[test]
    fn a_track_is_called_by_its_title_or_its_language() {
        assert_eq!(label("Director's\ncomments ", "en"), "Director's comments");
        assert_eq!(label(" ", "sv"), "Svenska");
        assert_eq!(label("", "pt-BR"), "Português (BR)");
        assert_eq!(label("", "gsw"), "gsw");
        assert_eq!(label("", ""), "");
        assert_eq!(label(&"x".repeat(200), "").len(), TITLE_MAX);
    }

    #[test]
    fn the_table_is_in_order_and_no_code_means_two_languages() {
        assert!(KNOWN.is_sorted_by_key(|(short, ..)| *short));
        let mut codes: Vec<_> = KNOWN.iter().flat_map(|(_, codes, _)| codes.iter()).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
