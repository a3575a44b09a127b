//! Reads bodies. Nobody is known yet while one is read, so they have a limit each, and the large ones
//! one together: some providers report on two thousand messages at once, but not thousands of times at
//! the same moment.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, header};
use http_body_util::BodyExt;
use hyper::body::Body;
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
    pub(crate) async fn read<B>(&self, request: Request<B>) -> Result<Whole<'_>, Refused>
    where
        B: Body<Data = Bytes> + Unpin,
    {
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

    async fn collect<B>(&self, mut body: B) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refused>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut collected = Collected::default();
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
            collected.push(data);
            if body.is_end_stream() {
                break;
            }
        }
        Ok((collected.into_bytes(), room))
    }
}

/// The body so far. Most come in one piece, which is not copied.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn bodies(pieces: usize) -> Bodies {
        Bodies {
            bytes_max: 10 * PIECE_BYTES,
            timeout: Duration::from_secs(5),
            large: Semaphore::new(pieces),
        }
    }

    fn request(bytes: usize) -> Request<Full<Bytes>> {
        Request::new(Full::from(vec![b'a'; bytes]))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_whole_again() {
        let pieces =
            ["a=", "", "1", "&b=2"].map(|piece| Ok::<_, Infallible>(Frame::data(piece.into())));
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        let bodies = bodies(1);
        let read = bodies.read(Request::new(body)).await;
        assert_eq!(read.expect("small").request.body(), "a=1&b=2");
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
