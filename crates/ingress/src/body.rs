//! Reads bodies. Nobody is known yet while one is read, so they have a limit each, and the large ones
//! one together: some providers report on two thousand messages at once, but not thousands of times at
//! the same moment.

use std::time::Duration;

use axum::{body::Body, http::header};
use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Settings, refused::Refused};

/// A body that is no larger counts nothing: the number of callbacks at once bounds them.
const SMALL_BYTES: usize = 64 * 1024;

/// Large bodies take their room in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// The limits.
pub(crate) struct Bodies {
    bytes_max: usize,
    timeout: Duration,
    large: Semaphore,
}

/// A whole request, and the room that its body takes.
pub(crate) struct Whole<'b> {
    pub(crate) request: Request<Bytes>,
    _room: Option<SemaphorePermit<'b>>,
}

impl Bodies {
    pub(crate) fn new(settings: &Settings) -> Self {
        let pieces = settings.large_bodies_bytes_max.div_ceil(PIECE_BYTES);
        Self {
            bytes_max: settings.body_bytes_max,
            timeout: settings.body_timeout,
            large: Semaphore::new(pieces.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// The request with its body.
    ///
    /// # Errors
    /// If the body is too large or too slow, ends early, or finds no room beside the other large ones.
    pub(crate) async fn read(&self, request: Request<Body>) -> Result<Whole<'_>, Refused> {
        let max = self.bytes_max;
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > max as u64) {
            return Err(Refused::TooLarge { max });
        }
        let (head, body) = request.into_parts();
        let (body, room) = tokio::time::timeout(self.timeout, self.collect(body))
            .await
            .map_err(|_| Refused::TooSlow(self.timeout))??;
        Ok(Whole {
            request: Request::from_parts(head, body),
            _room: room,
        })
    }

    async fn collect(
        &self,
        mut body: Body,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refused> {
        let mut collected = BytesMut::new();
        let mut room: Option<SemaphorePermit<'_>> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else {
                continue; // trailers
            };
            let length = collected.len() + data.len();
            if length > self.bytes_max {
                return Err(Refused::TooLarge {
                    max: self.bytes_max,
                });
            }
            let pieces = length.saturating_sub(SMALL_BYTES).div_ceil(PIECE_BYTES);
            let more = pieces - room.as_ref().map_or(0, SemaphorePermit::num_permits);
            if more > 0 {
                let more = u32::try_from(more).map_err(|_| Refused::Overloaded)?;
                let taken = self.large.try_acquire_many(more);
                let taken = taken.map_err(|_| Refused::Overloaded)?;
                match &mut room {
                    Some(room) => room.merge(taken),
                    None => room = Some(taken),
                }
            }
            collected.extend_from_slice(&data);
        }
        Ok((collected.freeze(), room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(pieces: usize) -> Bodies {
        Bodies {
            bytes_max: 10 * PIECE_BYTES,
            timeout: Duration::from_secs(5),
            large: Semaphore::new(pieces),
        }
    }

    fn request(bytes: usize) -> Request<Body> {
        Request::new(Body::from(vec![b'a'; bytes]))
    }

    #[tokio::test]
    async fn large_bodies_share_their_room_and_give_it_back() {
        let bodies = bodies(4);
        let first = bodies.read(request(3 * PIECE_BYTES)).await;
        let first = first.expect("two pieces");
        assert_eq!(first.request.body().len(), 3 * PIECE_BYTES);
        let small = bodies.read(request(SMALL_BYTES)).await;
        small.expect("it needs none");
        let second = bodies.read(request(4 * PIECE_BYTES)).await;
        assert!(matches!(second, Err(Refused::Overloaded)));
        drop(first);
        assert_eq!(bodies.large.available_permits(), 4);
        let second = bodies.read(request(4 * PIECE_BYTES)).await;
        second.expect("there is room again");
    }

    #[tokio::test]
    async fn a_body_has_a_limit_of_its_own() {
        let bodies = bodies(100);
        let read = bodies.read(request(10 * PIECE_BYTES)).await;
        read.expect("at the limit");
        let read = bodies.read(request(10 * PIECE_BYTES + 1)).await;
        assert!(matches!(read, Err(Refused::TooLarge { .. })));
    }
}
