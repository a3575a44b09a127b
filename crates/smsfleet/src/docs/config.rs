//! The configuration reference, made from the default file: its comments are the documentation.

use super::cell;

/// One key of the default file.
#[derive(Debug, PartialEq)]
struct Key {
    name: String,
    default: String,
    comment: String,
}

/// A section with its keys.
#[derive(Debug, PartialEq)]
struct Section {
    name: String,
    comment: String,
    keys: Vec<Key>,
}

/// The page.
pub fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Every setting of every service, made by `smsfleet docs config` from `deploy/config/smsfleet.toml`, which holds the\n\
         defaults. A TOML file given with `--config` needs only the keys that it changes; the environment wins over the file.\n\
         With `_FILE` behind a variable's name, it names a file that holds the value: for secrets.\n",
    );
    for section in read(runtime::config::DEFAULTS) {
        page.push_str(&format!("\n## `[{}]`\n\n", section.name));
        if !section.comment.is_empty() {
            page.push_str(&format!("{}\n\n", section.comment));
        }
        page.push_str("| key | environment variable | default | what it is |\n|---|---|---|---|\n");
        for key in section.keys {
            let variable = format!("SMSFLEET_{}_{}", section.name, key.name)
                .replace('.', "_")
                .to_uppercase();
            page.push_str(&format!(
                "| `{}` | `{variable}` | `{}` | {} |\n",
                key.name,
                cell(&key.default),
                cell(&key.comment)
            ));
        }
    }
    page
}

/// Reads the default file line by line: TOML readers drop the comments, which are the point. A key
/// directly below another one shares its comment.
fn read(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut shared = String::new();
    let mut open: Option<Key> = None; // an array over several lines
    for line in text.lines().map(str::trim) {
        if let Some(key) = &mut open {
            key.default.push_str(line);
            if is_whole(&key.default) {
                let key = open.take();
                if let Some(section) = sections.last_mut() {
                    section.keys.extend(key);
                }
            }
        } else if let Some(said) = line.strip_prefix('#') {
            comment.push(said.trim());
            shared.clear();
        } else if line.is_empty() {
            comment.clear();
            shared.clear();
        } else if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            sections.push(Section {
                name: name.to_owned(),
                comment: comment.join(" "),
                keys: Vec::new(),
            });
            comment.clear();
        } else if let Some((name, default)) = line.split_once('=') {
            if !comment.is_empty() {
                shared = comment.join(" ");
                comment.clear();
            }
            let key = Key {
                name: name.trim().to_owned(),
                default: default.trim().to_owned(),
                comment: shared.clone(),
            };
            if is_whole(&key.default) {
                if let Some(section) = sections.last_mut() {
                    section.keys.push(key);
                }
            } else {
                open = Some(key);
            }
        }
    }
    sections
}

fn is_whole(value: &str) -> bool {
    !value.starts_with('[') || value.ends_with(']')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_configuration_reference_is_the_one_in_deploy_docs() {
        super::super::tests::is_up_to_date("CONFIGURATION.md", &page(), "config");
    }

    #[test]
    fn no_key_of_the_default_file_is_missing_and_each_is_explained() {
        let file: toml::Table = runtime::config::DEFAULTS
            .parse()
            .expect("the defaults are TOML");
        let wanted: BTreeSet<String> = file
            .iter()
            .flat_map(|(section, keys)| {
                let keys = keys.as_table().expect("a section").keys();
                keys.map(move |key| format!("{section}.{key}"))
            })
            .collect();
        let sections = read(runtime::config::DEFAULTS);
        let found: BTreeSet<String> = sections
            .iter()
            .flat_map(|section| {
                section
                    .keys
                    .iter()
                    .map(|key| format!("{}.{}", section.name, key.name))
            })
            .collect();
        assert_eq!(found, wanted);
        for section in &sections {
            for key in &section.keys {
                assert!(!key.comment.is_empty(), "{}.{}", section.name, key.name);
            }
        }
    }

    #[test]
    fn a_comment_belongs_to_the_keys_right_below_it() {
        let text =
            "# Top.\n\n# About a.\n[a]\n# Both\n# of them.\nx = 1\ny = 'b'\n\nz = [\n1,\n2]\n";
        let sections = read(text);
        let [section] = &sections[..] else {
            panic!("{sections:?}")
        };
        assert_eq!(section.comment, "About a.");
        let keys: Vec<_> = section
            .keys
            .iter()
            .map(|key| {
                (
                    key.name.as_str(),
                    key.default.as_str(),
                    key.comment.as_str(),
                )
            })
            .collect();
        assert_eq!(
            keys,
            [
                ("x", "1", "Both of them."),
                ("y", "'b'", "Both of them."),
                ("z", "[1,2]", "")
            ]
        );
    }
}
