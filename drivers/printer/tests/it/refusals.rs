//! The outcome of an A4 document that the printer refuses, or whose connection breaks, at each moment of the request.

use printer::{DocumentPrinter, PrintConfirmation, PrintFailure, PrintOutcome};

use crate::documents::insurance_proof;
use crate::ipp_endpoint::{ABORTED, CANCELED, COMPLETED, IppEndpoint, JobStatement, Moment, Reply, Script};

/// Ended, and never processed: the printer states that nothing came out.
const NEVER_PROCESSED: JobStatement =
    JobStatement { state: CANCELED, time_at_processing: Some(None), impressions: Some(0) };

/// Ended while its first page was on its way: no page was completed.
const FIRST_PAGE_BEGUN: JobStatement =
    JobStatement { state: ABORTED, time_at_processing: Some(Some(40)), impressions: Some(0) };

/// Ended, without any word about what came out.
const ENDED_WITHOUT_COUNTS: JobStatement =
    JobStatement { state: ABORTED, time_at_processing: None, impressions: None };

/// A printer that spools, and accepts the document.
const ACCEPTING: Script = Script {
    supports_create_job: true,
    moment: Moment::AfterDocument,
    reply: Reply::Ipp(0),
    prints_while_receiving: false,
    job: Some(JobStatement { state: COMPLETED, time_at_processing: Some(Some(40)), impressions: Some(1) }),
};

fn print(script: Script) -> (PrintOutcome, IppEndpoint) {
    let endpoint = IppEndpoint::start(script);
    let printer = DocumentPrinter::for_address(&endpoint.address()).unwrap();
    (printer.print(&insurance_proof(), &mut |_| {}), endpoint)
}

#[test]
fn accepted_document_is_printed() {
    for supports_create_job in [true, false] {
        let reply = if supports_create_job { Reply::Ipp(0) } else { Reply::IppWithJob(0) };
        let (outcome, endpoint) = print(Script { supports_create_job, reply, ..ACCEPTING });

        assert_eq!(outcome, PrintOutcome::Printed { confirmation: PrintConfirmation::SheetsCounted });
        assert_eq!(endpoint.cancels(), 0);
    }
}

/// I6: a second copy without a mark is allowed after *not started*, so nothing may be on paper then.
#[test]
fn refusal_with_paper_out_is_unconfirmed() {
    let cases = [
        (true, Reply::Http(408), Some(FIRST_PAGE_BEGUN)),
        (true, Reply::Http(408), None),
        (true, Reply::Http(503), Some(ENDED_WITHOUT_COUNTS)),
        (true, Reply::Ipp(0x0411), Some(ENDED_WITHOUT_COUNTS)),
        (true, Reply::Ipp(0x0508), Some(FIRST_PAGE_BEGUN)),
        (true, Reply::Reset, Some(FIRST_PAGE_BEGUN)),
        (false, Reply::Http(408), Some(FIRST_PAGE_BEGUN)),
        (false, Reply::Ipp(0x0411), Some(NEVER_PROCESSED)),
        (false, Reply::IppWithJob(0x0508), Some(FIRST_PAGE_BEGUN)),
        (false, Reply::IppWithJob(0x0508), None),
        (false, Reply::Reset, Some(NEVER_PROCESSED)),
    ];
    for (supports_create_job, reply, job) in cases {
        for moment in [Moment::After(1), Moment::AfterDocument] {
            let script = Script { supports_create_job, moment, reply, prints_while_receiving: true, job };

            let (outcome, endpoint) = print(script);

            assert!(endpoint.has_printed(), "{script:?}");
            assert!(matches!(outcome, PrintOutcome::Unconfirmed(_)), "{script:?}: {outcome:?}");
        }
    }
}

#[test]
fn refusal_with_job_never_processed_is_not_started() {
    for (supports_create_job, reply, failure) in [
        (true, Reply::Http(408), PrintFailure::Offline),
        (true, Reply::Ipp(0x0507), PrintFailure::Offline),
        (true, Reply::Ipp(0x040A), PrintFailure::Unprintable),
        (false, Reply::IppWithJob(0x0508), PrintFailure::Offline),
    ] {
        for moment in [Moment::BeforeDocument, Moment::AfterDocument] {
            let (outcome, endpoint) =
                print(Script { supports_create_job, moment, reply, job: Some(NEVER_PROCESSED), ..ACCEPTING });

            assert_eq!(outcome, PrintOutcome::NotStarted(failure), "{reply:?} {moment:?}");
            assert!(!endpoint.has_printed());
            assert_eq!(endpoint.cancels(), 1, "the refused job must not come out later");
        }
    }
}

/// What the printer read of the document is not known here: the operating system takes all of it.
#[test]
fn print_job_refusal_without_job_is_unconfirmed() {
    for reply in [Reply::Http(408), Reply::Ipp(0x0400), Reply::Ipp(0x0507), Reply::Ipp(0x0508)] {
        let (outcome, _) =
            print(Script { supports_create_job: false, reply, job: Some(NEVER_PROCESSED), ..ACCEPTING });

        assert_eq!(outcome, PrintOutcome::Unconfirmed(PrintFailure::Offline), "{reply:?}");
    }
}

#[test]
fn refused_document_of_completed_job_is_unconfirmed() {
    for reply in [Reply::Http(408), Reply::Ipp(0x0405)] {
        let (outcome, _) = print(Script { reply, moment: Moment::After(4096), ..ACCEPTING });

        assert_eq!(outcome, PrintOutcome::Unconfirmed(PrintFailure::Offline), "{reply:?}");
    }
}

#[test]
fn ended_job_with_counted_page_is_unconfirmed() {
    let job = JobStatement { impressions: Some(1), ..NEVER_PROCESSED };
    for reply in [Reply::Ipp(0x0508), Reply::Ipp(0)] {
        let (outcome, _) = print(Script { reply, job: Some(job), ..ACCEPTING });

        assert!(matches!(outcome, PrintOutcome::Unconfirmed(_)), "{reply:?}: {outcome:?}");
    }
}

/// A job that says nothing about processing proves nothing, whether its document was refused or accepted.
#[test]
fn ended_job_without_statement_is_unconfirmed() {
    for reply in [Reply::Ipp(0x0508), Reply::Ipp(0)] {
        let script = Script { reply, prints_while_receiving: true, ..ACCEPTING };
        let (outcome, _) = print(Script { job: Some(ENDED_WITHOUT_COUNTS), ..script });

        assert!(matches!(outcome, PrintOutcome::Unconfirmed(_)), "{reply:?}: {outcome:?}");
    }
}

#[test]
fn printer_gone_before_document_is_not_started() {
    let (outcome, endpoint) =
        print(Script { moment: Moment::BeforeRequest, job: Some(NEVER_PROCESSED), ..ACCEPTING });

    assert_eq!(outcome, PrintOutcome::NotStarted(PrintFailure::Disconnected));
    assert_eq!(endpoint.document_bytes(), 0);
}
