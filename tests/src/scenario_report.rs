//! The HTML page of a scenario run: screenshots, receipts, and expectations with their outcome.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A report page under construction.
pub struct ScenarioReport {
    directory: PathBuf,
    chapters: Vec<Chapter>,
}

struct Chapter {
    title: String,
    items: Vec<ReportItem>,
}

enum ReportItem {
    /// An expectation; `failure` holds what happened instead, or `None` when it was met.
    Expectation { what: String, failure: Option<String> },
    /// A picture; `file` is its name in the directory of the page; `paper` marks a receipt or A4 document.
    Picture { caption: String, file: String, paper: bool },
    /// A table.
    Table { caption: String, head: Vec<String>, rows: Vec<Vec<String>> },
}

impl ScenarioReport {
    /// Creates a page in this directory, whose old content is removed.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create(directory: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), chapters: Vec::new() })
    }

    /// Begins a chapter with this heading.
    pub fn begin_chapter(&mut self, title: &str) {
        self.chapters.push(Chapter { title: title.to_owned(), items: Vec::new() });
    }

    /// Records an expectation; an error says what happened instead.
    pub fn record_expectation(&mut self, what: &str, outcome: anyhow::Result<()>) {
        let instead = outcome.err().map(|error| format!("{error:#}"));
        self.push_item(ReportItem::Expectation { what: what.to_owned(), failure: instead });
    }

    /// Adds a PNG; `paper` marks a receipt or A4 document, which is shown smaller.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_picture(&mut self, caption: &str, png: &[u8], paper: bool) -> io::Result<()> {
        let count: usize = self.chapters.iter().map(|chapter| chapter.items.len()).sum();
        let file = format!("{:02}-{count:03}.png", self.chapters.len());
        fs::write(self.directory.join(&file), png)?;
        self.push_item(ReportItem::Picture { caption: caption.to_owned(), file, paper });
        Ok(())
    }

    /// Adds a table.
    pub fn add_table(&mut self, caption: &str, head: &[&str], rows: Vec<Vec<String>>) {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        self.push_item(ReportItem::Table { caption: caption.to_owned(), head, rows });
    }

    fn push_item(&mut self, line: ReportItem) {
        if self.chapters.is_empty() {
            self.begin_chapter("");
        }
        if let Some(chapter) = self.chapters.last_mut() {
            chapter.items.push(line);
        }
    }

    /// Expectations that were not met, as `chapter: expectation: what happened instead`.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for chapter in &self.chapters {
            for line in &chapter.items {
                if let ReportItem::Expectation { what, failure: Some(instead) } = line {
                    failures.push(format!("{}: {what}: {instead}", chapter.title));
                }
            }
        }
        failures
    }

    /// Number of recorded expectations, met or not.
    #[must_use]
    pub fn expectations(&self) -> usize {
        let lines = self.chapters.iter().flat_map(|chapter| &chapter.items);
        lines.filter(|line| matches!(line, ReportItem::Expectation { .. })).count()
    }

    /// Writes `index.html` and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_page(&self) -> io::Result<PathBuf> {
        let path = self.directory.join("index.html");
        fs::write(&path, self.html())?;
        Ok(path)
    }

    fn html(&self) -> String {
        let failed = self.failures().len();
        let verdict = if failed == 0 { "all met".to_owned() } else { format!("{failed} not met") };
        let mut html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Scenario report</title>{STYLE}\
             <h1>Scenario report <small>{} expectations, {verdict}</small></h1>",
            self.expectations()
        );
        for chapter in &self.chapters {
            let _ = write!(html, "<h2>{}</h2>", escape_html(&chapter.title));
            for line in &chapter.items {
                line.write(&mut html);
            }
        }
        html
    }
}

impl ReportItem {
    fn write(&self, html: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Expectation { what, failure: None } => {
                write!(html, "<p class=ok>✓ {}</p>", escape_html(what))
            }
            Self::Expectation { what, failure: Some(instead) } => {
                write!(
                    html,
                    "<p class=no>✗ {}<br><small>{}</small></p>",
                    escape_html(what),
                    escape_html(instead)
                )
            }
            Self::Picture { caption, file, paper } => {
                let class = if *paper { "paper" } else { "view" };
                let caption = escape_html(caption);
                write!(
                    html,
                    "<figure class={class}><a href={file}><img src={file} loading=lazy></a>\
                     <figcaption>{caption}</figcaption></figure>"
                )
            }
            Self::Table { caption, head, rows } => {
                let cells = |tag: &str, row: &[String]| -> String {
                    row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape_html(cell))).collect()
                };
                let body: String = rows.iter().map(|row| format!("<tr>{}</tr>", cells("td", row))).collect();
                write!(
                    html,
                    "<table><caption>{}</caption><tr>{}</tr>{body}</table>",
                    escape_html(caption),
                    cells("th", head)
                )
            }
        };
    }
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const STYLE: &str = "<style>body{font:16px/1.5 'Noto Sans CJK SC',sans-serif;margin:2rem;background:#F3F6FB;\
color:#0F1B2D}h2{clear:both;border-top:1px solid #C9D3E3;padding-top:1rem}p{margin:.2rem 0}\
.ok{color:#0A5C33}.no{color:#9B1C1C;font-weight:700}figure{display:inline-block;margin:.6rem;\
vertical-align:top;width:250px}figure img{max-width:250px;max-height:440px;border:1px solid #C9D3E3;\
background:#fff}figcaption{font-size:14px}.paper img{max-height:300px}table{border-collapse:collapse;\
margin:1rem 0;background:#fff;font-size:14px}td,th{border:1px solid #C9D3E3;padding:.2rem .6rem;\
text-align:left}caption{text-align:left;font-weight:700}</style>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_expectation_appears_on_page_and_in_failures() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = ScenarioReport::create(&dir.path().join("demo")).unwrap();
        report.begin_chapter("card-balance");
        report.record_expectation("first", Ok(()));
        report.record_expectation("second", Err(anyhow::anyhow!("a <b> came")));
        report.add_picture("welcome", b"png", false).unwrap();
        assert_eq!(report.failures(), ["card-balance: second: a <b> came"]);
        let page = fs::read_to_string(report.write_page().unwrap()).unwrap();
        assert!(page.contains("✗ second") && page.contains("a &lt;b&gt; came"));
        assert!(page.contains("01-002.png"));
    }
}
