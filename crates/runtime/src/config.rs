//! Configuration: defaults, then a TOML file, then environment variables, each overriding the one
//! before. The default file is the documentation and the list of all keys: what it does not have,
//! nobody can set.
//!
//! A key `send_worker.request_timeout` is also the variable `SMSFLEET_SEND_WORKER_REQUEST_TIMEOUT`;
//! with `_FILE` behind it, the variable names a file that holds the value (for secrets).

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// The defaults, with a comment for every key.
pub const DEFAULTS: &str = include_str!("../../../deploy/config/smsfleet.toml");

const ENV_PREFIX: &str = "SMSFLEET_";

/// Variables with the prefix that are not settings: where development services are, and switches
/// of the tests.
const ENV_OTHERS: [&str; 4] = [
    "SMSFLEET_CONFIG",
    "SMSFLEET_DEV_",
    "SMSFLEET_REQUIRE_SERVICES",
    "SMSFLEET_API_",
];

/// Everything that was set, and where.
#[derive(Debug)]
pub struct Config {
    values: Table,
    origins: BTreeMap<String, Origin>,
}

/// Who set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// The file.
    File(PathBuf),
    /// The variable.
    Env(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "${name}"),
        }
    }
}

/// What is wrong with the configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file, or a file that a `_FILE` variable names, can not be read.
    #[error("{origin}: can not read {path}")]
    Unreadable {
        /// Who named it.
        origin: Origin,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: not TOML: {why}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        why: String,
    },
    /// A key that does not exist.
    #[error("{origin}: no setting is called `{key}`{}", did_you_mean(.hint))]
    UnknownKey {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// The nearest key that exists.
        hint: Option<String>,
    },
    /// A value that does not fit.
    #[error("{origin}: `{key}`: {why}")]
    Invalid {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// What was expected and what was found.
        why: String,
    },
}

fn did_you_mean(hint: &Option<String>) -> String {
    hint.as_ref()
        .map(|key| format!(" (did you mean `{key}`?)"))
        .unwrap_or_default()
}

impl Config {
    /// Reads the defaults, `file` and `env`.
    ///
    /// # Errors
    /// The first thing that is wrong; see [`ConfigError`].
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut values: Table = DEFAULTS
            .parse()
            .expect("the built-in defaults are valid TOML: a test reads them");
        let mut origins = BTreeMap::new();
        let known = leaves("", &values);
        if let Some(path) = file {
            let origin = Origin::File(path.to_owned());
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                origin: origin.clone(),
                path: path.to_owned(),
                source,
            })?;
            let set: Table = text
                .parse()
                .map_err(|why: toml::de::Error| ConfigError::Syntax {
                    path: path.to_owned(),
                    why: why.to_string(),
                })?;
            for (key, value) in leaves("", &set) {
                let found = known_key(&known, &key)
                    .ok_or_else(|| unknown(&known, key.clone(), origin.clone()))?;
                // A table where a plain value belongs was taken apart by `leaves`; put it back whole.
                let value = if found == key {
                    value
                } else {
                    lookup(&set, found).cloned().unwrap_or(value)
                };
                put(&mut values, found, value);
                origins.insert(found.to_owned(), origin.clone());
            }
        }
        for (name, text) in env {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            if ENV_OTHERS.iter().any(|other| name.starts_with(other)) {
                continue;
            }
            let of_env = |key: &str| key.replace('.', "_").to_uppercase();
            let origin = Origin::Env(name.clone());
            let direct = known.keys().find(|key| of_env(key) == rest);
            let by_file = rest
                .strip_suffix("_FILE")
                .and_then(|rest| known.keys().find(|key| of_env(key) == rest));
            let (key, text) = match (direct, by_file) {
                (Some(key), _) => (key, text),
                (None, Some(key)) => {
                    let path = PathBuf::from(text);
                    let text = std::fs::read_to_string(&path).map_err(|source| {
                        ConfigError::Unreadable {
                            origin: origin.clone(),
                            path: path.clone(),
                            source,
                        }
                    })?;
                    (key, text.trim_end().to_owned())
                }
                (None, None) => return Err(unknown(&known, rest.to_lowercase(), origin)),
            };
            let value = typed_like(&known[key], &text).ok_or_else(|| ConfigError::Invalid {
                origin: origin.clone(),
                key: key.clone(),
                why: format!("expected {}", known[key].type_str()),
            })?;
            put(&mut values, key, value);
            origins.insert(key.clone(), origin);
        }
        Ok(Self { values, origins })
    }

    /// The section `name` as the settings of whoever owns it.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] names the key and who set it.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        self.read(name, self.table(name))
    }

    /// The section `name` as its owner's settings, apart from `key`, which somebody else reads.
    ///
    /// # Errors
    /// As [`Self::section`].
    pub fn section_without<T: DeserializeOwned>(
        &self,
        name: &str,
        key: &str,
    ) -> Result<T, ConfigError> {
        let mut table = self.table(name);
        table.remove(key);
        self.read(name, table)
    }

    /// The single value `key` of the section `name`.
    ///
    /// # Errors
    /// As [`Self::section`].
    pub fn value<T: DeserializeOwned>(&self, name: &str, key: &str) -> Result<T, ConfigError> {
        let value = self
            .table(name)
            .remove(key)
            .unwrap_or(Value::Boolean(false));
        self.read(&format!("{name}.{key}"), value)
    }

    fn table(&self, name: &str) -> Table {
        match self.values.get(name) {
            Some(Value::Table(table)) => table.clone(),
            _ => Table::new(),
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        value: impl Into<Value>,
    ) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(value.into()).map_err(|error| {
            let path = error.path().to_string();
            let key = if path == "." {
                name.to_owned()
            } else {
                format!("{name}.{path}")
            };
            let under = |set: &str| {
                key.strip_prefix(set)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let origin = self.origins.iter().find(|(set, _)| under(set));
            ConfigError::Invalid {
                origin: origin.map_or(Origin::Default, |(_, origin)| origin.clone()),
                key,
                why: error.into_inner().message().to_owned(),
            }
        })
    }

    /// Sets a value from code, as a file would: what the one-process mode does with its ports.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        put(&mut self.values, key, value.into());
    }
}

