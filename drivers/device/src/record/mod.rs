//! Recording of a device's wire: every transferred byte with its time, so that a problem in the field becomes a test.
//!
//! A recording is a text file with one JSON object in each line. The first line is a [`RecordingHead`] with the
//! [`VERSION`] and the name of the device; every other line is a [`RecordedEntry`]. Recording is switched on by the
//! environment variable [`DIRECTORY_VARIABLE`] of `kiosk-device` (set in a drop-in of the unit). The size of a file is
//! bounded by [`FILE_MAX`]; of more than [`FILES_MAX`] files the oldest are deleted.
//!
//! A recording holds no personal data: [`card`], [`id_reader`], [`printer`] and [`scanner`] replace personal data by the
//! same number of bytes of the same class before an entry is made, and keep only data that is known to be harmless. Of a
//! camera only events are recorded, no pictures. Recording never disturbs the device: a thread of its own writes the
//! entries. When that thread cannot keep up or the disk is full, the recording has gaps or ends, and the program log
//! says so.

pub mod card;
pub mod id_reader;
pub mod link;
pub mod printer;
pub mod replay;
pub mod scanner;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Version of the format.
pub const VERSION: u32 = 1;
/// Environment variable with the directory for recordings; without it nothing is recorded.
pub const DIRECTORY_VARIABLE: &str = "KIOSK_DEVICE_RECORD";
/// Size of a file in bytes at which the next file is started.
pub const FILE_MAX: u64 = 8 * 1024 * 1024;
/// Greatest number of files of one device; older ones are deleted.
pub const FILES_MAX: usize = 8;
/// Capacity of the queue of entries to the writing thread.
const QUEUE_MAX: usize = 1024;
/// Longest line in bytes that is read back.
const LINE_MAX: usize = 1024 * 1024;

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingHead {
    /// Version of the format, see [`VERSION`].
    pub recording: u32,
    /// Name of the device.
    pub device: String,
}

/// One event on a wire, with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedEntry {
    /// Microseconds since the recording began.
    pub at_us: u64,
    /// The event.
    pub what: WireEvent,
}

/// An event on a wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireEvent {
    /// Bytes that the driver sent, as many as the link took.
    Out(Hex),
    /// Bytes that the device sent.
    In(Hex),
    /// Sending failed: the link took no byte.
    OutFailed(TransferFault),
    /// Receiving failed: no byte arrived.
    InFailed(TransferFault),
    /// The driver received a request: its redacted form as JSON.
    #[serde(rename = "order")]
    Request(serde_json::Value),
    /// Another event, for example that the link was opened, a card was inserted, or the size of frames.
    Note(String),
}

/// Why no byte was transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferFault {
    /// Time-out.
    TimedOut,
    /// The device was disconnected or the card removed.
    #[serde(rename = "gone")]
    Disconnected,
    /// Any other cause.
    Failed,
}

/// Bytes as hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub Vec<u8>);

impl From<Hex> for String {
    fn from(Hex(bytes): Hex) -> Self {
        base16ct::lower::encode_string(&bytes)
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        base16ct::mixed::decode_vec(text).map(Self).map_err(|_| "bytes are pairs of hexadecimal digits")
    }
}

/// Sends entries to the writing thread; drops them while recording is off. All clones write the same recording.
#[derive(Clone)]
pub struct Recorder {
    sender: Option<SyncSender<RecordedEntry>>,
    start: Instant,
}

impl Recorder {
    /// A recorder that is off.
    #[must_use]
    pub fn off() -> Self {
        Self { sender: None, start: Instant::now() }
    }

    /// A recorder as configured by the environment variable [`DIRECTORY_VARIABLE`].
    #[must_use]
    pub fn from_environment(device: &str) -> Self {
        match std::env::var_os(DIRECTORY_VARIABLE) {
            Some(directory) if !directory.is_empty() => Self::begin(Path::new(&directory), device),
            Some(_) | None => Self::off(),
        }
    }

