//! Content of the views of a running service, one for each state of its steps.

use contract::{AnswerFieldType, PaymentMethod, PrintForm, Step};
use view::{
    Banner, Body, Confirm, ConsentForm, FooterButton, Gesture, Icon, Intent, LabelledValue, OutcomeKind,
    Page, PaymentMethodCard, PinPad, RowCard, Rows, Scan, Text, TextId, Tone,
};

use super::outcome::{
    action, payment_outcome, print_actions, print_fault_banner, printer_of, receipt_code, working_content,
};
use super::{ViewContent, exit_button, idle_screen, menu, page_size, plain_outcome};
use crate::identification::refusal_for_failure;
use crate::kiosk::Kiosk;
use crate::payment::receipt_of;
use crate::pin::{PIN_LENGTH, PinEntry};
use crate::pin_change::{PinChange, PinChangeFailure, PinChangeStage};
use crate::print_job::PrintState;
use crate::receipt::method_name;
use crate::rows::CheckedRow;
use crate::service_steps::labelled_fields;
use crate::visit::{RunningService, StepState, Visit, in_language};

pub(super) fn service_content(kiosk: &Kiosk, visit: &Visit, running: &RunningService) -> ViewContent {
    let mut frame = match &running.state {
        StepState::Consent => consent(visit, running),
        StepState::Querying { .. } => working_content(visit, TextId::Querying, TextId::QueryingDetail),
        StepState::QueryFailed(failure) => {
            let (word, detail) = refusal_for_failure(*failure).texts();
            failure_content(visit, word, detail, Some(TextId::TryAgain))
        }
        StepState::NothingFound(words) => nothing_found(visit, in_language(words, visit.lang)),
        StepState::Show => labelled_values(visit, running),
        StepState::ShowCode => code_for_phone(visit, running),
        StepState::Choose { chosen, page, full } => {
            let chosen: Vec<usize> = chosen.iter().copied().collect();
            choose(visit, running, &chosen, *page, *full)
        }
        StepState::NoPaymentMethod => failure_content(visit, TextId::NoMethod, TextId::NoMethodDetail, None),
        StepState::PaymentsSuspended => {
            failure_content(visit, TextId::MoneyOff, TextId::MoneyOffDetail, None)
        }
        StepState::Confirm { method } => confirm(kiosk, visit, *method),
        StepState::Pin { entry, .. } => pin_pad(visit, TextId::PinTitle, TextId::PinLead, entry),
        StepState::PinChangeEntry(new) => pin_change_pad(visit, new),
        StepState::PinChanging { .. } => {
            working_content(visit, TextId::ChangePinWorking, TextId::IdentifyingDetail)
        }
        StepState::PinChanged => ViewContent {
            title: TextId::ChangePinDone.into(),
            body: Body::Outcome(plain_outcome(
                OutcomeKind::Done,
                TextId::ChangePinDone,
                TextId::ChangePinDoneDetail,
            )),
            actions: vec![action(TextId::Finish, true, Intent::Primary)],
            ..nothing_found(visit, "")
        },
        StepState::PinChangeFailed(PinChangeFailure::Locked) => {
            failure_content(visit, TextId::PinLocked, TextId::ProvePinLockedDetail, None)
        }
        StepState::PinChangeFailed(PinChangeFailure::Refused) => {
            failure_content(visit, TextId::ChangePinFailed, TextId::ChangePinFailedDetail, None)
        }
        StepState::PinChangeFailed(PinChangeFailure::Unknown) => ViewContent {
            title: TextId::ClosingPinTitle.into(),
            body: Body::Outcome(plain_outcome(
                OutcomeKind::Unknown,
                TextId::ChangePinUnclear,
                TextId::ChangePinUnclearDetail,
            )),
            ..nothing_found(visit, "")
        },
        StepState::PinVerifying { .. } => working_content(visit, TextId::PinCheck, TextId::IdentifyingDetail),
        StepState::PinLocked => failure_content(visit, TextId::PinLocked, TextId::PinLockedDetail, None),
        StepState::PinFailed => failure_content(visit, TextId::PinFailed, TextId::PinFailedDetail, None),
        StepState::Paying { slow: false, .. } => {
            ViewContent { footer: Vec::new(), ..working_content(visit, TextId::Paying, TextId::PayingDetail) }
        }
        StepState::Paying { order, slow: true, .. } => checking_payment(kiosk, *order),
        StepState::Settled { settlement, total, receipt } => ViewContent {
            steps: None,
            title: match settlement {
                contract::Settlement::Paid { .. } => TextId::PaidTitle.into(),
                contract::Settlement::Void { .. } => TextId::NotPaidTitle.into(),
            },
            lead: None,
            banners: print_fault_banner(kiosk, *receipt).into_iter().collect(),
            body: Body::Outcome(payment_outcome(kiosk, Some(settlement), *total, *receipt)),
            actions: print_actions(kiosk, *receipt),
            footer: vec![FooterButton::Home, FooterButton::Help, exit_button(visit)],
        },
        StepState::Printing { receipt } => printing(kiosk, visit, *receipt),
    };
    frame.steps = step_bar(kiosk, visit, running);
    if visit.help_until.is_some() {
        frame.banners.insert(0, idle_screen::help_banner(kiosk.online));
    }
    frame
}

