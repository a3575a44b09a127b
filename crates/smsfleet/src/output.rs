//! What people read and what programs read.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

/// A table with these headings, sized to its content.
#[must_use]
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().copied());
    table
}

/// Moves the figures of a column to the right.
pub fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Prints `value` as JSON for programs.
///
/// # Errors
/// If standard output is closed.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a line. Unlike `println!` it does not panic when the reader has gone (`| head`).
///
/// # Errors
/// If standard output is closed.
pub fn line(line: &str) -> anyhow::Result<()> {
    text(format!("{line}\n").as_bytes())
}

/// Prints bytes as they are.
///
/// # Errors
/// If standard output is closed.
pub fn text(bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().lock().write_all(bytes)?)
}

/// `12,345`.
#[must_use]
pub fn figure(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What an API answer holds at `key`, as text for a cell; empty where it holds nothing.
#[must_use]
pub fn cell(value: &serde_json::Value, key: &str) -> String {
    let found = key.split('.').try_fold(value, |value, key| value.get(key));
    match found {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    }
}

/// Without the characters that would steer the terminal: what is shown may come from strangers.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_a_comma_every_three_digits() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(figure(n), text);
        }
    }

    #[test]
    fn a_cell_never_steers_the_terminal() {
        let value = serde_json::json!({"a": {"b": "x\u{1b}[31m"}, "n": 3});
        assert_eq!(cell(&value, "a.b"), "x\u{FFFD}[31m");
        assert_eq!(
            (cell(&value, "n").as_str(), cell(&value, "none").as_str()),
            ("3", "")
        );
    }
}
