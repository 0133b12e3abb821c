//! Responses of an IPP printer: attributes of the printer and of a job (RFC 8010, 3).

use std::io::Cursor;

use ipp::attribute::{IppAttribute, IppAttributes};
use ipp::model::DelimiterTag;
use ipp::parser::{IppParseError, IppParser};
use ipp::reader::IppReader;
use ipp::request::IppRequestResponse;
use ipp::value::IppValue;

use crate::document::status::{DocumentPrinterStatus, JobState, JobStatus};

/// Longest response that is read, in bytes: the requested attributes take a few hundred.
pub(super) const ANSWER_MAX: u64 = 64 * 1024;

/// `operations-supported`: Create-Job and Send-Document (RFC 8011, 5.4.15).
const CREATE_JOB: i32 = 5;
const SEND_DOCUMENT: i32 = 6;

/// Attributes of a printer that matter before a job.
pub(super) struct Readiness {
    pub(super) status: DocumentPrinterStatus,
    pub(super) supports_pdf: bool,
    pub(super) supports_create_job: bool,
}

/// Deepest nesting of collections in a response. The parser nests them and drops them recursively: without a limit, a
/// response of 64 KiB exhausts the stack.
const DEPTH_MAX: usize = 8;

/// Begin and end of a collection (RFC 8010, 3.1.6).
const BEGIN_COLLECTION: u8 = 0x34;
const END_COLLECTION: u8 = 0x37;

/// Whether no collection is nested deeper than [`DEPTH_MAX`]. Malformed attributes are left to the parser.
fn is_shallow(bytes: &[u8]) -> bool {
    fn split_value(bytes: &[u8]) -> Option<&[u8]> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        rest.get(usize::from(u16::from_be_bytes(*length))..)
    }
    let mut depth = 0_usize;
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((&tag, after)) = rest.split_first() {
        rest = after;
        if tag < 0x10 {
            continue;
        }
        match tag {
            BEGIN_COLLECTION => depth += 1,
            END_COLLECTION => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
        // Skips name and value.
        let Some(next) = split_value(rest).and_then(split_value) else { break };
        rest = next;
    }
    true
}

/// Parses a response, within [`DEPTH_MAX`].
pub(super) fn parse_response(bytes: Vec<u8>) -> Result<IppRequestResponse, IppParseError> {
    if !is_shallow(&bytes) {
        return Err(IppParseError::InvalidCollection);
    }
    IppParser::new(IppReader::new(Cursor::new(bytes))).parse()
}

/// Entry point for the fuzzer: parses any bytes as a response and returns the printer status in it. Never panics.
#[must_use]
pub fn parse_ipp_response(bytes: &[u8]) -> Option<DocumentPrinterStatus> {
    let limit = usize::try_from(ANSWER_MAX).unwrap_or(usize::MAX);
    let answer = parse_response(bytes.get(..limit).unwrap_or(bytes).to_vec()).ok()?;
    // Responses about jobs pass through the same parser.
    let _ = parse_job_status(answer.attributes());
    Some(parse_readiness(answer.attributes()).status)
}

/// The values of one attribute in the groups with this tag.
fn values<'a>(attributes: &'a IppAttributes, group: DelimiterTag, name: &str) -> Vec<&'a IppValue> {
    let found = attributes.groups_of(group).find_map(|group| group.get(name));
    match found.map(IppAttribute::value) {
        None => Vec::new(),
        Some(IppValue::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    }
}

fn integer_value(attributes: &IppAttributes, group: DelimiterTag, name: &str) -> Option<i32> {
    values(attributes, group, name).into_iter().find_map(|value| {
        if let IppValue::Integer(number) | IppValue::Enum(number) = value { Some(*number) } else { None }
    })
}

fn keywords<'a>(attributes: &'a IppAttributes, group: DelimiterTag, name: &str) -> Vec<&'a str> {
    let values = values(attributes, group, name).into_iter();
    values
        .filter_map(|value| {
            if let IppValue::Keyword(word) = value {
                Some(word.as_str())
            } else if let IppValue::MimeMediaType(format) = value {
                Some(format.as_str())
            } else {
                None
            }
        })
        .collect()
}

/// Reads a response to Get-Printer-Attributes.
pub(super) fn parse_readiness(attributes: &IppAttributes) -> Readiness {
    let printer = DelimiterTag::PrinterAttributes;
    let state = integer_value(attributes, printer, "printer-state").unwrap_or_default();
    let accepting = values(attributes, printer, "printer-is-accepting-jobs");
    let accepting = !accepting.iter().any(|value| matches!(value, IppValue::Boolean(false)));
    let reasons = keywords(attributes, printer, "printer-state-reasons");
    let operations: Vec<i32> = values(attributes, printer, "operations-supported")
        .into_iter()
        .filter_map(|value| if let IppValue::Enum(operation) = value { Some(*operation) } else { None })
        .collect();
    let formats = keywords(attributes, printer, "document-format-supported");
    Readiness {
        status: DocumentPrinterStatus::from_attributes(state, accepting, reasons),
        supports_pdf: formats.contains(&"application/pdf"),
        supports_create_job: operations.contains(&CREATE_JOB) && operations.contains(&SEND_DOCUMENT),
    }
}

/// The job that a response names.
pub(super) fn parse_job_id(answer: &IppRequestResponse) -> Option<i32> {
    integer_value(answer.attributes(), DelimiterTag::JobAttributes, "job-id")
}

/// Reads a response to Get-Job-Attributes. `None` if it has no known state.
pub(super) fn parse_job_status(attributes: &IppAttributes) -> Option<JobStatus> {
    let job = DelimiterTag::JobAttributes;
    let state = integer_value(attributes, job, "job-state").and_then(JobState::from_number)?;
    let printed = ["job-media-sheets-completed", "job-impressions-completed"]
        .into_iter()
        .filter_map(|name| integer_value(attributes, job, name))
        .max();
    let reasons = keywords(attributes, job, "job-state-reasons");
    // Out-of-band `no-value` states it. A printer that leaves the attribute out states nothing.
    let time = values(attributes, job, "time-at-processing");
    let is_unprocessed = matches!(time.as_slice(), [IppValue::NoValue]);
    let errors =
        reasons.iter().any(|reason| ["job-completed-with-errors", "document-format-error"].contains(reason));
    Some(JobStatus { state, is_unprocessed, sheets_printed: printed.unwrap_or_default(), errors })
}