fn footer(visit: &Visit) -> Vec<FooterButton> {
    vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, exit_button(visit)]
}

/// The bar shows only the steps of the resident; steps of the kiosk (queries) are left out.
fn step_bar(kiosk: &Kiosk, visit: &Visit, running: &RunningService) -> Option<view::Steps> {
    let mut names = Vec::new();
    let mut at = 0;
    let with_pin = visit.identification_method == contract::IdentificationMethod::Card;
    for (index, step) in running.doc.steps.iter().enumerate() {
        let here = index == running.step_index;
        match step {
            Step::Query { .. } => {}
            Step::Consent { .. } => names.push(TextId::StepConsent),
            Step::Show { .. } => names.push(TextId::StepShow),
            Step::ShowCode { .. } => names.push(TextId::StepShowCode),
            Step::ChangePin { .. } => names.push(TextId::StepPin),
            Step::Choose { .. } => names.push(TextId::StepChoose),
            Step::Pay { methods, .. } => {
                if with_pin && methods.contains(&PaymentMethod::CardAccount) {
                    names.push(TextId::StepPay);
                    names.push(TextId::StepPin);
                    let entering = matches!(
                        running.state,
                        StepState::Confirm { .. } | StepState::NoPaymentMethod | StepState::PaymentsSuspended
                    );
                    if here && entering {
                        at = names.len() - 2;
                        continue;
                    }
                } else {
                    names.push(TextId::StepPay);
                }
            }
            Step::Print { form, .. } => {
                if kiosk.setup.equipment.receipt_printer || kiosk.setup.equipment.document_printer {
                    names.push(match form {
                        PrintForm::Receipt => TextId::StepPrint,
                        PrintForm::A4Document => TextId::StepSheet,
                    });
                }
            }
        }
        if here {
            at = names.len().saturating_sub(1);
        }
    }
    (names.len() > 2).then(|| view::Steps { names: names.into_iter().map(Text::Id).collect(), current: at })
}

fn consent(visit: &Visit, running: &RunningService) -> ViewContent {
    let data = |words| Text::Data(in_language(words, visit.lang).to_owned());
    let Some(Step::Consent { purpose, items, recipient, days, .. }) = running.current_step() else {
        return nothing_found(visit, "");
    };
    let body = Body::Consent(ConsentForm {
        purpose: data(purpose),
        items: items.iter().map(data).collect(),
        recipient: data(recipient),
        duration: match days {
            0 => TextId::ConsentThisVisit.into(),
            days => Text::With(TextId::ConsentDays, vec![days.to_string()]),
        },
    });
    ViewContent {
        steps: None,
        title: TextId::ConsentTitle.into(),
        lead: Some(TextId::ConsentLead.into()),
        banners: Vec::new(),
        body,
        actions: vec![
            action(TextId::ConsentAgree, true, Intent::Primary),
            action(TextId::ConsentDecline, false, Intent::Secondary),
        ],
        footer: footer(visit),
    }
}

