//! As much of HTTP/1.1 as callers with keep-alive need: request line, `Content-Length`, body.

use std::ops::Range;

use memchr::memmem;

/// Where the parts of a request are in the bytes that were read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The target, query included.
    pub(super) path: Range<usize>,
    /// Where the body begins.
    pub(super) body: usize,
    /// Where it ends; it need not be there yet.
    pub(super) end: usize,
}

const LENGTH: &[u8] = b"content-length:";

impl Request {
    /// Nothing as long as the head is not complete.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let body = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let head = &bytes[..body];
        let line = memchr::memchr(b'\r', head)?;
        let from = memchr::memchr(b' ', &head[..line])? + 1;
        let to = memchr::memchr(b' ', &head[from..line]).map_or(line, |space| from + space);
        Some(Self {
            path: from..to,
            body,
            end: body + content_length(&head[line..]),
        })
    }
}

/// 0 if there is none.
fn content_length(mut lines: &[u8]) -> usize {
    while let Some(at) = memchr::memchr(b'\n', lines) {
        lines = &lines[at + 1..];
        let Some(name) = lines.get(..LENGTH.len()) else {
            break;
        };
        if name.eq_ignore_ascii_case(LENGTH) {
            let digits = lines[LENGTH.len()..]
                .iter()
                .skip_while(|byte| **byte == b' ');
            return digits
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |value, digit| {
                    usize::saturating_add(value.saturating_mul(10), usize::from(digit - b'0'))
                });
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_cut_where_its_length_says() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET";
        let request = Request::read(bytes).expect("the head is complete");
        assert_eq!(&bytes[request.path.clone()], b"/a?b");
        assert_eq!(&bytes[request.body..request.end], b"abc");
    }

    #[test]
    fn a_head_that_is_not_complete_waits_for_more() {
        assert_eq!(Request::read(b"GET / HTTP/1.1\r\nHost: x\r\n"), None);
    }

    #[test]
    fn a_request_without_a_length_has_no_body() {
        let bytes = b"GET /stats HTTP/1.1\r\n\r\n";
        let request = Request::read(bytes).expect("the head is complete");
        assert_eq!(request.end, bytes.len());
        assert_eq!(&bytes[request.path], b"/stats");
    }
}
