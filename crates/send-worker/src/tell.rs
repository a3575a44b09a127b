//! What is left of a chunk, as a message for the bus.

use message::{Chunk, chunk::ChunkRow};

/// `chunk` with only these rows, for another attempt or a dead letter.
pub(crate) fn chunk(chunk: &Chunk, rows: Vec<ChunkRow>, attempt: u8) -> (String, Vec<u8>) {
    let first = rows.first().map_or(0, |row| row.row);
    let id = format!("{}-{first}-a{attempt}", chunk.batch);
    let part = Chunk {
        rows,
        attempt,
        ..Chunk {
            rows: Vec::new(),
            ..chunk.clone()
        }
    };
    (id, body(&part))
}

/// A chunk as JSON.
pub(crate) fn body(chunk: &Chunk) -> Vec<u8> {
    serde_json::to_vec(chunk).expect("our own vocabulary always has a JSON form")
}