pub(super) fn failure_content(
    visit: &Visit,
    word: TextId,
    detail: TextId,
    retry: Option<TextId>,
) -> ViewContent {
    ViewContent {
        steps: None,
        title: TextId::SorryTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain_outcome(OutcomeKind::NotDone, word, detail)),
        actions: vec![action(retry.unwrap_or(TextId::BackToMenu), true, Intent::Primary)],
        footer: footer(visit),
    }
}

fn nothing_found(visit: &Visit, words: &str) -> ViewContent {
    let outcome = view::Outcome {
        headline: Text::Data(words.to_owned()),
        detail: Text::Data(String::new()),
        ..plain_outcome(OutcomeKind::Done, TextId::NothingTitle, TextId::NothingTitle)
    };
    ViewContent {
        steps: None,
        title: TextId::NothingTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(outcome),
        actions: vec![action(TextId::BackToMenu, true, Intent::Primary)],
        footer: footer(visit),
    }
}

fn labelled_values(visit: &Visit, running: &RunningService) -> ViewContent {
    let Some(Step::Show { from, title, show, .. }) = running.current_step() else {
        return nothing_found(visit, "");
    };
    let Some(declared) = running.doc.answer_schema(from) else { return nothing_found(visit, "") };
    let pairs = running
        .rows_of_step(from)
        .into_iter()
        .flat_map(|row| labelled_fields(row, show, declared, visit.lang))
        .map(|(label, kind, value)| LabelledValue {
            label: Text::Data(label.to_owned()),
            value: Text::Data(value),
            emphasized: kind == AnswerFieldType::Money,
        })
        .collect();
    let prints = matches!(running.doc.steps.get(running.step_index + 1), Some(Step::Print { .. }));
    let actions = if prints {
        vec![
            action(TextId::SheetPrint, true, Intent::Primary),
            action(TextId::SheetDone, false, Intent::Secondary),
        ]
    } else {
        vec![action(TextId::SheetDone, true, Intent::Primary)]
    };
    ViewContent {
        steps: None,
        title: Text::Data(in_language(title, visit.lang).to_owned()),
        lead: None,
        banners: Vec::new(),
        body: Body::Details(pairs),
        actions,
        footer: footer(visit),
    }
}

fn choose(visit: &Visit, running: &RunningService, chosen: &[usize], page: usize, full: bool) -> ViewContent {
    let Some(Step::Choose { from, title, show, max, .. }) = running.current_step() else {
        return nothing_found(visit, "");
    };
    let rows = running.rows_of_step(from);
    let size = page_size(visit.theme);
    let pages = rows.len().div_ceil(size);
    let cards = rows
        .iter()
        .enumerate()
        .skip(page * size)
        .take(size)
        .filter_map(|(at, row)| row_card(visit, running, from, show, row, at, chosen.contains(&at)))
        .collect();
    let sum = contract::Money::sum(chosen.iter().filter_map(|at| rows.get(*at)).filter_map(|row| {
        let declared = running.doc.answer_schema(from)?;
        let name = declared.iter().find(|(_, field)| field.kind() == AnswerFieldType::Money)?.0;
        crate::rows::parse_money(row.get(name)?)
    }));
    let summary = Text::With(TextId::RowsSummary, vec![chosen.len().to_string()]);
    let mut go = action(TextId::RowsGo, true, Intent::Primary);
    go.enabled = !chosen.is_empty();
    let banners = full
        .then(|| Banner {
            tone: Tone::Note,
            icon: Icon::Help,
            title: Text::With(TextId::RowsMax, vec![max.to_string()]),
            detail: None,
        })
        .into_iter()
        .collect();
    ViewContent {
        steps: None,
        title: Text::Data(in_language(title, visit.lang).to_owned()),
        lead: None,
        banners,
        body: Body::Rows(Rows {
            rows: cards,
            summary: Some((summary, sum.unwrap_or_default().to_string())),
            page: (pages > 1).then(|| Page { index: saturating_u16(page), count: saturating_u16(pages) }),
        }),
        actions: vec![go],
        footer: footer(visit),
    }
}

