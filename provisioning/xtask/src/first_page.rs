//! The page at the bench's address while the demo is installed, built and started. Then the bench takes the address over,
//! in the same tab.
//!
//! The server answers `GET` on loopback only, one connection after the other, and closes each. It is written by hand because
//! a library for it would be compiled before the first word of the first command.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::progress::Progress;

/// Where the page is, and then the bench.
pub(crate) const ADDRESS: &str = "127.0.0.1:8800";
/// A browser gets this long to send its request and to take the answer.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest request head that is read, in bytes.
const REQUEST_MAX: usize = 8192;
/// Pictures of what will come: golden pictures of the screen.
const PICTURES: [&str; 4] = ["welcome", "menu", "confirm", "done"];

/// The page being served.
pub(crate) struct FirstPage {
    stop: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

impl FirstPage {
    /// Serves the page.
    ///
    /// # Errors
    /// When the address is taken.
    pub(crate) fn serve(progress: Progress, repository: &Path) -> Result<Self> {
        let listener = TcpListener::bind(ADDRESS)
            .with_context(|| format!("{ADDRESS} is taken: is another demo running? Stop it first"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, pictures) = (Arc::clone(&stop), repository.join("kiosk-app/screen/tests/golden"));
        let server = thread::spawn(move || {
            for browser in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                // A browser that went away is no reason to stop.
                let _ = browser.and_then(|browser| answer(browser, &progress, &pictures));
            }
        });
        Ok(Self { stop, server })
    }

    /// Serves the page until this process is ended.
    pub(crate) fn wait(self) {
        let _ = self.server.join();
    }

    /// Gives the address free.
    pub(crate) fn close(self) {
        self.stop.store(true, Ordering::Release);
        // The server waits for a connection.
        let _ = TcpStream::connect(ADDRESS);
        let _ = self.server.join();
    }
}

fn answer(mut browser: TcpStream, progress: &Progress, pictures: &Path) -> std::io::Result<()> {
    browser.set_read_timeout(Some(BROWSER_TIMEOUT))?;
    browser.set_write_timeout(Some(BROWSER_TIMEOUT))?;
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = browser.read(&mut piece)?;
        if count == 0 || head.len() > REQUEST_MAX {
            return Ok(());
        }
        head.extend(piece.iter().take(count));
    }
    let head = String::from_utf8_lossy(&head);
    let (status, kind, body) = match path_of(&head) {
        Some("/") => ("200 OK", "text/html; charset=utf-8", include_bytes!("first_page.html").to_vec()),
        Some("/progress") => ("200 OK", "application/json", progress.json().into_bytes()),
        Some(path) => match picture(path, pictures).and_then(|file| std::fs::read(file).ok()) {
            Some(png) => ("200 OK", "image/png", png),
            None => ("404 Not Found", "text/plain", b"not here".to_vec()),
        },
        None => ("405 Method Not Allowed", "text/plain", b"only GET".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        body.len()
    );
    browser.write_all(head.as_bytes())?;
    browser.write_all(&body)
}

/// The path that a request asks for by `GET`.
fn path_of(head: &str) -> Option<&str> {
    let path = head.strip_prefix("GET ")?.split(' ').next()?;
    Some(path.split('?').next().unwrap_or(path))
}

/// The file of `/pictures/NAME-LANGUAGE.png`.
fn picture(path: &str, pictures: &Path) -> Option<PathBuf> {
    let (name, language) = path.strip_prefix("/pictures/")?.strip_suffix(".png")?.rsplit_once('-')?;
    let known = PICTURES.contains(&name) && ["zh", "en"].contains(&language);
    known.then(|| pictures.join(format!("{name}-portrait-standard-{language}.png")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_path_is_that_of_a_get() {
        assert_eq!(path_of("GET /progress?1 HTTP/1.1\r\n\r\n"), Some("/progress"));
        assert_eq!(path_of("GET / HTTP/1.1\r\n\r\n"), Some("/"));
        assert_eq!(path_of("POST / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(path_of(""), None);
    }

    #[test]
    fn pictures_are_the_listed_ones_only() {
        let golden = Path::new("golden");
        let found = picture("/pictures/welcome-zh.png", golden);
        assert_eq!(found, Some(golden.join("welcome-portrait-standard-zh.png")));
        for path in ["/pictures/../x-zh.png", "/pictures/welcome-fr.png", "/pictures/welcome.png", "/x"] {
            assert_eq!(picture(path, golden), None, "{path}");
        }
    }

    #[test]
    fn every_listed_picture_exists() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kiosk-app/screen/tests/golden");
        for name in PICTURES {
            for language in ["zh", "en"] {
                let file = picture(&format!("/pictures/{name}-{language}.png"), &golden).unwrap();
                assert!(file.exists(), "{}", file.display());
            }
        }
    }
}
