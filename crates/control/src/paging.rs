//! Lists in pages. A cursor names the last item that was seen, not a position, so that whoever
//! walks a list while it grows sees everything that was there once.

use serde::{Deserialize, Serialize};

use crate::answer::ApiError;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    pub(crate) organization_id: Option<String>,
    pub(crate) status: Option<String>,
    limit: Option<String>,
    pub(crate) cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is short enough to be whole.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }
}

const LIMIT_DEFAULT: usize = 100;
pub(crate) const LIMIT_MAX: usize = 1_000;

impl PageQuery {
    /// How many items are wanted.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = &self.limit else {
            return Ok(LIMIT_DEFAULT);
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| ApiError::invalid("limit", format!("expected 1 to {LIMIT_MAX}")))
    }

    /// The cursor's parts, which `Display` joined with `~`; nothing on the first page.
    pub(crate) fn cursor<const N: usize>(&self) -> Result<Option<[&str; N]>, ApiError> {
        let Some(text) = &self.cursor else {
            return Ok(None);
        };
        let parts: Vec<&str> = text.split('~').collect();
        <[&str; N]>::try_from(parts)
            .map(Some)
            .map_err(|_| bad_cursor())
    }
}

/// One part of a cursor.
pub(crate) fn part<T: std::str::FromStr>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| bad_cursor())
}

fn bad_cursor() -> ApiError {
    ApiError::invalid("cursor", "expected a `next_cursor` of an earlier answer")
}
