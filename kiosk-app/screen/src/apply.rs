//! Writes a view into the properties of the window. The only module that knows both.

use slint::{ComponentHandle as _, Model as _, ModelRc, SharedString, VecModel};
use view::{
    Action, Body, FooterButton, Gesture, Icon, Intent, LabelledValue, Light, LinkStatus, Outcome,
    OutcomeKind, Rows, Text, TextId, Texts, Theme as ViewTheme, Tone, View,
};

use crate::qr_code;
use crate::ui::{
    App, BannerData, BodyKind, Choice, EntryData, Gesture as UiGesture, Glyph, KeyData, Light as UiLight,
    OutcomeData, PageData, PairData, PinData, RowData, Shown, SignData, StepData, Theme, TileData,
    Tone as UiTone, WayData,
};

/// The panel sizes in pixels for which the sizes of the theme are given.
const PORTRAIT: (f32, f32) = (1080.0, 1920.0);
const LANDSCAPE: (f32, f32) = (1920.0, 1080.0);
/// A landscape panel is half as high: everything is drawn smaller, and parts of a body are placed side by side.
const LANDSCAPE_SHRINK: f32 = 0.78;

/// Scales the theme to a panel of this size in pixels.
pub(crate) fn set_panel(app: &App, width: u32, height: u32) {
    #[allow(clippy::cast_precision_loss)] // sides of a panel
    let (width, height) = (width as f32, height as f32);
    let wide = width > height;
    let (panel, shrink) = if wide { (LANDSCAPE, LANDSCAPE_SHRINK) } else { (PORTRAIT, 1.0) };
    let theme = app.global::<Theme>();
    theme.set_wide(wide);
    theme.set_scale((width / panel.0).min(height / panel.1) * shrink);
    app.set_panel_width(width);
    app.set_panel_height(height);
}

/// Writes the view into the window. Returns the intents, indexed by the numbers of the touchable elements.
pub(crate) fn apply(app: &App, texts: &Texts, view: &View) -> Vec<Intent> {
    app.global::<Theme>().set_elder(view.theme == ViewTheme::Elder);
    let mut writer = ViewWriter { texts, view, intents: Vec::new() };
    let shown = app.global::<Shown>();
    writer.write_frame(&shown);
    writer.write_body(&shown);
    writer.intents
}

struct ViewWriter<'a> {
    texts: &'a Texts,
    view: &'a View,
    intents: Vec<Intent>,
}

