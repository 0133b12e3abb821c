//! Content of the views of a running service, one for each state of its steps.

use contract::{FieldType, Form, Method, Step};
use view::{
    Banner, Body, Confirm, ConsentSheet, Foot, Gesture, Icon, Intent, MethodCard, Page, Pair, PinPad,
    RowCard, Rows, Scan, Text, TextId, Tone, Verdict,
};

use super::outcome::{action, code, on, paper_actions, paper_trouble, payment, working};
use super::{Frame, lobby, menu, page_size, plain, way_out};
use crate::begin::refusal_of;
use crate::kiosk::Kiosk;
use crate::new_pin::{NewPin, Stage, Unchanged};
use crate::paper::PaperState;
use crate::pin::{PIN_LENGTH, PinEntry};
use crate::receipt::method_name;
use crate::rows::Row;
use crate::steps::labelled;
use crate::visit::{Running, StepState, Visit, in_lang};

pub(super) fn frame(kiosk: &Kiosk, visit: &Visit, running: &Running) -> Frame {
    let mut frame = match &running.state {
        StepState::Consent => consent(visit, running),
        StepState::Querying { .. } => working(visit, TextId::Querying, TextId::QueryingDetail),
        StepState::QueryFailed(failure) => {
            let (word, detail) = refusal_of(*failure).words();
            sorry(visit, word, detail, Some(TextId::TryAgain))
        }
        StepState::Nothing(words) => nothing(visit, in_lang(words, visit.lang)),
        StepState::Show => sheet(visit, running),
        StepState::ShowCode => code_for_phone(visit, running),
        StepState::Choose { chosen, page, full } => {
            let chosen: Vec<usize> = chosen.iter().copied().collect();
            choose(visit, running, &chosen, *page, *full)
        }
        StepState::NoMethod => sorry(visit, TextId::NoMethod, TextId::NoMethodDetail, None),
        StepState::MoneyOff => sorry(visit, TextId::MoneyOff, TextId::MoneyOffDetail, None),
        StepState::Confirm { method } => confirm(kiosk, visit, *method),
        StepState::Pin { entry, .. } => pin(visit, TextId::PinTitle, TextId::PinLead, entry),
        StepState::NewPin(new) => new_pin(visit, new),
        StepState::PinChanging { .. } => working(visit, TextId::ChangePinWorking, TextId::IdentifyingDetail),
        StepState::PinChanged => Frame {
            title: TextId::ChangePinDone.into(),
            body: Body::Outcome(plain(Verdict::Done, TextId::ChangePinDone, TextId::ChangePinDoneDetail)),
            actions: vec![action(TextId::Finish, true, Intent::Go)],
            ..nothing(visit, "")
        },
        StepState::PinNotChanged(Unchanged::Locked) => {
            sorry(visit, TextId::PinLocked, TextId::ProvePinLockedDetail, None)
        }
        StepState::PinNotChanged(Unchanged::Refused) => {
            sorry(visit, TextId::ChangePinFailed, TextId::ChangePinFailedDetail, None)
        }
        StepState::PinNotChanged(Unchanged::Unclear) => Frame {
            title: TextId::ClosingPinTitle.into(),
            body: Body::Outcome(plain(
                Verdict::Unclear,
                TextId::ChangePinUnclear,
                TextId::ChangePinUnclearDetail,
            )),
            ..nothing(visit, "")
        },
        StepState::PinCheck { .. } => working(visit, TextId::PinCheck, TextId::IdentifyingDetail),
        StepState::PinLocked => sorry(visit, TextId::PinLocked, TextId::PinLockedDetail, None),
        StepState::PinFailed => sorry(visit, TextId::PinFailed, TextId::PinFailedDetail, None),
        StepState::Paying { slow: false, .. } => {
            Frame { footer: Vec::new(), ..working(visit, TextId::Paying, TextId::PayingDetail) }
        }
        StepState::Paying { order, slow: true, .. } => checking(kiosk, *order),
        StepState::Settled { settlement, total, receipt } => Frame {
            steps: None,
            title: match settlement {
                contract::Settlement::Paid { .. } => TextId::PaidTitle.into(),
                contract::Settlement::Void { .. } => TextId::NotPaidTitle.into(),
            },
            lead: None,
            banners: paper_trouble(kiosk, *receipt).into_iter().collect(),
            body: Body::Outcome(payment(kiosk, Some(settlement), *total, *receipt)),
            actions: paper_actions(kiosk, *receipt),
            footer: vec![Foot::Home, Foot::Help, way_out(visit)],
        },
        StepState::Printing { receipt } => printing(kiosk, visit, *receipt),
    };
    frame.steps = step_bar(kiosk, visit, running);
    if visit.help_until.is_some() {
        frame.banners.insert(0, lobby::help(kiosk.online));
    }
    frame
}

