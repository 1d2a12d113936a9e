//! Something for some of the units, in the order of the units.
//!
//! Units are counted from nothing, so a place in a list is all that a lookup takes.
#![forbid(unsafe_code)]

use super::UnitId;

/// A map by unit; of `()`, a set of units.
#[derive(Clone, Debug)]
pub(super) struct ByUnit<T>(Vec<Option<T>>);

impl<T> Default for ByUnit<T> {
    fn default() -> Self {
        ByUnit(Vec::new())
    }
}

impl<T> ByUnit<T> {
    pub fn get(&self, unit: UnitId) -> Option<&T> {
        self.0.get(unit.0 as usize).and_then(Option::as_ref)
    }

    pub fn get_mut(&mut self, unit: UnitId) -> Option<&mut T> {
        self.0.get_mut(unit.0 as usize).and_then(Option::as_mut)
    }

    pub fn has(&self, unit: UnitId) -> bool {
        self.get(unit).is_some()
    }

    /// Returns what was there before.
    pub fn insert(&mut self, unit: UnitId, value: T) -> Option<T> {
        let at = unit.0 as usize;
        while self.0.len() <= at {
            self.0.push(None);
        }
        self.0.get_mut(at).and_then(|place| place.replace(value))
    }

    pub fn remove(&mut self, unit: UnitId) -> Option<T> {
        self.0.get_mut(unit.0 as usize).and_then(Option::take)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn iter(&self) -> impl Iterator<Item = (UnitId, &T)> {
        (0..).zip(&self.0).filter_map(|(at, value)| value.as_ref().map(|value| (UnitId(at), value)))
    }

    pub fn units(&self) -> impl Iterator<Item = UnitId> {
        self.iter().map(|(unit, _)| unit)
    }
}

impl ByUnit<Vec<UnitId>> {
    /// Adds to the list of a unit.
    pub fn push(&mut self, unit: UnitId, other: UnitId) {
        match self.get_mut(unit) {
            Some(list) => list.push(other),
            None => {
                self.insert(unit, vec![other]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_there_is_found_there() {
        let mut map = ByUnit::default();
        assert_eq!(map.insert(UnitId(2), 'a'), None);
        assert_eq!(map.insert(UnitId(0), 'b'), None);
        assert_eq!(map.insert(UnitId(2), 'c'), Some('a'));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(UnitId(0), &'b'), (UnitId(2), &'c')]);
        assert_eq!((map.get(UnitId(1)), map.get(UnitId(9)), map.has(UnitId(0))), (None, None, true));
        assert_eq!(
            (map.remove(UnitId(0)), map.remove(UnitId(0)), map.remove(UnitId(9))),
            (Some('b'), None, None)
        );
        assert_eq!(map.units().collect::<Vec<_>>(), [UnitId(2)]);
    }
}
