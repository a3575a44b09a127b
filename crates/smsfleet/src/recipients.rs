//! Recipients from a CSV file: a header, one column with the number, the others are the fields of
//! the text.

use std::{io::Read, path::Path};

use anyhow::{Context as _, bail, ensure};
use message::{Fields, Recipient};

/// The headings under which a number may stand; the first of them that is there.
const NUMBER_HEADINGS: [&str; 2] = ["to", "phone"];

/// Reads `path`; `-` is standard input.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read_file(path: &Path) -> anyhow::Result<Vec<Recipient>> {
    let name = path.display();
    if path.as_os_str() == "-" {
        return read(std::io::stdin().lock()).context("standard input");
    }
    let file = std::fs::File::open(path).with_context(|| format!("can not read {name}"))?;
    read(file).with_context(|| name.to_string())
}

/// Reads CSV. An empty cell is a field that this recipient does not have, so that a default in the
/// text (`{{first_name|there}}`) takes its place.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read(mut input: impl Read) -> anyhow::Result<Vec<Recipient>> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    // Uneven rows are found below, where the message can say which line and what was expected.
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(&bytes[..]);
    let mut headings: Vec<String> = match reader.headers() {
        Ok(headings) => headings.iter().map(str::to_owned).collect(),
        Err(error) => bail!("line 1: {}", said(&error)),
    };
    if let Some(first) = headings.first_mut() {
        // Spreadsheets mark their UTF-8 so.
        *first = first.trim_start_matches('\u{FEFF}').to_owned();
    }
    for heading in &mut headings {
        *heading = heading.trim().to_owned();
    }
    let number = number_column(&headings)?;
    let mut recipients = Vec::new();
    let mut last = (0, false);
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                bail!("line {line}: {}", said(&error));
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        ensure!(
            record.len() == headings.len(),
            "line {line}: {} cells, but the header has {}; a text with a comma in it needs quotes",
            record.len(),
            headings.len()
        );
        last = (line, record.iter().any(|cell| cell.contains('\n')));
        let mut fields = Fields::new();
        for (column, (heading, cell)) in headings.iter().zip(&record).enumerate() {
            if column != number && !cell.is_empty() {
                fields.insert(heading, cell);
            }
        }
        let to = record.get(number).unwrap_or_default().to_owned();
        recipients.push(Recipient { to, fields });
    }
    ensure!(!recipients.is_empty(), "no recipient behind the header");
    // The parser takes the end of the file for the end of an open quote, and all rows in it for one.
    let (line, spans_lines) = last;
    let quotes = bytes.iter().filter(|byte| **byte == b'"').count();
    ensure!(
        !spans_lines || quotes.is_multiple_of(2),
        "line {line}: a quote that opens here is never closed"
    );
    Ok(recipients)
}

fn number_column(headings: &[String]) -> anyhow::Result<usize> {
    if let Some((at, heading)) = headings
        .iter()
        .enumerate()
        .find(|(at, heading)| heading.is_empty() || headings[..*at].contains(heading))
    {
        bail!(
            "line 1: column {} is called {heading:?}: every column needs a name of its own",
            at + 1
        );
    }
    NUMBER_HEADINGS
        .iter()
        .find_map(|wanted| {
            headings
                .iter()
                .position(|heading| heading.eq_ignore_ascii_case(wanted))
        })
        .context("line 1: no column is called `to` or `phone`")
}

/// The reason without the position, which the caller writes, and never the cells: they are
/// personal data.
fn said(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => {
            format!(
                "cell {} is not UTF-8; save the file as UTF-8",
                err.field() + 1
            )
        }
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "not CSV".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &[u8]) -> String {
        format!("{:#}", read(text).expect_err("a fault"))
    }

    #[test]
    fn the_number_and_the_fields_are_found_by_their_headings() {
        let csv =
            "\u{FEFF}first_name, Phone ,link\nAna,+33639980001,\"https://a,b\"\n,0639980002,\n";
        let rows = read(csv.as_bytes()).expect("good CSV");
        assert_eq!(
            (rows[0].to.as_str(), rows[1].to.as_str()),
            ("+33639980001", "0639980002")
        );
        assert_eq!(&rows[0].fields["first_name"], "Ana");
        assert_eq!(&rows[0].fields["link"], "https://a,b");
        assert!(rows[1].fields.is_empty(), "an empty cell is no value");
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line() {
        assert!(fault(b"name\nAna\n").contains("line 1: no column is called `to` or `phone`"));
        assert!(fault(b"to,a,a\n1,2,3\n").contains("line 1: column 3"));
        assert!(fault(b"to,\n1,2\n").contains("line 1: column 2"));
        assert!(fault(b"to,a\n1,2\n1,2,3\n").contains("line 3: 3 cells, but the header has 2"));
        assert!(fault(b"to,a\n1,2\n1,\xff\n").contains("line 3: cell 2 is not UTF-8"));
        assert!(fault(b"to,a\n").contains("no recipient"));
        assert!(fault(b"").contains("line 1"));
        assert!(fault(b"to,a\n1,\"2\n3,4\n").contains("line 2: a quote that opens"));
    }

    #[test]
    fn a_fault_never_shows_what_stands_in_the_cells() {
        assert!(!fault(b"to,a\n+33639980001,x,secret\n").contains("33639"));
    }
}
