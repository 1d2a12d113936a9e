//! The list of known differences: `area/case  reason`, one a line. A reason says why that is so, on purpose with a
//! link to the document of differences.

use std::collections::BTreeMap;

/// Case and reason.
#[derive(Debug, PartialEq)]
pub struct Known(pub BTreeMap<String, String>);

impl Known {
    /// Reads the list; every line that is not understood is an error, and so is one without a reason.
    pub fn read(text: &str) -> Result<Known, String> {
        let mut known = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (case, reason) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let wrong = |why: &str| Err(format!("known-differences.txt:{number}: {case} {why}"));
            if !case.contains('/') {
                return wrong("is no case: area/name");
            }
            if reason.trim().is_empty() {
                return wrong("has no reason");
            }
            if known.insert(case.to_owned(), reason.trim().to_owned()).is_some() {
                return wrong("is there twice");
            }
        }
        Ok(Known(known))
    }

    pub fn reason(&self, case: &str) -> Option<&str> {
        self.0.get(case).map(String::as_str)
    }

    pub fn cases(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}
