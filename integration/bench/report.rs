//! What was measured, as tables, and which aims were met.

use std::process::ExitCode;

/// Collects verdicts while the tables are printed.
#[derive(Default)]
pub struct Report {
    met: Vec<String>,
    missed: Vec<String>,
    left_out: Vec<String>,
}

impl Report {
    /// Begins a measurement with a sentence that says what is measured.
    pub fn title(&self, name: &str, what: &str) {
        println!("\n{name}: {what}");
    }

    /// One row: who, and its figures as `(what, value, unit)`.
    pub fn row(&self, who: &str, figures: &[(&str, f64, &str)]) {
        print!("  {who:<24}");
        for (what, value, unit) in figures {
            let digits = if *value >= 100.0 || value.fract() == 0.0 { 0 } else { 1 };
            print!(" {what} {value:>8.digits$} {unit}  ");
        }
        println!();
    }

    pub fn note(&self, text: &str) {
        println!("  {text}");
    }

    /// An aim: `value` is at most `limit` times `of`. Compared as it is printed, to two places.
    pub fn at_most(&mut self, what: &str, value: f64, limit: f64, whose: &str, of: f64) {
        let ratio = if of > 0.0 {
            value / of
        } else if value > 0.0 {
            f64::INFINITY
        } else {
            0.0
        };
        let ratio = (ratio * 100.0).round() / 100.0;
        self.verdict(ratio <= limit, format!("{what}: {ratio:.2} x {whose}, aim at most {limit:.2}"));
    }

    /// An aim about one number.
    pub fn at_most_number(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.verdict(value <= limit, format!("{what}: {value:.0} {unit}, aim at most {limit:.0}"));
    }

    fn verdict(&mut self, met: bool, text: String) {
        println!("  {} {text}", if met { "met   " } else { "MISSED" });
        if met { self.met.push(text) } else { self.missed.push(text) }
    }

    pub fn left_out(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("  left out: {what}");
        self.left_out.push(what);
    }

    /// A measurement that did not come to its end; why was said where it broke off.
    pub fn broken(&mut self, name: &str) {
        self.missed.push(format!("{name}: broken off"));
    }

    /// The last lines, and the status: failure if an aim was missed.
    pub fn end(self) -> ExitCode {
        println!();
        for text in &self.left_out {
            println!("left out: {text}");
        }
        for text in &self.missed {
            println!("MISSED {text}");
        }
        println!(
            "bench: {} aims met, {} missed, {} left out",
            self.met.len(),
            self.missed.len(),
            self.left_out.len()
        );
        if self.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The middle of what was measured; sorts it. 0 of nothing.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(high), 0) => (high + values.get(middle - 1).unwrap_or(high)) / 2.0,
        (Some(value), _) => *value,
        (None, _) => 0.0,
    }
}
