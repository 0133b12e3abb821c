//! Frames from files, FIFOs and sockets.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use code_reader::{FrameSource, SourceError, source};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

const HEADER: &[u8] = b"YUV4MPEG2 W4 H2 F30:1 Ip A1:1 Cmono\n";

fn frame(luma: u8) -> Vec<u8> {
    [b"FRAME\n".as_slice(), &[luma; 8]].concat()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn open(path: &Path) -> Box<dyn FrameSource> {
    source::open(path.to_str().unwrap(), None).unwrap()
}

/// The luma of the next frame.
fn next(source: &mut dyn FrameSource) -> Result<u8, SourceError> {
    source.next(soon()).map(|frame| frame.luma()[0])
}

#[test]
fn file_source_yields_every_frame_then_ends() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("frames.y4m");
    std::fs::write(&path, [HEADER, &frame(1), &frame(2), &frame(3)].concat()).unwrap();

    let mut source = open(&path);

    assert_eq!(next(&mut *source).unwrap(), 1);
    assert_eq!(next(&mut *source).unwrap(), 2);
    assert_eq!(next(&mut *source).unwrap(), 3);
    assert!(matches!(next(&mut *source), Err(SourceError::Ended)));
}

#[test]
fn socket_source_yields_newest_frame_only() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("camera.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut source = open(&path);
    let (mut writer, _) = listener.accept().unwrap();

    writer.write_all(&[HEADER, &frame(1), &frame(2), &frame(3)].concat()).unwrap();
    assert_eq!(next(&mut *source).unwrap(), 3);

    writer.write_all(&frame(4)).unwrap();
    assert_eq!(next(&mut *source).unwrap(), 4);
}

#[test]
fn stalled_stream_resumes_in_the_middle_of_a_frame() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("camera.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut source = open(&path);
    let (mut writer, _) = listener.accept().unwrap();
    let whole = frame(7);
    writer.write_all(&[HEADER, &whole[..9]].concat()).unwrap();

    let stalled = source.next(Instant::now() + Duration::from_millis(30));
    assert!(matches!(stalled, Err(SourceError::Stalled)), "{stalled:?}");

    writer.write_all(&whole[9..]).unwrap();
    assert_eq!(next(&mut *source).unwrap(), 7);
}

#[test]
fn closed_socket_ends_source_after_last_frame() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("camera.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut source = open(&path);
    let (mut writer, _) = listener.accept().unwrap();
    writer.write_all(&[HEADER, &frame(1), b"FRAME\nxx"].concat()).unwrap();
    drop(writer);

    assert_eq!(next(&mut *source).unwrap(), 1);
    assert!(matches!(next(&mut *source), Err(SourceError::Ended)));
}

#[test]
fn fifo_without_data_stalls_until_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("camera.fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut source = open(&path);
    let mut writer = File::options().write(true).open(&path).unwrap();

    let stalled = source.next(Instant::now() + Duration::from_millis(30));
    assert!(matches!(stalled, Err(SourceError::Stalled)), "{stalled:?}");

    writer.write_all(&[HEADER, &frame(5)].concat()).unwrap();
    assert_eq!(next(&mut *source).unwrap(), 5);
}

#[test]
fn text_file_as_source_is_malformed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("text");
    std::fs::write(&path, "hello\n").unwrap();

    assert!(matches!(next(&mut *open(&path)), Err(SourceError::Malformed(_))));
}

#[test]
fn missing_source_is_absent() {
    for path in ["/nonexistent/camera.sock", "/dev/video9999", "camera:a name that no camera has"] {
        assert!(matches!(source::open(path, None).err(), Some(SourceError::Absent(_))), "{path}");
    }
}