fn row_card(
    visit: &Visit,
    running: &RunningService,
    from: &str,
    show: &[String],
    row: &CheckedRow,
    at: usize,
    chosen: bool,
) -> Option<RowCard> {
    let declared = running.doc.answer_schema(from)?;
    let mut words = labelled_fields(row, show, declared, visit.lang)
        .filter(|(_, kind, _)| *kind != AnswerFieldType::Money);
    let title = words.next().map(|(_, _, value)| value)?;
    let mut rest: Vec<String> = words.map(|(_, _, value)| value).collect();
    if let Some(payee) = row.get("payee") {
        rest.insert(0, payee.to_string());
    }
    let amount = labelled_fields(row, show, declared, visit.lang)
        .find(|(_, kind, _)| *kind == AnswerFieldType::Money)
        .map(|a| a.2);
    Some(RowCard {
        icon: menu::icon(&running.doc),
        title: Text::Data(title),
        detail: (!rest.is_empty()).then(|| Text::Data(rest.join(" · "))),
        amount,
        chosen,
        intent: Intent::ToggleRow(saturating_u16(at)),
    })
}

fn confirm(kiosk: &Kiosk, visit: &Visit, method: usize) -> ViewContent {
    let methods = kiosk.payment_methods();
    let (items, total) = kiosk.order_items().unwrap_or_default();
    let pair = |label: TextId, value: Text| LabelledValue { label: label.into(), value, emphasized: false };
    let mut payees: Vec<String> = items.iter().map(|item| item.payee.clone()).collect();
    payees.dedup();
    let labels: Vec<String> = items.iter().map(|item| item.label.clone()).collect();
    let chosen = methods.get(method).copied();
    let next = match chosen {
        Some(PaymentMethod::CardAccount) => TextId::ConfirmNextPin,
        Some(PaymentMethod::ResidentCode) | None => TextId::ConfirmNextPrint,
    };
    let mut pairs = vec![
        pair(TextId::ConfirmWhat, Text::Data(labels.join("\n"))),
        pair(TextId::ConfirmPayee, Text::Data(payees.join("\n"))),
    ];
    if let Some(chosen) = chosen {
        pairs.push(pair(TextId::ConfirmMethod, method_name(chosen).into()));
    }
    pairs.push(pair(TextId::ConfirmNext, next.into()));
    let cards = methods
        .iter()
        .zip(0_u8..)
        .map(|(one, at)| PaymentMethodCard {
            title: method_name(*one).into(),
            chosen: usize::from(at) == method,
            intent: Intent::ChooseMethod(at),
        })
        .collect();
    let go = Text::With(TextId::ConfirmGo, vec![total.to_string()]);
    ViewContent {
        steps: None,
        title: TextId::ConfirmTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Confirm(Confirm {
            amount: total.to_string(),
            pairs,
            methods: if methods.len() > 1 { cards } else { Vec::new() },
            promise: TextId::ConfirmPromise.into(),
        }),
        actions: vec![action(go, true, Intent::Primary)],
        footer: footer(visit),
    }
}

/// A code for the resident's phone, with instructions.
fn code_for_phone(visit: &Visit, running: &RunningService) -> ViewContent {
    let Some(Step::ShowCode { from, field, title, lead, steps, .. }) = running.current_step() else {
        return nothing_found(visit, "");
    };
    let data = |words| Text::Data(in_language(words, visit.lang).to_owned());
    let rows = running.rows_of_step(from);
    let qr = rows.first().and_then(|row| row.get(field)).map_or_else(String::new, |code| code.to_string());
    ViewContent {
        steps: None,
        title: data(title),
        lead: Some(data(lead)),
        banners: Vec::new(),
        body: Body::Scan(Scan { qr, steps: steps.iter().map(data).collect() }),
        actions: vec![action(TextId::Finish, true, Intent::Primary)],
        footer: footer(visit),
    }
}