impl ViewWriter<'_> {
    fn text(&self, text: &Text) -> SharedString {
        self.texts.render(self.view.lang, text).into()
    }

    fn fixed_text(&self, id: TextId) -> SharedString {
        self.text(&Text::Id(id))
    }

    /// Registers an intent. Returns the number that a touch reports.
    fn touch(&mut self, intent: Intent) -> i32 {
        self.intents.push(intent);
        i32::try_from(self.intents.len() - 1).unwrap_or(-1)
    }

    fn write_frame(&mut self, shown: &Shown<'_>) {
        let view = self.view;
        shown.set_hall(self.text(&view.header.hall));
        shown.set_clock(view.header.clock.as_str().into());
        let online = view.header.link == LinkStatus::Online;
        shown.set_online(online);
        shown.set_link(self.fixed_text(if online { TextId::LinkOnline } else { TextId::LinkOffline }));
        shown.set_who(view.header.resident.as_ref().map(|who| self.text(who)).unwrap_or_default());
        let steps = view.steps.as_ref().map(|steps| {
            let step = |(at, name)| StepData {
                text: self.text(name),
                on: at == steps.current,
                past: at < steps.current,
            };
            steps.names.iter().enumerate().map(step).collect()
        });
        update_model(&shown.get_steps(), steps.unwrap_or_default(), |model| shown.set_steps(model));
        shown.set_title(self.text(&view.title));
        shown.set_lead(view.lead.as_ref().map(|lead| self.text(lead)).unwrap_or_default());
        let banners = view
            .banners
            .iter()
            .map(|banner| BannerData {
                tone: tone(banner.tone),
                glyph: glyph(banner.icon),
                title: self.text(&banner.title),
                detail: banner.detail.as_ref().map(|detail| self.text(detail)).unwrap_or_default(),
            })
            .collect();
        update_model(&shown.get_banners(), banners, |model| shown.set_banners(model));
        let actions = view.actions.iter().map(|action| self.action_button(action)).collect();
        update_model(&shown.get_actions(), actions, |model| shown.set_actions(model));
        let footer = view.footer.iter().map(|foot| self.footer_button(*foot)).collect();
        update_model(&shown.get_footer(), footer, |model| shown.set_footer(model));
        shown.set_counting(view.seconds_left.is_some());
        if let Some(seconds) = view.seconds_left {
            shown.set_countdown(self.text(&Text::With(TextId::SecondsLeft, vec![seconds.to_string()])));
            let (text, touch) = (self.fixed_text(TextId::StillHere), self.touch(Intent::StillHere));
            shown.set_more(Choice { text, primary: true, enabled: true, touch, glyph: Glyph::Clock });
        }
    }

    fn action_button(&mut self, action: &Action) -> Choice {
        Choice {
            text: self.text(&action.text),
            glyph: Glyph::Check,
            primary: action.primary,
            enabled: action.enabled,
            touch: self.touch(action.intent),
        }
    }

    fn footer_button(&mut self, foot: FooterButton) -> Choice {
        let text = foot.text(self.view.lang, self.view.theme);
        Choice {
            text: self.fixed_text(text),
            glyph: glyph(foot.icon()),
            primary: false,
            enabled: true,
            touch: self.touch(foot.intent()),
        }
    }

    fn write_body(&mut self, shown: &Shown<'_>) {
        if !matches!(self.view.body, Body::Entry(_)) {
            // What was entered stays no longer than its view.
            shown.set_entry(EntryData::default());
        }
        match &self.view.body {
            Body::Welcome(ways) => {
                let ways = ways
                    .iter()
                    .map(|way| WayData {
                        title: self.text(&way.title),
                        detail: self.text(&way.detail),
                        broken: way.unavailable.as_ref().map(|why| self.text(why)).unwrap_or_default(),
                        gesture: match way.method {
                            view::SignInMethod::Card => UiGesture::InsertCard,
                            view::SignInMethod::IdCard => UiGesture::LayIdCard,
                            view::SignInMethod::Code => UiGesture::ShowCode,
                        },
                        touch: self.touch(Intent::ExplainSignIn(way.method)),
                    })
                    .collect();
                update_model(&shown.get_ways(), ways, |model| shown.set_ways(model));
                shown.set_body(BodyKind::Welcome);
            }
            Body::Menu(tiles) => {
                let tiles = tiles
                    .iter()
                    .map(|tile| TileData {
                        glyph: glyph(tile.icon),
                        title: self.text(&tile.title),
                        detail: self.text(&tile.detail),
                        enabled: tile.enabled,
                        opens_list: tile.opens_list,
                        touch: self.touch(tile.intent),
                    })
                    .collect();
                update_model(&shown.get_tiles(), tiles, |model| shown.set_tiles(model));
                shown.set_body(BodyKind::Menu);
            }
            Body::Pin(pad) => {
                let keys = pad
                    .keys
                    .iter()
                    .map(|key| KeyData {
                        text: key.to_string().into(),
                        touch: self.touch(Intent::PinDigit(*key)),
                    })
                    .collect();
                update_model(&shown.get_keys(), keys, |model| shown.set_keys(model));
                let pin = PinData {
                    entered: pad.entered.into(),
                    length: pad.length.into(),
                    problem: pad.problem.as_ref().map(|problem| self.text(problem)).unwrap_or_default(),
                    erase: self.fixed_text(TextId::PinErase),
                    erase_touch: self.touch(Intent::PinErase),
                };
                shown.set_pin(pin);
                shown.set_body(BodyKind::Pin);
            }
            Body::Entry(pad) => {
                let keys = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0].map(|digit: u8| KeyData {
                    text: digit.to_string().into(),
                    touch: self.touch(Intent::EntryDigit(digit)),
                });
                update_model(&shown.get_keys(), keys.into(), |model| shown.set_keys(model));
                shown.set_entry(EntryData {
                    entered: pad.entered.as_str().into(),
                    missing: pad.missing.as_str().into(),
                    columns: pad.columns.into(),
                    problem: pad.problem.as_ref().map(|problem| self.text(problem)).unwrap_or_default(),
                    erase: self.fixed_text(TextId::AskErase),
                    erase_touch: self.touch(Intent::EntryErase),
                    has_x: pad.x_key.is_some(),
                    x_enabled: pad.x_key.unwrap_or_default(),
                    x_touch: self.touch(Intent::EntryX),
                });
                shown.set_body(BodyKind::Entry);
            }
            Body::Consent(sheet) => {
                let pair = |label, value: &Text| PairData {
                    label: self.fixed_text(label),
                    value: self.text(value),
                    strong: false,
                };
                let pairs = vec![
                    pair(TextId::ConsentPurpose, &sheet.purpose),
                    pair(TextId::ConsentRecipient, &sheet.recipient),
                    pair(TextId::ConsentDuration, &sheet.duration),
                ];
                shown.set_summary(self.fixed_text(TextId::ConsentItems));
                update_model(&shown.get_pairs(), pairs, |model| shown.set_pairs(model));
                let items: Vec<SharedString> = sheet.items.iter().map(|item| self.text(item)).collect();
                update_model(&shown.get_items(), items, |model| shown.set_items(model));
                shown.set_body(BodyKind::Consent);
            }
            Body::Rows(rows) => self.write_rows(shown, rows),
            Body::Details(pairs) => {
                self.write_pairs(shown, pairs);
                shown.set_body(BodyKind::Sheet);
            }
            Body::Confirm(confirm) => {
                shown.set_amount(confirm.amount.as_str().into());
                self.write_pairs(shown, &confirm.pairs);
                let methods = confirm
                    .methods
                    .iter()
                    .map(|method| Choice {
                        text: self.text(&method.title),
                        glyph: Glyph::Wallet,
                        primary: method.chosen,
                        enabled: true,
                        touch: self.touch(method.intent),
                    })
                    .collect();
                update_model(&shown.get_methods(), methods, |model| shown.set_methods(model));
                shown.set_promise(self.text(&confirm.promise));
                shown.set_body(BodyKind::Confirm);
            }
            Body::Outcome(outcome) => {
                shown.set_outcome(self.outcome_data(outcome));
                self.write_pairs(shown, &outcome.pairs);
                shown.set_body(BodyKind::Outcome);
            }
            Body::Scan(scan) => {
                shown.set_scan_code(qr_code::qr_image(&scan.qr));
                let steps = scan.steps.iter().map(|step| self.text(step)).collect();
                update_model(&shown.get_items(), steps, |model| shown.set_items(model));
                shown.set_body(BodyKind::Scan);
            }
            Body::Sign(sign) => {
                shown.set_sign(SignData {
                    light: match sign.light {
                        Light::Ready => UiLight::Ready,
                        Light::Go => UiLight::Go,
                        Light::Stop => UiLight::Stop,
                        Light::Wait => UiLight::Wait,
                    },
                    word: self.text(&sign.headline),
                    detail: self.text(&sign.detail),
                });
                shown.set_body(BodyKind::Sign);
            }
        }
    }

    fn write_pairs(&self, shown: &Shown<'_>, pairs: &[LabelledValue]) {
        let pairs = pairs
            .iter()
            .map(|pair| PairData {
                label: self.text(&pair.label),
                value: self.text(&pair.value),
                strong: pair.emphasized,
            })
            .collect();
        update_model(&shown.get_pairs(), pairs, |model| shown.set_pairs(model));
    }

    fn write_rows(&mut self, shown: &Shown<'_>, rows: &Rows) {
        let cards = rows
            .rows
            .iter()
            .map(|row| RowData {
                glyph: glyph(row.icon),
                title: self.text(&row.title),
                detail: row.detail.as_ref().map(|detail| self.text(detail)).unwrap_or_default(),
                amount: row.amount.as_deref().unwrap_or_default().into(),
                chosen: row.chosen,
                opens: row.opens,
                touch: self.touch(row.intent),
            })
            .collect();
        update_model(&shown.get_rows(), cards, |model| shown.set_rows(model));
        let (summary, sum) = match &rows.summary {
            Some((summary, sum)) => (self.text(summary), sum.as_str().into()),
            None => (SharedString::default(), SharedString::default()),
        };
        shown.set_summary(summary);
        shown.set_sum(sum);
        let page = rows.page.map(|page| {
            let mut turn = |id, to: Option<u16>| Choice {
                text: self.fixed_text(id),
                glyph: Glyph::ArrowLeft,
                primary: false,
                enabled: to.is_some(),
                touch: self.touch(Intent::ShowPage(to.unwrap_or(page.index))),
            };
            let previous = turn(TextId::RowsPrevious, page.index.checked_sub(1));
            let next = turn(TextId::RowsNext, page.index.checked_add(1).filter(|next| *next < page.count));
            let place = vec![(page.index + 1).to_string(), page.count.to_string()];
            PageData { shown: true, text: self.text(&Text::With(TextId::RowsPage, place)), previous, next }
        });
        shown.set_page(page.unwrap_or_default());
        shown.set_body(BodyKind::Rows);
    }

    fn outcome_data(&self, outcome: &Outcome) -> OutcomeData {
        let (tone, glyph) = match outcome.kind {
            OutcomeKind::Working => (UiTone::Note, Glyph::Hourglass),
            OutcomeKind::Awaiting => (UiTone::Note, Glyph::Receipt),
            OutcomeKind::Done => (UiTone::Done, Glyph::Check),
            OutcomeKind::NotDone => (UiTone::Stop, Glyph::CircleX),
            OutcomeKind::Checking => (UiTone::Wait, Glyph::Hourglass),
            OutcomeKind::Unknown => (UiTone::Wait, Glyph::TriangleAlert),
            OutcomeKind::NothingToDo => (UiTone::Closed, Glyph::Building),
            OutcomeKind::Closed => (UiTone::Closed, Glyph::Moon),
        };
        OutcomeData {
            tone,
            glyph,
            word: self.text(&outcome.headline),
            amount: outcome.amount.as_deref().unwrap_or_default().into(),
            detail: self.text(&outcome.detail),
            number: outcome.code.as_ref().map(|code| code.number.as_str().into()).unwrap_or_default(),
            has_code: outcome.code.is_some(),
            code: outcome.code.as_ref().map(|receipt| qr_code::qr_image(&receipt.qr)).unwrap_or_default(),
            code_title: self.fixed_text(TextId::ReceiptByPhone),
            code_detail: self.fixed_text(TextId::ReceiptByPhoneDetail),
            working: outcome.kind == OutcomeKind::Working,
            gesture: match outcome.gesture {
                None => UiGesture::None,
                Some(Gesture::InsertCard) => UiGesture::InsertCard,
                Some(Gesture::TakeCard) => UiGesture::TakeCard,
                Some(Gesture::ShowCode) => UiGesture::ShowCode,
                Some(Gesture::ShowPaper) => UiGesture::ShowPaper,
                Some(Gesture::TakePaper) => UiGesture::TakePaper,
                Some(Gesture::TakeSheet) => UiGesture::TakeSheet,
                Some(Gesture::PlaceIdCard) => UiGesture::LayIdCard,
                Some(Gesture::TakeIdCard) => UiGesture::TakeIdCard,
            },
        }
    }
}

