//! Shell patterns as Python's fnmatch has them: `*` and `?` also fit a slash, `[abc]`, `[a-z]` and `[!a]` one character.

/// Does the whole text fit the pattern?
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    rest_fits(&pattern, &text)
}

fn rest_fits(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['*', pattern @ ..], text) => (0..=text.len()).any(|n| rest_fits(pattern, &text[n..])),
        (_, []) => false,
        (['?', pattern @ ..], [_, text @ ..]) => rest_fits(pattern, text),
        (['[', set @ ..], [c, text @ ..]) => match class(set, *c) {
            Some((fits, pattern)) => fits && rest_fits(pattern, text),
            None => *c == '[' && rest_fits(set, text),
        },
        ([p, pattern @ ..], [c, text @ ..]) => p == c && rest_fits(pattern, text),
    }
}

/// Whether a character is in the set that begins behind `[`, and what follows the set. `None`: it does not end.
fn class(set: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, set) = match set {
        ['!', rest @ ..] => (true, rest),
        set => (false, set),
    };
    // A bracket that comes first is a member.
    let end = 1 + set.iter().skip(1).position(|c| *c == ']')?;
    let (mut members, mut inside) = (&set[..end], false);
    while let [first, rest @ ..] = members {
        (inside, members) = match rest {
            ['-', last, rest @ ..] => (inside || (*first..=*last).contains(&c), rest),
            _ => (inside || *first == c, rest),
        };
    }
    Some((inside != negated, &set[end + 1..]))
}
