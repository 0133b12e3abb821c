//! The screen as a stream of PNG pictures: one for each change, at most 15 a second.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{mpsc, watch};

use super::SharedBench;
use crate::x_display::XDisplay;

/// Shortest time between two looks at the screen: 15 a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(66);
/// Time between two looks while nothing changes.
const REST_INTERVAL: Duration = Duration::from_millis(200);
/// Time after a change in which another is likely.
const ACTIVE_TIME: Duration = Duration::from_secs(2);
/// Boundary between the pictures of a stream.
const BOUNDARY: &str = "next-frame-of-the-screen";

/// The changing screen. It is looked at only while somebody receives it.
pub struct FrameSource(watch::Receiver<Bytes>);

impl FrameSource {
    /// Starts a thread that looks at this display. It ends when the source and all its receivers are dropped.
    #[must_use]
    pub fn start(display: XDisplay) -> Self {
        let (sender, receiver) = watch::channel(Bytes::new());
        thread::spawn(move || look(&display, &sender));
        Self(receiver)
    }
}

fn look(display: &XDisplay, frames: &watch::Sender<Bytes>) {
    let mut last = None;
    let mut active_until = Instant::now();
    loop {
        // One receiver is the source itself.
        match frames.receiver_count() {
            0 => return,
            1 => {
                thread::sleep(LOOK_INTERVAL);
                continue;
            }
            _ => {}
        }
        let begun = Instant::now();
        let Ok(pixels) = display.capture_pixels() else { return };
        if last.as_ref() != Some(&pixels) {
            let png = display.picture(&pixels).and_then(|picture| XDisplay::encode_png(&picture));
            let Ok(png) = png else { return };
            frames.send_replace(png.into());
            last = Some(pixels);
            active_until = begun + ACTIVE_TIME;
        }
        let interval = if begun < active_until { LOOK_INTERVAL } else { REST_INTERVAL };
        thread::sleep(interval.saturating_sub(begun.elapsed()));
    }
}

/// `GET /frames`.
pub(super) async fn stream_frames(State(bench): SharedBench) -> Response {
    let mut frames = bench.frames.0.clone();
    let (sender, body) = ChannelBody::new();
    tokio::spawn(async move {
        // A browser shows a picture when the head of the next one has come: that head is sent with the picture.
        let head = format!("--{BOUNDARY}\r\ncontent-type: image/png\r\n\r\n");
        let mut before = head.clone();
        loop {
            let png = frames.borrow_and_update().clone();
            if !png.is_empty() {
                let piece = [before.as_bytes(), &png, b"\r\n", head.as_bytes()].concat();
                if sender.send(piece.into()).await.is_err() {
                    return;
                }
                before.clear();
            }
            tokio::select! {
                changed = frames.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
        }
    });
    let kind = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store".to_owned())], Body::new(body))
        .into_response()
}

/// A response body that is sent piece by piece. The peer's end of it closes the sender.
pub(super) struct ChannelBody(mpsc::Receiver<Bytes>);

impl ChannelBody {
    pub(super) fn new() -> (mpsc::Sender<Bytes>, Self) {
        // One piece waits: a slow browser gets the newest frame, not a queue of old ones.
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self(receiver))
    }
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