fn footer(visit: &Visit) -> Vec<Foot> {
    vec![Foot::Back, Foot::Home, Foot::Help, way_out(visit)]
}

/// The bar shows only the steps of the resident; steps of the kiosk (queries) are left out.
fn step_bar(kiosk: &Kiosk, visit: &Visit, running: &Running) -> Option<view::Steps> {
    let mut names = Vec::new();
    let mut at = 0;
    let with_pin = visit.way == contract::Way::Card;
    for (index, step) in running.doc.steps.iter().enumerate() {
        let here = index == running.at;
        match step {
            Step::Query { .. } => {}
            Step::Consent { .. } => names.push(TextId::StepConsent),
            Step::Show { .. } => names.push(TextId::StepShow),
            Step::ShowCode { .. } => names.push(TextId::StepShowCode),
            Step::ChangePin { .. } => names.push(TextId::StepPin),
            Step::Choose { .. } => names.push(TextId::StepChoose),
            Step::Pay { methods, .. } => {
                if with_pin && methods.contains(&Method::CardAccount) {
                    names.push(TextId::StepPay);
                    names.push(TextId::StepPin);
                    let entering = matches!(
                        running.state,
                        StepState::Confirm { .. } | StepState::NoMethod | StepState::MoneyOff
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
                if kiosk.setup.has.printer || kiosk.setup.has.sheet_printer {
                    names.push(match form {
                        Form::Receipt => TextId::StepPrint,
                        Form::Sheet => TextId::StepSheet,
                    });
                }
            }
        }
        if here {
            at = names.len().saturating_sub(1);
        }
    }
    (names.len() > 2).then(|| view::Steps { names: names.into_iter().map(Text::Id).collect(), at })
}

fn consent(visit: &Visit, running: &Running) -> Frame {
    let data = |words| Text::Data(in_lang(words, visit.lang).to_owned());
    let Some(Step::Consent { purpose, items, recipient, days, .. }) = running.step() else {
        return nothing(visit, "");
    };
    let body = Body::Consent(ConsentSheet {
        purpose: data(purpose),
        items: items.iter().map(data).collect(),
        recipient: data(recipient),
        duration: match days {
            0 => TextId::ConsentThisVisit.into(),
            days => Text::With(TextId::ConsentDays, vec![days.to_string()]),
        },
    });
    Frame {
        steps: None,
        title: TextId::ConsentTitle.into(),
        lead: Some(TextId::ConsentLead.into()),
        banners: Vec::new(),
        body,
        actions: vec![
            action(TextId::ConsentAgree, true, Intent::Go),
            action(TextId::ConsentDecline, false, Intent::Other),
        ],
        footer: footer(visit),
    }
}

pub(super) fn sorry(visit: &Visit, word: TextId, detail: TextId, retry: Option<TextId>) -> Frame {
    Frame {
        steps: None,
        title: TextId::SorryTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain(Verdict::Sorry, word, detail)),
        actions: vec![action(retry.unwrap_or(TextId::BackToMenu), true, Intent::Go)],
        footer: footer(visit),
    }
}

fn nothing(visit: &Visit, words: &str) -> Frame {
    let outcome = view::Outcome {
        word: Text::Data(words.to_owned()),
        detail: Text::Data(String::new()),
        ..plain(Verdict::Done, TextId::NothingTitle, TextId::NothingTitle)
    };
    Frame {
        steps: None,
        title: TextId::NothingTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(outcome),
        actions: vec![action(TextId::BackToMenu, true, Intent::Go)],
        footer: footer(visit),
    }
}

fn sheet(visit: &Visit, running: &Running) -> Frame {
    let Some(Step::Show { from, title, show, .. }) = running.step() else { return nothing(visit, "") };
    let Some(declared) = running.doc.answer_of(from) else { return nothing(visit, "") };
    let pairs = running
        .rows(from)
        .into_iter()
        .flat_map(|row| labelled(row, show, declared, visit.lang))
        .map(|(label, kind, value)| Pair {
            label: Text::Data(label.to_owned()),
            value: Text::Data(value),
            strong: kind == FieldType::Money,
        })
        .collect();
    let prints = matches!(running.doc.steps.get(running.at + 1), Some(Step::Print { .. }));
    let actions = if prints {
        vec![action(TextId::SheetPrint, true, Intent::Go), action(TextId::SheetDone, false, Intent::Other)]
    } else {
        vec![action(TextId::SheetDone, true, Intent::Go)]
    };
    Frame {
        steps: None,
        title: Text::Data(in_lang(title, visit.lang).to_owned()),
        lead: None,
        banners: Vec::new(),
        body: Body::Sheet(pairs),
        actions,
        footer: footer(visit),
    }
}

fn choose(visit: &Visit, running: &Running, chosen: &[usize], page: usize, full: bool) -> Frame {
    let Some(Step::Choose { from, title, show, max, .. }) = running.step() else {
        return nothing(visit, "");
    };
    let rows = running.rows(from);
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
        let declared = running.doc.answer_of(from)?;
        let name = declared.iter().find(|(_, field)| field.kind() == FieldType::Money)?.0;
        crate::rows::money(row.get(name)?)
    }));
    let summary = Text::With(TextId::RowsSummary, vec![chosen.len().to_string()]);
    let mut go = action(TextId::RowsGo, true, Intent::Go);
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
    Frame {
        steps: None,
        title: Text::Data(in_lang(title, visit.lang).to_owned()),
        lead: None,
        banners,
        body: Body::Rows(Rows {
            rows: cards,
            summary: Some((summary, sum.unwrap_or_default().to_string())),
            page: (pages > 1).then(|| Page { at: small(page), of: small(pages) }),
        }),
        actions: vec![go],
        footer: footer(visit),
    }
}

