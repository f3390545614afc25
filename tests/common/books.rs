//! Eight books under the lab's names, made up: the same on every machine, with everything that is awkward in text.

/// The lab's names, sorted.
pub const BOOKS: [&str; 8] = [
    "pg-being_ernest.txt",
    "pg-dorian_gray.txt",
    "pg-frankenstein.txt",
    "pg-grimm.txt",
    "pg-huckleberry_finn.txt",
    "pg-metamorphosis.txt",
    "pg-sherlock_holmes.txt",
    "pg-tom_sawyer.txt",
];

/// How many different words there are.
const VOCABULARY: u64 = 6000;

/// Book `number`: about 60 KB; words as rare as in a language; accents and other scripts; bytes that are not UTF-8; odd ones end their lines with CRLF,
/// and every third lacks its last newline.
pub fn book(number: u64) -> Vec<u8> {
    let mut chance = Chance(number * 7919 + 1);
    let end: &[u8] = if number % 2 == 1 { b"\r\n" } else { b"\n" };
    let mut text = Vec::new();
    while text.len() < 50_000 + 3_000 * number as usize {
        for _ in 0..chance.below(14) {
            text.extend_from_slice(word(chance.rank()).as_bytes());
            text.extend_from_slice(
                [&b" "[..], b" ", b" ", b" ", b", ", b". ", b"-", b"'", b" 1984 ", b"\t", b" \xff", b"\xe2\x82 "]
                    [chance.below(12) as usize],
            );
        }
        text.extend_from_slice(end);
    }
    if number.is_multiple_of(3) {
        text.extend_from_slice("the end without a newline, déjà".as_bytes());
    }
    text
}

/// The word of this rank: the frequent ones are short.
pub fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 24] = [
        "the", "a", "ing", "to", "ser", "é", "ol", "um", "ka", "ß", "ri", "жа", "漢", "ne", "ö", "Ma", "tho", "İs", "qu", "en", "ﬁ", "ya",
        "Lo", "ce",
    ];
    let (mut rest, mut word) = (rank, String::new());
    loop {
        word += SYLLABLES[(rest % 24) as usize];
        rest /= 24;
        if rest == 0 {
            return word;
        }
    }
}

/// A small generator (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Zipf-like without floating point, which may differ between machines: a range halved at random, then a place in it.
    fn rank(&mut self) -> u64 {
        let range = (VOCABULARY >> self.below(12)).max(1);
        self.below(range)
    }
}
