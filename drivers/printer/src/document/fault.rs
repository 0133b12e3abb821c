//! Faults of rendering an A4 document.

/// Why a document cannot be rendered. No variant contains text of the document.
#[derive(Debug, thiserror::Error)]
pub enum PdfFault {
    /// More than [`crate::PAGES_MAX`] pages, or a text or table above its limit.
    #[error("the A4 document is too long to print: shorten what the service prints")]
    TooLong,
    /// The content of the verification code cannot be encoded.
    #[error("the verification code is too long or holds control characters: change its content")]
    CodeUnfit,
    /// The font file cannot be read.
    #[error("the font of A4 documents cannot be read: install fonts-noto-cjk")]
    FontUnreadable(#[source] std::io::Error),
    /// The font file has an unsupported format.
    #[error("the font of A4 documents has an unsupported format: install fonts-noto-cjk again")]
    FontUnusable,
    /// The font lacks a character. The document is refused: a wrong name on a certificate is worse than none.
    #[error("the font of A4 documents lacks a character of this document")]
    NoGlyph,
    /// The PDF library failed.
    #[error("the PDF could not be written: {0}")]
    Writer(String),
}
