//! A frame source over a YUV4MPEG2 file, FIFO or UNIX socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::frame::{FrameSource, LumaFrame, SourceError};
use crate::y4m::{Y4mError, Y4mParser};

/// Bytes per read.
const READ_BYTES: usize = 256 * 1024;

/// Most backlog frames that are dropped before one is returned: a writer that is always faster than the reader must
/// not starve the reader.
const BACKLOG_MAX: usize = 16;

/// A stream of frames.
pub(crate) struct Y4mStream {
    input: OwnedFd,
    /// Whether frames arrive in real time and only the newest counts. A regular file is played frame by frame.
    live: bool,
    parser: Y4mParser,
    buffer: Zeroizing<Vec<u8>>,
    /// The part of `buffer` that is not parsed yet.
    unparsed: std::ops::Range<usize>,
}

impl Y4mStream {
    pub(crate) fn open(path: &Path) -> Result<Self, SourceError> {
        let kind = std::fs::metadata(path).map_err(SourceError::Absent)?.file_type();
        let input = if kind.is_socket() { connect(path) } else { open(path) }.map_err(SourceError::Absent)?;
        Ok(Self {
            input,
            live: !kind.is_file(),
            parser: Y4mParser::new(),
            buffer: Zeroizing::new(vec![0; READ_BYTES]),
            unparsed: 0..0,
        })
    }

    /// The next complete frame among the bytes already read.
    fn parse(&mut self) -> Result<Option<LumaFrame>, Y4mError> {
        let mut input = self.buffer.get(self.unparsed.clone()).unwrap_or_default();
        let frame = self.parser.feed(&mut input);
        self.unparsed.start = self.unparsed.end - input.len();
        frame
    }

    /// Waits until the input is readable or the deadline has passed.
    fn wait(&self, deadline: Instant) -> Result<(), SourceError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&self.input, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => Err(SourceError::Stalled),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(SourceError::Io(errno.into())),
        }
    }
}

impl FrameSource for Y4mStream {
    fn next(&mut self, deadline: Instant) -> Result<LumaFrame, SourceError> {
        let mut newest = None;
        let mut backlog = 0;
        loop {
            while let Some(frame) = self.parse()? {
                newest = Some(frame);
                backlog += 1;
                if !self.live {
                    break;
                }
            }
            match newest.take() {
                Some(frame) if !self.live || backlog >= BACKLOG_MAX => return Ok(frame),
                frame => newest = frame,
            }
            match rustix::io::read(&self.input, &mut self.buffer[..]) {
                Ok(0) => return newest.ok_or(SourceError::Ended),
                Ok(count) => self.unparsed = 0..count,
                Err(Errno::AGAIN) => match newest {
                    Some(frame) => return Ok(frame),
                    None => self.wait(deadline)?,
                },
                Err(Errno::INTR) => {}
                Err(errno) => return Err(SourceError::Io(errno.into())),
            }
            if Instant::now() >= deadline && newest.is_none() && self.unparsed.is_empty() {
                return Err(SourceError::Stalled);
            }
        }
    }
}

impl From<Y4mError> for SourceError {
    fn from(error: Y4mError) -> Self {
        Self::Malformed(error.to_string())
    }
}

fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = UnixStream::connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Opens non-blocking: a FIFO without a writer opens at once and then stalls.
fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}
