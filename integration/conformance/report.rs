//! Tells how the run went: a line a case, a table of the areas, and whether that is good enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Mutex;

use crate::case::Case;
use crate::clock::Since;
use crate::compare::Difference;
use crate::known::Known;
use crate::locked;

/// Prints a line. Who no longer listens, as `head`, must not end the run in the middle of a case.
macro_rules! say {
    ($($what:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($what)*)));
    }};
}

/// How many of a hundred portable cases must agree when all are played.
const AGREE_MIN: f64 = 97.0;

pub enum Verdict {
    Agrees,
    Differs(Vec<Difference>),
    /// Why it was not played.
    Skipped(String),
    /// Why it could not be played to its end.
    Failed(String),
}

/// Cases of one area, counted.
#[derive(Default, Clone, Copy)]
struct Count {
    agree: u32,
    known: u32,
    differ: u32,
    skipped: u32,
}

impl Count {
    fn played(&self) -> u32 {
        self.agree + self.known + self.differ
    }

    fn percent(&self) -> f64 {
        100.0 * f64::from(self.agree) / f64::from(self.played().max(1))
    }
}

pub struct Report {
    known: Known,
    /// Is every case played, so that a share of them means something?
    whole: bool,
    since: Since,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    areas: BTreeMap<String, Count>,
    portable: Count,
    /// What makes the run fail.
    wrong: BTreeSet<String>,
    second_look: BTreeSet<String>,
}

impl Report {
    pub fn new(known: Known, whole: bool) -> Report {
        Report { known, whole, since: Since::now(), told: Mutex::default() }
    }

    /// Notes that a case was played twice, since at first it differed in times.
    pub fn second_look(&self, case: &Case) {
        locked(&self.told).second_look.insert(case.name.clone());
    }

    /// Tells about one case.
    pub fn tell(&self, case: &Case, verdict: Verdict, seconds: f64) {
        let reason = self.known.reason(&case.name);
        let mut count = Count::default();
        let (word, more) = match (verdict, reason) {
            (Verdict::Agrees, None) => {
                count.agree = 1;
                ("agrees", String::new())
            }
            (Verdict::Agrees, Some(_)) => {
                count.differ = 1;
                ("AGREES", "it stands in known-differences.txt: take it out".to_owned())
            }
            (Verdict::Differs(found), None) => {
                count.differ = 1;
                let texts: Vec<String> = found.into_iter().map(|difference| difference.text).collect();
                ("DIFFERS", texts.join("\n"))
            }
            (Verdict::Differs(_) | Verdict::Failed(_), Some(reason)) => {
                count.known = 1;
                ("known", reason.to_owned())
            }
            (Verdict::Failed(why), None) => {
                count.differ = 1;
                ("FAILED", why)
            }
            (Verdict::Skipped(why), _) => {
                count.skipped = 1;
                ("skipped", why)
            }
        };
        let mut line = format!("{word:<8} {:<46} {seconds:5.1} s", case.name);
        for more in more.lines() {
            let _ = write!(line, "\n         {more}");
        }
        let mut told = locked(&self.told);
        say!("{line}");
        if count.differ > 0 {
            told.wrong.insert(case.name.clone());
        }
        let area = case.name.split('/').next().unwrap_or_default().to_owned();
        let portable = case.class == "portable";
        let Told { areas, portable: total, .. } = &mut *told;
        for sum in [Some(areas.entry(area).or_default()), portable.then_some(total)].into_iter().flatten() {
            sum.agree += count.agree;
            sum.known += count.known;
            sum.differ += count.differ;
            sum.skipped += count.skipped;
        }
    }

    /// Tells the sums; fails where something is as nobody said it would be.
    pub fn finish(&self) -> ExitCode {
        let told = locked(&self.told);
        say!(
            "\n{:<12} {:>6} {:>6} {:>6} {:>7} {:>8}",
            "area",
            "agree",
            "known",
            "differ",
            "skipped",
            "percent"
        );
        let row = |name: &str, c: &Count| {
            let Count { agree, known, differ, skipped } = c;
            say!("{name:<12} {agree:>6} {known:>6} {differ:>6} {skipped:>7} {:>7.1}%", c.percent());
        };
        for (area, count) in &told.areas {
            row(area, count);
        }
        row("portable", &told.portable);
        if !told.second_look.is_empty() {
            let cases: Vec<&str> = told.second_look.iter().map(String::as_str).collect();
            say!("late beside others, and so played once more alone: {}", cases.join(" "));
        }
        let (total, seconds) = (&told.portable, self.since.seconds());
        say!(
            "conformance: {} of {} portable cases agree ({:.1} %), in {seconds:.0} s",
            total.agree,
            total.played(),
            total.percent()
        );
        if !told.wrong.is_empty() {
            let cases: Vec<&str> = told.wrong.iter().map(String::as_str).collect();
            say!("not as expected: {}", cases.join(" "));
            return ExitCode::FAILURE;
        }
        if self.whole && total.played() > 0 && total.percent() < AGREE_MIN {
            say!("fewer than {AGREE_MIN} % agree");
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }
}
