//! CPU and memory of processes, as the kernel counts them.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Between two samples.
const EVERY: Duration = Duration::from_millis(200);
/// In what `/proc` counts: the same on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What processes of one name have used.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Usage {
    /// User and system time, seconds.
    pub cpu_seconds: f64,
    /// Memory in use.
    pub rss_mb: f64,
}

/// By the name of the process; processes of the same name are added up.
pub type Usages = BTreeMap<String, Usage>;

/// A moment of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// Seconds since the meter began.
    pub at_seconds: f64,
    /// What each had used by then.
    pub usages: Usages,
    /// CPU seconds that the machine had been busy, whoever it was with.
    pub busy_seconds: f64,
}

#[derive(Debug, Default)]
struct Watched {
    /// A process that has ended keeps what it had used.
    processes: BTreeMap<u32, (String, Usage)>,
    /// Processes whose children count too.
    trees: Vec<(String, u32)>,
}

impl Watched {
    fn read(&mut self) -> Usages {
        if !self.trees.is_empty() {
            self.find_children();
        }
        let mut usages = Usages::new();
        for (id, (name, last)) in &mut self.processes {
            match usage(*id) {
                Some(usage) => *last = usage,
                None => last.rss_mb = 0.0,
            }
            let sum = usages.entry(name.clone()).or_default();
            sum.cpu_seconds += last.cpu_seconds;
            sum.rss_mb += last.rss_mb;
        }
        usages
    }

    fn find_children(&mut self) {
        let parents = parents();
        for (name, root) in &self.trees {
            let mut known = vec![*root];
            let mut at = 0;
            while let Some(parent) = known.get(at).copied() {
                at += 1;
                known.extend(
                    parents
                        .iter()
                        .filter(|(_, it)| *it == parent)
                        .map(|(id, _)| *id),
                );
            }
            for id in known {
                let new = || (name.clone(), Usage::default());
                self.processes.entry(id).or_insert_with(new);
            }
        }
    }
}

/// Every process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parent = |folder: std::fs::DirEntry| {
        let id: u32 = folder.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        Some((id, fields.split_whitespace().nth(1)?.parse().ok()?))
    };
    folders.filter_map(parent).collect()
}

/// Samples in a thread of its own until it is asked for what it has.
#[derive(Debug)]
pub struct Meter {
    watched: Arc<Mutex<Watched>>,
    samples: Arc<Mutex<Vec<Sample>>>,
    began: Instant,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Default for Meter {
    fn default() -> Self {
        let (watched, samples) = <(Arc<Mutex<Watched>>, Arc<Mutex<Vec<Sample>>>)>::default();
        let (stop, stopped) = channel();
        let began = Instant::now();
        let thread = {
            let (watched, samples) = (Arc::clone(&watched), Arc::clone(&samples));
            std::thread::spawn(move || sample(&watched, &samples, began, &stopped))
        };
        Self {
            watched,
            samples,
            began,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

fn sample(
    watched: &Mutex<Watched>,
    samples: &Mutex<Vec<Sample>>,
    began: Instant,
    stopped: &Receiver<()>,
) {
    while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let usages = watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read();
        let sample = Sample {
            at_seconds: began.elapsed().as_secs_f64(),
            usages,
            busy_seconds: machine_busy_seconds(),
        };
        let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push(sample);
    }
}

impl Meter {
    /// Looks after a process from now on.
    pub fn watch(&self, name: &str, id: u32) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched
            .processes
            .insert(id, (name.to_owned(), Usage::default()));
    }

    /// Looks after a process and all its children from now on.
    pub fn watch_tree(&self, name: &str, root: u32) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.trees.push((name.to_owned(), root));
    }

    /// What each has used by now.
    #[must_use]
    pub fn now(&self) -> Sample {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        Sample {
            at_seconds: self.began.elapsed().as_secs_f64(),
            usages: watched.read(),
            busy_seconds: machine_busy_seconds(),
        }
    }

    /// The samples of a stretch of time, its ends included.
    #[must_use]
    pub fn between(&self, from: &Sample, to: &Sample) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = samples.iter().filter(|sample| {
            sample.at_seconds > from.at_seconds && sample.at_seconds < to.at_seconds
        });
        let mut all = vec![from.clone()];
        all.extend(inside.cloned());
        all.push(to.clone());
        all
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It can not have panicked: it only reads files.
            let _ = thread.join();
        }
    }
}

/// What a process has used; nothing if it is gone.
#[must_use]
pub fn usage(id: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let statm = std::fs::read_to_string(format!("/proc/{id}/statm")).ok()?;
    let pages: f64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(Usage {
        cpu_seconds: cpu_seconds(&stat)?,
        rss_mb: pages * 4096.0 / 1e6,
    })
}

/// User and system time out of a line of `/proc/PID/stat`; the name in it may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// CPU seconds that the whole machine has been busy.
#[must_use]
pub fn machine_busy_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    // Guests are counted in user time already.
    let all: f64 = ticks.iter().take(8).sum();
    (all - idle) / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_move_the_fields() {
        let line = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_seconds(line), Some(2.0));
    }

    #[test]
    fn this_process_has_used_some_memory() {
        let usage = usage(std::process::id()).expect("it runs");
        assert!(usage.rss_mb > 1.0);
    }

    #[test]
    fn a_tree_holds_the_children_of_its_root() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let mut watched = Watched::default();
        watched.trees.push(("tree".to_owned(), std::process::id()));
        watched.read();
        assert!(watched.processes.contains_key(&child.id()));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }

    #[test]
    fn processes_of_one_name_are_added_up() {
        let mut watched = Watched::default();
        for id in [std::process::id(), 0] {
            watched
                .processes
                .insert(id, ("x".to_owned(), Usage::default()));
        }
        assert_eq!(watched.read().len(), 1);
    }
}
