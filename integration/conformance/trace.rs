//! What happened in one case, in normal form: README.md, section "Trace".
//!
//! One type serves for what was recorded and for what was seen: an `expected.json` is a trace from which was
//! removed what differed between recordings, with notes on how to compare the rest ([`Notes`]). Nothing here
//! judges; that is `compare`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// `UNIT -> PROPERTY -> VALUE`.
pub type Shown = BTreeMap<String, BTreeMap<String, String>>;

/// One run of a case. Times are seconds since its first step began.
#[derive(Default)]
pub struct Trace {
    pub case: String,
    pub supervisor: String,
    pub steps: Vec<Step>,
    /// `NAME#K -> process`.
    pub procs: BTreeMap<String, Proc>,
    /// `LABEL -> ...`.
    pub show: BTreeMap<String, Shown>,
    /// Absent in a recording whose repetitions disagreed.
    pub survivors: Option<Vec<String>>,
    pub notes: Notes,
}

/// How a recording is to be compared. Empty in what was just seen.
#[derive(Default)]
pub struct Notes {
    /// Seconds that a time may be off.
    pub tolerance: f64,
    /// Pairs of `NAME#K:I`, the first of which comes before the second.
    pub before: Vec<(String, String)>,
    /// What differed between recordings.
    pub unstable: Vec<String>,
}

#[derive(Default, Clone)]
pub struct Step {
    pub text: String,
    pub t: Option<f64>,
    /// Inside: `None` where the verb was still blocked at the end.
    pub ok: Option<Option<bool>>,
    pub out: Option<String>,
    pub dur: Option<f64>,
    pub tolerance: Option<f64>,
}

#[derive(Default, Clone)]
pub struct Proc {
    pub by: Option<String>,
    pub session_leader: Option<bool>,
    pub pgrp_leader: Option<bool>,
    pub events: Vec<String>,
    /// The time of each event.
    pub t: Vec<f64>,
    pub end: Option<String>,
    pub t_end: Option<f64>,
    pub facts: BTreeMap<String, String>,
    /// Facts that are not compared.
    pub info: BTreeSet<String>,
    /// Is only a prefix of the events fixed?
    pub open: bool,
    pub tolerance: Option<f64>,
}

impl Trace {
    /// Every event and every end with its time, named as `before` names them.
    pub fn moments(&self) -> BTreeMap<String, f64> {
        let mut when = BTreeMap::new();
        for (name, proc) in &self.procs {
            when.extend(proc.t.iter().enumerate().map(|(i, t)| (format!("{name}:{i}"), *t)));
            when.extend(proc.t_end.map(|t| (format!("{name}:end"), t)));
        }
        when
    }

    /// Reads a recording, or what [`Trace::to_json`] wrote.
    pub fn from_json(json: &Value) -> Result<Trace, String> {
        let need = |key: &str| json.get(key).ok_or_else(|| format!("{key} is missing"));
        let mut trace = Trace {
            case: text(json, "case").unwrap_or_default(),
            supervisor: text(json, "supervisor").unwrap_or_default(),
            survivors: match need("survivors")? {
                Value::Null => None,
                list => Some(texts(list)),
            },
            notes: Notes {
                tolerance: json.get("tolerance").and_then(Value::as_f64).unwrap_or(crate::case::TOLERANCE),
                before: json
                    .get("before")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(pair)
                    .collect(),
                unstable: json.get("unstable").map(texts).unwrap_or_default(),
            },
            ..Trace::default()
        };
        for step in need("steps")?.as_array().into_iter().flatten() {
            trace.steps.push(Step {
                text: text(step, "do").unwrap_or_default(),
                t: number(step, "t"),
                ok: step.get("ok").map(Value::as_bool),
                out: text(step, "out"),
                dur: number(step, "dur"),
                tolerance: number(step, "tolerance"),
            });
        }
        for (name, proc) in need("procs")?.as_object().into_iter().flatten() {
            let flag = |key: &str| proc.get(key).and_then(Value::as_bool);
            let times = proc.get("t").and_then(Value::as_array);
            let proc = Proc {
                by: text(proc, "by"),
                session_leader: flag("session_leader"),
                pgrp_leader: flag("pgrp_leader"),
                events: proc.get("events").map(texts).unwrap_or_default(),
                t: times.into_iter().flatten().filter_map(Value::as_f64).collect(),
                end: text(proc, "end"),
                t_end: number(proc, "t_end"),
                facts: proc.get("facts").map(pairs).unwrap_or_default(),
                info: proc.get("info").map(pairs).unwrap_or_default().into_keys().collect(),
                open: flag("open").unwrap_or_default(),
                tolerance: number(proc, "tolerance"),
            };
            if proc.t.len() != proc.events.len() {
                return Err(format!("{name} has {} events and {} times", proc.events.len(), proc.t.len()));
            }
            trace.procs.insert(name.clone(), proc);
        }
        for (label, units) in need("show")?.as_object().into_iter().flatten() {
            let units = units.as_object().into_iter().flatten();
            trace
                .show
                .insert(label.clone(), units.map(|(unit, props)| (unit.clone(), pairs(props))).collect());
        }
        Ok(trace)
    }

    /// As `oracle.py run` prints it.
    pub fn to_json(&self) -> Value {
        let step = |step: &Step| {
            let mut out = Map::from_iter([("do".to_owned(), json!(step.text))]);
            put(&mut out, "t", step.t.map(Value::from));
            put(&mut out, "ok", step.ok.map(Value::from));
            put(&mut out, "out", step.out.clone().map(Value::from));
            put(&mut out, "dur", step.dur.map(Value::from));
            Value::Object(out)
        };
        let proc = |proc: &Proc| {
            let mut out = Map::new();
            put(&mut out, "by", proc.by.clone().map(Value::from));
            put(&mut out, "session_leader", proc.session_leader.map(Value::from));
            put(&mut out, "pgrp_leader", proc.pgrp_leader.map(Value::from));
            put(&mut out, "events", Some(json!(proc.events)));
            put(&mut out, "t", Some(json!(proc.t)));
            put(&mut out, "end", proc.end.clone().map(Value::from));
            put(&mut out, "t_end", proc.t_end.map(Value::from));
            put(&mut out, "facts", Some(json!(proc.facts)));
            Value::Object(out)
        };
        let procs: Map<String, Value> = self.procs.iter().map(|(name, p)| (name.clone(), proc(p))).collect();
        json!({
            "schema": 1,
            "case": self.case,
            "supervisor": self.supervisor,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "procs": procs,
            "show": self.show,
            "survivors": self.survivors,
        })
    }
}

/// Leaves out what is not known.
fn put(out: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    out.extend(value.map(|value| (key.to_owned(), value)));
}

fn number(json: &Value, key: &str) -> Option<f64> {
    json.get(key).and_then(Value::as_f64)
}

fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn pair(value: &Value) -> Option<(String, String)> {
    let [a, b] = value.as_array()?.as_slice() else { return None };
    Some((a.as_str()?.to_owned(), b.as_str()?.to_owned()))
}

fn pairs(map: &Value) -> BTreeMap<String, String> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    map.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect()
}
