//! `smsfleet docs`: the reference pages, made from the code so that they can not lie. A test keeps
//! the pages in `deploy/docs` equal to what is made here.

mod config;
mod metrics;

use crate::{exit::Failure, output};

/// Prints a reference page as Markdown.
#[derive(Debug, clap::Subcommand)]
pub enum Docs {
    /// Every metric of every service.
    Metrics,
    /// Every setting with its default and its environment variable.
    Config,
}

impl Docs {
    /// Prints it.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn run(&self) -> Result<(), Failure> {
        let page = match self {
            Self::Metrics => metrics::page(),
            Self::Config => config::page(),
        };
        Ok(output::line(page.trim_end())?)
    }
}

/// Text as it stands in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    /// Fails with the command that mends it.
    pub(super) fn is_up_to_date(file: &str, page: &str, command: &str) {
        let path = format!("{}/../../deploy/docs/{file}", env!("CARGO_MANIFEST_DIR"));
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored.trim_end() == page.trim_end(),
            "deploy/docs/{file} is out of date: cargo run -p smsfleet -- docs {command} > deploy/docs/{file}"
        );
    }
}