    /// Starts a recording in this directory. If that fails, the recorder is off.
    #[must_use]
    pub fn begin(directory: &Path, device: &str) -> Self {
        let (to, entries) = sync_channel(QUEUE_MAX);
        let files = RecordingFiles { directory: directory.to_owned(), device: device.to_owned(), number: 0 };
        let begun = thread::Builder::new().name("recorder".into()).spawn(move || files.write(&entries));
        if let Err(error) = begun {
            tracing::warn!(%error, "cannot start the recording thread: device wire is not recorded");
            return Self::off();
        }
        tracing::info!(directory = %directory.display(), "recording of the device wire started");
        Self { sender: Some(to), start: Instant::now() }
    }

    /// Whether recording is on. The caller can skip the work of making an entry otherwise.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Records an event with the present time. Never blocks.
    pub fn record(&self, what: WireEvent) {
        self.record_at(Instant::now(), what);
    }

    /// Records an event with the time `at`. Never blocks.
    pub fn record_at(&self, at: Instant, what: WireEvent) {
        let Some(to) = &self.sender else { return };
        let at_us = u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        match to.try_send(RecordedEntry { at_us, what }) {
            Ok(()) => {}
            // The entry is lost and the device continues; the program log shows the gap.
            Err(TrySendError::Full(_)) => tracing::warn!("recording queue full: one entry lost"),
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The files of one device's recordings.
struct RecordingFiles {
    directory: PathBuf,
    device: String,
    number: u32,
}

impl RecordingFiles {
    fn write(mut self, entries: &Receiver<RecordedEntry>) {
        if let Err(error) = self.write_all(entries) {
            tracing::warn!(%error, "cannot write the recording: recording stopped, device continues");
        }
    }

    fn write_all(&mut self, entries: &Receiver<RecordedEntry>) -> io::Result<()> {
        let mut file = self.start_next_file()?;
        let mut written = 0;
        for entry in entries {
            let mut line = serde_json::to_vec(&entry)?;
            line.push(b'\n');
            file.write_all(&line)?;
            written += line.len() as u64;
            if written >= FILE_MAX {
                file = self.start_next_file()?;
                written = 0;
            }
        }
        Ok(())
    }

    /// Starts the next file and deletes the oldest.
    fn start_next_file(&mut self) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        let prefix = format!("{}-", self.device);
        let mut old: Vec<PathBuf> = fs::read_dir(&self.directory)?
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        old.sort();
        for path in old.iter().take((old.len() + 1).saturating_sub(FILES_MAX)) {
            fs::remove_file(path)?;
        }
        self.number += 1;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let name = format!("{prefix}{seconds:012}-{}-{:04}.jsonl", std::process::id(), self.number);
        let mut file =
            File::options().create_new(true).append(true).mode(0o600).open(self.directory.join(name))?;
        let mut head =
            serde_json::to_vec(&RecordingHead { recording: VERSION, device: self.device.clone() })?;
        head.push(b'\n');
        file.write_all(&head)?;
        Ok(file)
    }
}

/// A recording, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The first line.
    pub head: RecordingHead,
    /// All other lines.
    pub entries: Vec<RecordedEntry>,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("cannot read the recording file")]
    Io(#[from] io::Error),
    /// A line is not a valid entry.
    #[error("invalid entry in line {line} of the recording")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// The error in the line's JSON.
        #[source]
        source: serde_json::Error,
    },
    /// The first line is missing, or has another version.
    #[error("not a recording of version {VERSION}")]
    Version,
}