/// The pad for one of the three PINs of a change.
fn pin_change_pad(visit: &Visit, new: &PinChange) -> ViewContent {
    let (title, lead) = match &new.stage {
        PinChangeStage::Old => (TextId::ChangePinOld, TextId::PinLead),
        PinChangeStage::New { .. } => (TextId::ChangePinNew, TextId::ChangePinNewLead),
        PinChangeStage::Repeat { .. } => (TextId::ChangePinAgain, TextId::PinLead),
    };
    pin_pad(visit, title, lead, &new.entry)
}

pub(super) fn pin_pad(visit: &Visit, title: TextId, lead: TextId, entry: &PinEntry) -> ViewContent {
    let mut go = action(TextId::PinGo, true, Intent::Primary);
    let entered = entry.digits_entered();
    go.enabled = entered == PIN_LENGTH;
    ViewContent {
        steps: None,
        title: title.into(),
        lead: Some(lead.into()),
        banners: Vec::new(),
        body: Body::Pin(PinPad {
            entered: u8::try_from(entered).unwrap_or(u8::MAX),
            length: u8::try_from(PIN_LENGTH).unwrap_or(u8::MAX),
            keys: entry.keys,
            problem: entry.problem.clone(),
        }),
        actions: vec![go],
        footer: footer(visit),
    }
}

fn checking_payment(kiosk: &Kiosk, order: contract::OrderId) -> ViewContent {
    let body = kiosk.durable.orders.get(&order).map_or_else(
        || plain_outcome(OutcomeKind::Checking, TextId::Checking, TextId::CheckingDetail),
        |open| payment_outcome(kiosk, None, open.total, receipt_of(order)),
    );
    ViewContent {
        steps: None,
        title: TextId::CheckingTitle.into(),
        lead: Some(TextId::CheckingLeave.into()),
        banners: Vec::new(),
        body: Body::Outcome(body),
        actions: vec![action(TextId::CheckingGo, true, Intent::Primary)],
        footer: vec![FooterButton::Home, FooterButton::Help],
    }
}

fn printing(kiosk: &Kiosk, visit: &Visit, receipt: contract::ReceiptId) -> ViewContent {
    let on_sheet = printer_of(kiosk, receipt) == PrintForm::A4Document;
    let (verdict, word, detail) = match kiosk.print_state(receipt) {
        Some(PrintState::Printing) if on_sheet => {
            (OutcomeKind::Working, TextId::SheetPrinting, TextId::SheetPrintingDetail)
        }
        Some(PrintState::Printed) if on_sheet => {
            (OutcomeKind::Done, TextId::SheetPrinted, TextId::SheetPrintedDetail)
        }
        Some(PrintState::Printing) => (OutcomeKind::Working, TextId::Printing, TextId::PrintingDetail),
        Some(PrintState::Printed) => (OutcomeKind::Done, TextId::Printed, TextId::PrintedDetail),
        Some(PrintState::Waiting | PrintState::Unconfirmed) | None => {
            (OutcomeKind::Done, TextId::ReceiptByPhone, TextId::ReceiptByPhoneDetail)
        }
    };
    let by_phone = !matches!(kiosk.print_state(receipt), Some(PrintState::Printing | PrintState::Printed));
    let outcome = view::Outcome {
        code: by_phone.then(|| receipt_code(kiosk, receipt)),
        gesture: (!by_phone).then_some(if on_sheet { Gesture::TakeSheet } else { Gesture::TakePaper }),
        ..plain_outcome(verdict, word, detail)
    };
    ViewContent {
        steps: None,
        title: if by_phone { TextId::ReceiptByPhone.into() } else { word.into() },
        lead: None,
        banners: print_fault_banner(kiosk, receipt).into_iter().collect(),
        body: Body::Outcome(outcome),
        actions: print_actions(kiosk, receipt),
        footer: vec![FooterButton::Home, FooterButton::Help, exit_button(visit)],
    }
}

fn saturating_u16(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
