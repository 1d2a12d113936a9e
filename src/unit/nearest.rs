//! Finds the name that was probably meant.
#![forbid(unsafe_code)]

/// The name nearest to `word`, if one is near: at most one slip in three letters. Upper and lower case are
/// alike.
pub fn nearest<'a>(word: &str, names: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name there is, and the cost grows with its square.
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let slips_max = (word.len() / 3).max(1);
    let near = names.map(|name| (distance(word, name), name)).filter(|(slips, _)| *slips <= slips_max);
    near.min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}

/// How many letters must be added, taken away, replaced or swapped with their neighbour (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase().into_bytes(), b.to_ascii_lowercase().into_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["Restart", "RestartSec", "TimeoutStopSec", "User", "no", "always", "on-failure"];
        let table = [
            ("a letter too many", "Restartt", Some("Restart")),
            ("wrong case", "restartsec", Some("RestartSec")),
            ("two letters swapped", "Uesr", Some("User")),
            ("a wrong joint", "on_failure", Some("on-failure")),
            ("a missing part", "TimeoutStop", Some("TimeoutStopSec")),
            ("nothing like it", "sometimes", None),
            ("short words need be close", "yes", None),
            ("nothing", "", None),
        ];
        for (why, word, expected) in table {
            assert_eq!(nearest(word, &mut names.into_iter()), expected, "{why}");
        }
        assert_eq!(nearest(&"x".repeat(65), &mut names.into_iter()), None);
    }
}