impl Recording {
    /// Reads a recording. An incomplete last line, as after a power cut, is skipped.
    ///
    /// # Errors
    /// When the file is not a recording, or has an invalid line before its last line.
    pub fn read(from: impl io::Read) -> Result<Self, RecordingError> {
        let mut lines = BufReader::new(from);
        let mut text = String::new();
        let mut next = |number: usize| -> Result<Option<(usize, String)>, RecordingError> {
            text.clear();
            let read = io::Read::take(&mut lines, LINE_MAX as u64).read_line(&mut text)?;
            Ok((read > 0 && text.ends_with('\n')).then(|| (number, text.clone())))
        };
        let (_, first) = next(1)?.ok_or(RecordingError::Version)?;
        let head: RecordingHead = serde_json::from_str(&first).map_err(|_| RecordingError::Version)?;
        if head.recording != VERSION {
            return Err(RecordingError::Version);
        }
        let mut entries = Vec::new();
        while let Some((line, text)) = next(entries.len() + 2)? {
            entries
                .push(serde_json::from_str(&text).map_err(|source| RecordingError::Line { line, source })?);
        }
        Ok(Self { head, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn read(directory: &Path, entries: usize) -> Recording {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let file = fs::read_dir(directory).ok().and_then(|mut files| files.next()).and_then(Result::ok);
            let read = file.and_then(|file| Recording::read(File::open(file.path()).unwrap()).ok());
            match read {
                Some(recording) if recording.entries.len() >= entries => return recording,
                _ => assert!(Instant::now() < until, "recording not written in time"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn recording_round_trips_in_order_and_is_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::begin(directory.path(), "receipt-printer");
        let events = [
            WireEvent::Note("opened".into()),
            WireEvent::Out(Hex(vec![0x10, 0x04, 0x01])),
            WireEvent::InFailed(TransferFault::TimedOut),
            WireEvent::In(Hex(vec![0x12])),
            WireEvent::Request(serde_json::json!({"verify-pin": 6})),
        ];
        events.iter().for_each(|what| recorder.record(what.clone()));
        let recording = read(directory.path(), events.len());
        assert_eq!(recording.head, RecordingHead { recording: VERSION, device: "receipt-printer".into() });
        let read_back: Vec<WireEvent> = recording.entries.iter().map(|entry| entry.what.clone()).collect();
        assert_eq!(read_back, events);
        assert!(recording.entries.is_sorted_by_key(|entry| entry.at_us));
        let file = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn recorder_survives_a_directory_that_cannot_be_created() {
        let recorder = Recorder::begin(Path::new("/dev/null/nowhere"), "card");
        (0..10_000).for_each(|_| recorder.record(WireEvent::Note("dropped".into())));
        assert!(!Recorder::off().is_on());
    }

    #[test]
    fn oldest_recordings_of_the_device_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let mut files =
            RecordingFiles { directory: directory.path().to_owned(), device: "card".into(), number: 0 };
        fs::write(directory.path().join("scanner-1.jsonl"), "").unwrap();
        for _ in 0..FILES_MAX + 3 {
            files.start_next_file().unwrap();
        }
        let names: Vec<String> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names.iter().filter(|name| name.starts_with("card-")).count(), FILES_MAX);
        assert!(names.iter().any(|name| name.ends_with(&format!("-{:04}.jsonl", FILES_MAX + 3))));
        assert!(names.contains(&"scanner-1.jsonl".to_owned()));
    }

    #[test]
    fn truncated_recording_is_read_to_its_last_complete_line() {
        let whole = "{\"recording\":1,\"device\":\"card\"}\n{\"at_us\":5,\"what\":{\"in\":\"9000\"}}\n";
        for cut in whole.find('\n').unwrap() + 1..whole.len() {
            let recording = Recording::read(&whole.as_bytes()[..cut]).unwrap();
            assert!(recording.entries.is_empty());
        }
        assert_eq!(Recording::read(whole.as_bytes()).unwrap().entries.len(), 1);
        let other = whole.replace("\"recording\":1", "\"recording\":2");
        assert!(matches!(Recording::read(other.as_bytes()), Err(RecordingError::Version)));
        let invalid = whole.replace("9000", "90x0");
        assert!(matches!(Recording::read(invalid.as_bytes()), Err(RecordingError::Line { line: 2, .. })));
    }

    proptest! {
        #[test]
        fn hex_round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let text = String::from(Hex(bytes.clone()));
            prop_assert_eq!(Hex::try_from(text).unwrap().0, bytes);
        }

        #[test]
        fn arbitrary_file_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Recording::read(bytes.as_slice()).is_ok();
        }
    }
}