fn row_card(
    visit: &Visit,
    running: &Running,
    from: &str,
    show: &[String],
    row: &Row,
    at: usize,
    chosen: bool,
) -> Option<RowCard> {
    let declared = running.doc.answer_of(from)?;
    let mut words =
        labelled(row, show, declared, visit.lang).filter(|(_, kind, _)| *kind != FieldType::Money);
    let title = words.next().map(|(_, _, value)| value)?;
    let mut rest: Vec<String> = words.map(|(_, _, value)| value).collect();
    if let Some(payee) = row.get("payee") {
        rest.insert(0, payee.to_string());
    }
    let amount =
        labelled(row, show, declared, visit.lang).find(|(_, kind, _)| *kind == FieldType::Money).map(|a| a.2);
    Some(RowCard {
        icon: menu::icon(&running.doc),
        title: Text::Data(title),
        detail: (!rest.is_empty()).then(|| Text::Data(rest.join(" · "))),
        amount,
        chosen,
        intent: Intent::Toggle(small(at)),
    })
}

fn confirm(kiosk: &Kiosk, visit: &Visit, method: usize) -> Frame {
    let methods = kiosk.methods();
    let (items, total) = kiosk.order().unwrap_or_default();
    let pair = |label: TextId, value: Text| Pair { label: label.into(), value, strong: false };
    let mut payees: Vec<String> = items.iter().map(|item| item.payee.clone()).collect();
    payees.dedup();
    let labels: Vec<String> = items.iter().map(|item| item.label.clone()).collect();
    let chosen = methods.get(method).copied();
    let next = match chosen {
        Some(Method::CardAccount) => TextId::ConfirmNextPin,
        Some(Method::ResidentCode | Method::Wallet) | None => TextId::ConfirmNextPrint,
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
        .map(|(one, at)| MethodCard {
            title: method_name(*one).into(),
            chosen: usize::from(at) == method,
            intent: Intent::Method(at),
        })
        .collect();
    let go = Text::With(TextId::ConfirmGo, vec![total.to_string()]);
    Frame {
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
        actions: vec![action(go, true, Intent::Go)],
        footer: footer(visit),
    }
}

/// A code for the resident's phone, with instructions.
fn code_for_phone(visit: &Visit, running: &Running) -> Frame {
    let Some(Step::ShowCode { from, field, title, lead, steps, .. }) = running.step() else {
        return nothing(visit, "");
    };
    let data = |words| Text::Data(in_lang(words, visit.lang).to_owned());
    let rows = running.rows(from);
    let qr = rows.first().and_then(|row| row.get(field)).map_or_else(String::new, |code| code.to_string());
    Frame {
        steps: None,
        title: data(title),
        lead: Some(data(lead)),
        banners: Vec::new(),
        body: Body::Scan(Scan { qr, steps: steps.iter().map(data).collect() }),
        actions: vec![action(TextId::Finish, true, Intent::Go)],
        footer: footer(visit),
    }
}

/// The pad for one of the three PINs of a change.
fn new_pin(visit: &Visit, new: &NewPin) -> Frame {
    let (title, lead) = match &new.stage {
        Stage::Old => (TextId::ChangePinOld, TextId::PinLead),
        Stage::New { .. } => (TextId::ChangePinNew, TextId::ChangePinNewLead),
        Stage::Again { .. } => (TextId::ChangePinAgain, TextId::PinLead),
    };
    pin(visit, title, lead, &new.entry)
}

pub(super) fn pin(visit: &Visit, title: TextId, lead: TextId, entry: &PinEntry) -> Frame {
    let mut go = action(TextId::PinGo, true, Intent::Go);
    let entered = entry.entered();
    go.enabled = entered == PIN_LENGTH;
    Frame {
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

fn checking(kiosk: &Kiosk, order: contract::OrderId) -> Frame {
    let body = kiosk.payments.get(&order).map_or_else(
        || plain(Verdict::Checking, TextId::Checking, TextId::CheckingDetail),
        |open| payment(kiosk, None, open.total, open.receipt),
    );
    Frame {
        steps: None,
        title: TextId::CheckingTitle.into(),
        lead: Some(TextId::CheckingLeave.into()),
        banners: Vec::new(),
        body: Body::Outcome(body),
        actions: vec![action(TextId::CheckingGo, true, Intent::Go)],
        footer: vec![Foot::Home, Foot::Help],
    }
}

fn printing(kiosk: &Kiosk, visit: &Visit, receipt: contract::ReceiptId) -> Frame {
    let on_sheet = on(kiosk, receipt) == Form::Sheet;
    let (verdict, word, detail) = match kiosk.paper_of(receipt) {
        Some(PaperState::Printing) if on_sheet => {
            (Verdict::Working, TextId::SheetPrinting, TextId::SheetPrintingDetail)
        }
        Some(PaperState::Printed) if on_sheet => {
            (Verdict::Done, TextId::SheetPrinted, TextId::SheetPrintedDetail)
        }
        Some(PaperState::Printing) => (Verdict::Working, TextId::Printing, TextId::PrintingDetail),
        Some(PaperState::Printed) => (Verdict::Done, TextId::Printed, TextId::PrintedDetail),
        Some(PaperState::Waiting | PaperState::Unsure) | None => {
            (Verdict::Done, TextId::ReceiptByPhone, TextId::ReceiptByPhoneDetail)
        }
    };
    let by_phone = !matches!(kiosk.paper_of(receipt), Some(PaperState::Printing | PaperState::Printed));
    let outcome = view::Outcome {
        code: by_phone.then(|| code(kiosk, receipt)),
        gesture: (!by_phone).then_some(if on_sheet { Gesture::TakeSheet } else { Gesture::TakePaper }),
        ..plain(verdict, word, detail)
    };
    Frame {
        steps: None,
        title: if by_phone { TextId::ReceiptByPhone.into() } else { word.into() },
        lead: None,
        banners: paper_trouble(kiosk, receipt).into_iter().collect(),
        body: Body::Outcome(outcome),
        actions: paper_actions(kiosk, receipt),
        footer: vec![Foot::Home, Foot::Help, way_out(visit)],
    }
}

fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