/// Every plain value with its dotted key. Arrays count as plain.
fn leaves(prefix: &str, table: &Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Table(inner) => found.extend(leaves(&key, inner)),
            plain => {
                found.insert(key, plain.clone());
            }
        }
    }
    found
}

/// The known key that `key` is, or lies under.
fn known_key<'a>(known: &'a BTreeMap<String, Value>, key: &str) -> Option<&'a str> {
    known
        .keys()
        .map(String::as_str)
        .find(|known| key == *known || key.starts_with(&format!("{known}.")))
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = key
        .split_once('.')
        .map_or((key, None), |(first, rest)| (first, Some(rest)));
    match (table.get(first)?, rest) {
        (value, None) => Some(value),
        (Value::Table(inner), Some(rest)) => lookup(inner, rest),
        _ => None,
    }
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first.to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A variable's text as a value of the same type as the default; lists are comma separated.
fn typed_like(default: &Value, text: &str) -> Option<Value> {
    Some(match default {
        Value::Integer(_) => Value::Integer(text.trim().parse().ok()?),
        Value::Float(_) => Value::Float(text.trim().parse().ok()?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().ok()?),
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| item.to_owned().into())
                .collect(),
        ),
        _ => Value::String(text.to_owned()),
    })
}

fn unknown(known: &BTreeMap<String, Value>, key: String, origin: Origin) -> ConfigError {
    let plain = |text: &str| text.replace(['.', '_'], "").to_lowercase();
    let wanted = plain(&key);
    let hint = known
        .keys()
        .map(|candidate| (distance(&plain(candidate), &wanted), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, candidate)| candidate.clone());
    ConfigError::UnknownKey { origin, key, hint }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut path = tempfile::NamedTempFile::new().expect("a temporary file");
        path.write_all(file.as_bytes()).expect("writable");
        Config::load(
            Some(path.path()),
            env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    fn log(config: &Config) -> Result<crate::telemetry::LogSettings, ConfigError> {
        config.section("log")
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_file_the_defaults() {
        let config = load(
            "[log]\nformat = \"json\"\nfilter = \"warn\"",
            &[("SMSFLEET_LOG_FILTER", "debug")],
        );
        let log = log(&config.expect("valid")).expect("valid");
        assert_eq!(
            (log.format, log.filter.as_str()),
            (crate::telemetry::LogFormat::Json, "debug")
        );
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest_one() {
        let error = load("[log]\nformt = \"json\"", &[])
            .expect_err("unknown key")
            .to_string();
        assert!(
            error.ends_with("no setting is called `log.formt` (did you mean `log.format`?)"),
            "{error}"
        );
        let error = load("", &[("SMSFLEET_LOG_FILTR", "x")])
            .expect_err("unknown variable")
            .to_string();
        assert!(error.contains("$SMSFLEET_LOG_FILTR: no setting"), "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_key_and_who_set_it() {
        let config = load("[log]\nformat = \"xml\"", &[]).expect("keys are known");
        let error = log(&config).expect_err("no such format").to_string();
        assert!(
            error.contains("`log.format`") && error.contains("xml"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_can_stand_in_a_file_that_a_variable_names() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"debug\n").expect("writable");
        let path = file.path().to_str().expect("utf-8").to_owned();
        let config = load("", &[("SMSFLEET_LOG_FILTER_FILE", &path)]).expect("valid");
        assert_eq!(log(&config).expect("valid").filter, "debug");
    }

    #[test]
    fn broken_toml_names_the_file() {
        let error = load("[log", &[]).expect_err("not TOML").to_string();
        assert!(error.contains("not TOML"), "{error}");
    }
}