/// Updates a model in place if there is one: unchanged rows are not drawn again, and an element that is being touched
/// is not replaced.
fn update_model<T: Clone + PartialEq + 'static>(
    model: &ModelRc<T>,
    rows: Vec<T>,
    replace: impl FnOnce(ModelRc<T>),
) {
    let Some(own) = model.as_any().downcast_ref::<VecModel<T>>() else {
        return replace(ModelRc::new(VecModel::from(rows)));
    };
    let before = own.row_count();
    let now = rows.len();
    for (at, row) in rows.into_iter().enumerate() {
        if at >= before {
            own.push(row);
        } else if own.row_data(at).as_ref() != Some(&row) {
            own.set_row_data(at, row);
        }
    }
    for at in (now..before).rev() {
        own.remove(at);
    }
}

const fn tone(tone: Tone) -> UiTone {
    match tone {
        Tone::Done => UiTone::Done,
        Tone::Wait => UiTone::Wait,
        Tone::Stop => UiTone::Stop,
        Tone::Note => UiTone::Note,
    }
}

const fn glyph(icon: Icon) -> Glyph {
    match icon {
        Icon::ArrowLeft => Glyph::ArrowLeft,
        Icon::Building => Glyph::Building,
        Icon::Bus => Glyph::Bus,
        Icon::Card => Glyph::Card,
        Icon::Check => Glyph::Check,
        Icon::ChevronRight => Glyph::ChevronRight,
        Icon::Clock => Glyph::Clock,
        Icon::Contrast => Glyph::Contrast,
        Icon::Droplets => Glyph::Droplets,
        Icon::Exit => Glyph::Exit,
        Icon::FileBadge => Glyph::FileBadge,
        Icon::HeartPulse => Glyph::HeartPulse,
        Icon::Help => Glyph::Help,
        Icon::Hourglass => Glyph::Hourglass,
        Icon::House => Glyph::House,
        Icon::IdCard => Glyph::IdCard,
        Icon::Landmark => Glyph::Landmark,
        Icon::Languages => Glyph::Languages,
        Icon::Phone => Glyph::Phone,
        Icon::Printer => Glyph::Printer,
        Icon::Receipt => Glyph::Receipt,
        Icon::ShieldCheck => Glyph::ShieldCheck,
        Icon::Ticket => Glyph::Ticket,
        Icon::TriangleAlert => Glyph::TriangleAlert,
        Icon::User => Glyph::User,
        Icon::Users => Glyph::Users,
        Icon::Wallet => Glyph::Wallet,
        Icon::Wifi => Glyph::Wifi,
        Icon::WifiOff => Glyph::WifiOff,
    }
}
