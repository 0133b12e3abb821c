//! Sample views: one of every body and of every variant that looks different.

use view::{
    Action, Banner, Body, Confirm, ConsentForm, FooterButton, GateSign, Gesture, Header, Icon, Intent,
    LabelledValue, Lang, Light, LinkStatus, Outcome, OutcomeKind, Page, Panel, PinPad, ReceiptCode, RowCard,
    Rows, Scan, SignInCard, SignInMethod, Steps, Text, TextId, Theme, Tile, Tone, View, ViewId,
};

#[path = "menu_samples.rs"]
mod menu_samples;
#[path = "question_samples.rs"]
mod question_samples;
#[path = "show_samples.rs"]
mod show_samples;

/// The tested panel sizes in pixels; the last is the small panel of a village service point.
pub(crate) const PANELS: [(&str, (u32, u32)); 3] =
    [("portrait", (1080, 1920)), ("landscape", (1920, 1080)), ("village", (1280, 800))];

fn data(zh: &str, en: &str, lang: Lang) -> Text {
    Text::Data(if lang == Lang::Zh { zh } else { en }.to_owned())
}

fn action(text: impl Into<Text>, primary: bool) -> Action {
    let intent = if primary { Intent::Primary } else { Intent::Secondary };
    Action { text: text.into(), primary, enabled: true, intent }
}

fn pair(label: impl Into<Text>, value: Text, strong: bool) -> LabelledValue {
    LabelledValue { label: label.into(), value, emphasized: strong }
}

struct SampleBuilder {
    lang: Lang,
    theme: Theme,
}

impl SampleBuilder {
    fn view(&self, title: impl Into<Text>, body: Body) -> View {
        View {
            id: ViewId(1),
            lang: self.lang,
            theme: self.theme,
            header: Header {
                hall: data("渝北区政务服务大厅", "Yubei District Service Hall", self.lang),
                clock: "09:30".into(),
                link: LinkStatus::Online,
                resident: Some(Text::Data("张*英".into())),
            },
            steps: None,
            title: title.into(),
            lead: None,
            banners: Vec::new(),
            body,
            actions: Vec::new(),
            footer: vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, FooterButton::TakeCard],
            seconds_left: None,
        }
    }

    fn steps(&self, at: usize) -> Option<Steps> {
        let names = [TextId::StepChoose, TextId::StepPay, TextId::StepPin, TextId::StepPrint];
        Some(Steps { names: names.map(Text::Id).to_vec(), current: at })
    }

    fn welcome(&self, broken: Option<TextId>) -> View {
        let way = |way, title: TextId, detail: TextId, broken: Option<TextId>| SignInCard {
            method: way,
            title: title.into(),
            detail: detail.into(),
            unavailable: broken.map(Text::Id),
        };
        let body = Body::Welcome(vec![
            way(SignInMethod::Card, TextId::WayCardTitle, TextId::WayCardDetail, broken),
            way(SignInMethod::Code, TextId::WayCodeTitle, TextId::WayCodeDetail, None),
        ]);
        let mut view = self.view(TextId::WelcomeTitle, body);
        view.header.resident = None;
        view.lead = Some(TextId::WelcomeLead.into());
        view.footer = vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help];
        view
    }

    /// The welcome view of a kiosk with an ID card reader.
    fn welcome_with_id_card(&self) -> View {
        let mut view = self.welcome(None);
        if let Body::Welcome(ways) = &mut view.body {
            let id_card = SignInCard {
                method: SignInMethod::IdCard,
                title: TextId::WayIdCardTitle.into(),
                detail: TextId::WayIdCardDetail.into(),
                unavailable: None,
            };
            ways.insert(1, id_card);
        }
        view
    }

    /// A notice about an ID card, before or after a visit.
    fn of_id_card(&self, title: TextId, verdict: OutcomeKind, word: TextId, detail: TextId) -> View {
        let mut view = self.outcome(title, verdict, word, detail);
        let again = title == TextId::SorryIdCardTitle;
        gesture(&mut view, if again { Gesture::PlaceIdCard } else { Gesture::TakeIdCard });
        view.header.resident = None;
        let word = if verdict == OutcomeKind::Done { TextId::Finish } else { TextId::BackToMenu };
        view.actions = vec![action(word, true)];
        view.footer = vec![FooterButton::Language, FooterButton::Help];
        view
    }

    fn menu(&self) -> View {
        let tile = |icon, zh, en, hint: (&str, &str), at| Tile {
            icon,
            title: data(zh, en, self.lang),
            detail: data(hint.0, hint.1, self.lang),
            enabled: at != 1,
            opens_list: false,
            intent: Intent::OpenTile(at),
        };
        let medical = ("查看个人账户还有多少钱", "See what is left on your account");
        let tiles = vec![
            tile(Icon::HeartPulse, "医保账户余额", "Medical account balance", medical, 0),
            tile(
                Icon::ShieldCheck,
                "社保参保证明",
                "Proof of social insurance",
                ("联网后可用", "Needs the network"),
                1,
            ),
            tile(
                Icon::ShieldCheck,
                "修改社保卡密码",
                "Change your card PIN",
                ("需要现在的密码", "You need your present PIN"),
                2,
            ),
            tile(
                Icon::Droplets,
                "水费缴纳",
                "Water bill",
                ("查询并缴纳自来水费", "See and pay your water bills"),
                3,
            ),
            tile(
                Icon::FileBadge,
                "开通手机渝快码",
                "Yukuai code on your phone",
                ("需要输入社保卡密码", "Your card PIN will be asked for"),
                4,
            ),
        ];
        let mut view = self.view(TextId::MenuTitle, Body::Menu(tiles));
        view.lead = Some(Text::With(TextId::MenuLead, vec!["张*英".into()]));
        view.footer =
            vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help, FooterButton::TakeCard];
        view
    }

    fn pin(&self, problem: Option<Text>) -> View {
        let keys = [7, 2, 9, 0, 5, 1, 8, 3, 6, 4];
        let entered = if problem.is_some() { 0 } else { 4 };
        let mut view = self.view(TextId::PinTitle, Body::Pin(PinPad { entered, length: 6, keys, problem }));
        view.lead = Some(TextId::PinLead.into());
        view.steps = self.steps(2);
        view.actions = vec![Action { enabled: false, ..action(TextId::PinGo, true) }];
        view
    }

    /// Entry of a new PIN, after one that was too easy to guess.
    fn pin_new(&self) -> View {
        let mut view = self.pin(Some(TextId::ChangePinWeak.into()));
        view.title = TextId::ChangePinNew.into();
        view.lead = Some(TextId::ChangePinNewLead.into());
        view.steps = None;
        view
    }

    fn consent(&self) -> View {
        let lang = self.lang;
        let body = Body::Consent(ConsentForm {
            purpose: data(
                "查询您的社会保险参保记录，开具参保证明",
                "To look up your record and issue a proof of it",
                lang,
            ),
            items: vec![
                data("参保单位和参保类型", "Your employer and type of insurance", lang),
                data("参保状态和累计缴费月数", "Your status and number of months paid", lang),
            ],
            recipient: data(
                "只在这台机器上显示，并打印给您本人",
                "Shown here and printed for you only",
                lang,
            ),
            duration: TextId::ConsentThisVisit.into(),
        });
        let mut view = self.view(TextId::ConsentTitle, body);
        view.lead = Some(TextId::ConsentLead.into());
        view.actions = vec![action(TextId::ConsentAgree, true), action(TextId::ConsentDecline, false)];
        view
    }

    fn rows(&self) -> View {
        let row = |month: u16, amount: &str, chosen| RowCard {
            icon: Icon::Droplets,
            title: data(&format!("2026年{month}月"), &format!("2026-{month:02}"), self.lang),
            detail: Some(data(
                "重庆市自来水有限公司 · 龙溪街道花卉园东路12号 · 18 吨",
                "Chongqing Water Company · 12 Huahuiyuan Road · 18 t",
                self.lang,
            )),
            amount: Some(amount.into()),
            chosen,
            opens: false,
            intent: Intent::ToggleRow(month),
        };
        let body = Body::Rows(Rows {
            rows: vec![row(10, "¥86.40", true), row(9, "¥81.60", false), row(8, "¥1,102.30", false)]
                .into_iter()
                .take(if self.theme == Theme::Elder { 2 } else { 3 })
                .collect(),
            summary: Some((Text::With(TextId::RowsSummary, vec!["1".into()]), "¥86.40".into())),
            page: Some(Page { index: 0, count: 2 }),
        });
        let mut view = self.view(data("请选择要缴的水费", "Choose the bills to pay", self.lang), body);
        view.steps = self.steps(0);
        view.actions = vec![action(TextId::RowsGo, true)];
        view
    }

    fn sheet(&self) -> View {
        let lang = self.lang;
        let body = Body::Details(vec![
            pair(data("账户余额", "Balance", lang), Text::Data("¥1,286.40".into()), true),
            pair(data("截至日期", "As of", lang), data("2026年11月23日", "2026-11-23", lang), false),
            pair(data("账户状态", "Account status", lang), Text::Data("退休".into()), false),
            pair(data("参保类型", "Insurance type", lang), Text::Data("城镇职工基本医疗保险".into()), false),
        ]);
        let mut view = self.view(data("您的医保个人账户", "Your medical insurance account", lang), body);
        view.actions = vec![action(TextId::SheetPrint, true), action(TextId::SheetDone, false)];
        view
    }

    fn confirm(&self) -> View {
        let lang = self.lang;
        let body = Body::Confirm(Confirm {
            amount: "¥86.40".into(),
            pairs: vec![
                pair(TextId::ConfirmWhat, data("水费缴纳 2026年10月", "Water bill 2026-10", lang), false),
                pair(TextId::ConfirmPayee, Text::Data("重庆市自来水有限公司".into()), false),
                pair(TextId::ConfirmMethod, TextId::MethodCardAccount.into(), false),
                pair(TextId::ConfirmNext, TextId::ConfirmNextPin.into(), false),
            ],
            methods: Vec::new(),
            promise: TextId::ConfirmPromise.into(),
        });
        let mut view = self.view(TextId::ConfirmTitle, body);
        view.steps = self.steps(1);
        view.actions = vec![action(Text::With(TextId::ConfirmGo, vec!["¥86.40".into()]), true)];
        view
    }

    fn outcome(&self, title: TextId, verdict: OutcomeKind, word: TextId, detail: TextId) -> View {
        let outcome = Outcome {
            kind: verdict,
            headline: word.into(),
            amount: (word == TextId::Paid).then(|| "¥86.40".into()),
            detail: detail.into(),
            pairs: Vec::new(),
            code: None,
            gesture: None,
        };
        let mut view = self.view(title, Body::Outcome(outcome));
        view.footer = vec![FooterButton::Home, FooterButton::Help, FooterButton::TakeCard];
        view
    }

    fn done(&self) -> View {
        let mut view =
            self.outcome(TextId::PaidTitle, OutcomeKind::Done, TextId::Paid, TextId::PrintedDetail);
        if let Body::Outcome(outcome) = &mut view.body {
            outcome.pairs = vec![pair(TextId::OrderNumber, Text::Data("2026 1123 0003 1700".into()), true)];
            outcome.gesture = Some(Gesture::TakePaper);
        }
        view.steps = self.steps(3);
        view.actions = vec![action(TextId::Finish, true)];
        view
    }

    fn paper_out(&self) -> View {
        let mut view = self.outcome(TextId::PaidTitle, OutcomeKind::Done, TextId::Paid, TextId::PaidDetail);
        if let Body::Outcome(outcome) = &mut view.body {
            outcome.code = Some(ReceiptCode {
                number: "2026 1123 0003 1700".into(),
                qr: "http://platform.invalid/r/2026112300031700".into(),
            });
        }
        view.banners = vec![Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: TextId::PaperOut.into(),
            detail: Some(TextId::PaperOutDetail.into()),
        }];
        view.actions = vec![action(TextId::NoPaperNeeded, true)];
        view
    }

    fn checking(&self) -> View {
        let mut view = self.outcome(
            TextId::CheckingTitle,
            OutcomeKind::Checking,
            TextId::Checking,
            TextId::CheckingDetail,
        );
        if let Body::Outcome(outcome) = &mut view.body {
            outcome.pairs = vec![
                pair(TextId::Amount, Text::Data("¥86.40".into()), true),
                pair(TextId::OrderNumber, Text::Data("2026 1123 0003 1700".into()), true),
            ];
        }
        view.lead = Some(TextId::CheckingLeave.into());
        view.actions = vec![action(TextId::CheckingGo, true)];
        view.footer = vec![FooterButton::Home, FooterButton::Help];
        view
    }
}

fn gesture(view: &mut View, gesture: Gesture) {
    if let Body::Outcome(outcome) = &mut view.body {
        outcome.gesture = Some(gesture);
    }
}

impl SampleBuilder {
    fn refused(&self, word: TextId, detail: TextId, hold: bool) -> View {
        let title = if hold { TextId::SorryCodeTitle } else { TextId::SorryTitle };
        let mut view = self.outcome(title, OutcomeKind::NotDone, word, detail);
        if hold {
            gesture(&mut view, Gesture::ShowCode);
        }
        view.header.resident = None;
        view.header.link = LinkStatus::Offline;
        view.actions = vec![action(TextId::BackToMenu, true)];
        view.footer = vec![FooterButton::Language, FooterButton::Help];
        view
    }

    fn offline_menu(&self) -> View {
        let mut view = self.menu();
        view.header.link = LinkStatus::Offline;
        view.header.resident = Some(TextId::WhoByCode.into());
        view.lead = Some(TextId::MenuLeadOffline.into());
        view.footer =
            vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help, FooterButton::Exit];
        if let Body::Menu(tiles) = &mut view.body {
            for tile in tiles {
                (tile.enabled, tile.detail) = (false, TextId::TileNeedsLink.into());
            }
        }
        view
    }

    fn prove(&self) -> View {
        let agree = Text::With(TextId::ProveStepAgree, vec!["K-DH-0001".into()]);
        let steps = [TextId::ProveStepScan.into(), agree, TextId::ProveStepShow.into()];
        let mut view = self.view(
            TextId::ProveTitle,
            Body::Scan(Scan {
                qr: "YKC1:K-DH-0001:00112233445566778899AABBCCDDEEFF".into(),
                steps: steps.into(),
            }),
        );
        view.lead = Some(TextId::ProveLead.into());
        view.footer = vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, FooterButton::Exit];
        view
    }

    /// The staff view: a printer without paper, and receipts that wait for it.
    fn staff(&self) -> View {
        let pair = |label: TextId, value: Text, strong| LabelledValue {
            label: label.into(),
            value,
            emphasized: strong,
        };
        let pairs = vec![
            pair(TextId::StaffKiosk, Text::Data("K-DH-0001".into()), false),
            pair(TextId::StaffLink, TextId::LinkOnline.into(), false),
            pair(TextId::StaffCardReader, TextId::StaffWell.into(), false),
            pair(TextId::StaffIdReader, TextId::StaffGone.into(), true),
            pair(TextId::StaffCodeReader, TextId::StaffWell.into(), false),
            pair(TextId::StaffPrinter, TextId::StaffPaperOut.into(), true),
            pair(TextId::StaffSheetPrinter, TextId::StaffWell.into(), false),
            pair(TextId::StaffPayments, Text::Data("0".into()), false),
            pair(TextId::StaffPapers, Text::Data("2".into()), true),
        ];
        let mut view = self.view(TextId::StaffTitle, Body::Details(pairs));
        view.lead = Some(TextId::StaffLead.into());
        view.header.resident = None;
        view.actions = Vec::new();
        view.footer = vec![FooterButton::Language, FooterButton::TakeCard];
        view
    }

    /// A QR code that binds the phone that scans it: longer than a challenge.
    fn pairing(&self) -> View {
        let words = |zh, en| data(zh, en, self.lang);
        let steps = [
            words("打开手机的“扫一扫”，对准这个码", "Point the phone's scanner at this code"),
            words("在手机上输入身份证号的后六位", "Enter the last 6 of your ID number"),
            words("手机上出现渝快码，就开通好了", "When your code appears, it is done"),
        ];
        let qr = "https://ykb.cq.gov.cn/code/#pair=00112233445566778899aabbccddeeff".into();
        let mut view = self.view(TextId::ProveTitle, Body::Scan(Scan { qr, steps: steps.into() }));
        view.title = words("请用要开通的手机扫这个码", "Scan this code with the phone");
        view.lead = Some(words(
            "五分钟内有效，只能用一次。原来开通的手机会停用。",
            "Good for five minutes, once. A phone that had the code before loses it.",
        ));
        view.actions = vec![action(TextId::Finish, true)];
        view.footer =
            vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, FooterButton::TakeCard];
        view
    }

    /// The outcome for a resident who shows a picture of a code instead of the phone's answer code.
    fn prove_relayed(&self) -> View {
        let mut view = self.prove();
        view.lead = None;
        view.banners = vec![Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: TextId::ProveShowsCode.into(),
            detail: None,
        }];
        view
    }

    /// The outcome of a certificate printed on A4.
    fn sheet_printed(&self) -> View {
        let mut view = self.outcome(
            TextId::SheetPrinted,
            OutcomeKind::Done,
            TextId::SheetPrinted,
            TextId::SheetPrintedDetail,
        );
        gesture(&mut view, Gesture::TakeSheet);
        view.actions = vec![action(TextId::Finish, true)];
        view
    }

    fn gate(&self, light: Light, word: TextId, detail: TextId) -> View {
        let mut view =
            self.view(word, Body::Sign(GateSign { light, headline: word.into(), detail: detail.into() }));
        view.header.hall = data("重庆图书馆东门", "Chongqing Library, East Gate", self.lang);
        view.header.resident = None;
        view.footer.clear();
        view
    }
}

/// All samples with their names, for a panel of this size.
pub(crate) fn all(lang: Lang, theme: Theme, (width, height): (u32, u32)) -> Vec<(&'static str, View)> {
    let make = SampleBuilder { lang, theme };
    let panel = Panel { width, height };
    let mut counting = make.menu();
    counting.seconds_left = Some(18);
    let wrong = Text::With(TextId::PinWrong, vec!["2".into()]);
    let mut closed =
        make.outcome(TextId::ClosedTitle, OutcomeKind::Closed, TextId::Closed, TextId::ClosedRecovering);
    closed.footer.clear();
    closed.header.resident = None;
    closed.header.link = LinkStatus::Offline;
    let mut sorry = make.outcome(
        TextId::TakeCardTitle,
        OutcomeKind::NotDone,
        TextId::CardForeign,
        TextId::CardForeignDetail,
    );
    gesture(&mut sorry, Gesture::TakeCard);
    sorry.header.resident = None;
    sorry.footer = vec![FooterButton::Language, FooterButton::Help];
    let mut card =
        make.outcome(TextId::TakeCardTitle, OutcomeKind::Done, TextId::TakeCard, TextId::TakeCardDetail);
    gesture(&mut card, Gesture::TakeCard);
    card.header.resident = None;
    let mut mute =
        make.outcome(TextId::SorryTitle, OutcomeKind::NotDone, TextId::CardMute, TextId::CardMuteDetail);
    gesture(&mut mute, Gesture::InsertCard);
    mute.header.resident = None;
    mute.footer = vec![FooterButton::Language, FooterButton::Help];
    let (word, detail) = (TextId::CardUnproven, TextId::CardUnprovenDetail);
    let mut unproven = make.outcome(TextId::TakeCardTitle, OutcomeKind::NotDone, word, detail);
    gesture(&mut unproven, Gesture::TakeCard);
    unproven.header.resident = None;
    unproven.footer = vec![FooterButton::Language, FooterButton::Help];
    let mut used =
        make.outcome(TextId::SorryCodeTitle, OutcomeKind::NotDone, TextId::CodeUsed, TextId::CodeUsedDetail);
    gesture(&mut used, Gesture::ShowCode);
    used.header.resident = None;
    used.actions = vec![action(TextId::BackToMenu, true)];
    used.footer = vec![FooterButton::Language, FooterButton::Help];
    card.footer = vec![FooterButton::Language];
    let mut all = Vec::from(make.questions());
    all.extend(make.menus(panel));
    all.extend(make.shown_data(panel));
    all.extend([
        ("welcome", make.welcome(None)),
        ("welcome-id-card", make.welcome_with_id_card()),
        ("welcome-broken", make.welcome(Some(TextId::WayBroken))),
        ("menu", make.menu()),
        ("menu-checking", make.menu_checking()),
        ("countdown", counting),
        ("pin", make.pin(None)),
        ("pin-wrong", make.pin(Some(wrong))),
        ("consent", make.consent()),
        ("rows", make.rows()),
        ("sheet", make.sheet()),
        ("confirm", make.confirm()),
        ("wait", make.outcome(TextId::Paying, OutcomeKind::Working, TextId::Paying, TextId::PayingDetail)),
        ("done", make.done()),
        ("paper-out", make.paper_out()),
        ("checking", make.checking()),
        ("sorry", sorry),
        ("card-mute", mute),
        ("card-unproven", unproven),
        ("code-used", used),
        (
            "id-card-unread",
            make.of_id_card(
                TextId::SorryIdCardTitle,
                OutcomeKind::NotDone,
                TextId::IdCardUnread,
                TextId::IdCardUnreadDetail,
            ),
        ),
        (
            "id-card-foreign",
            make.of_id_card(
                TextId::SorryIdCardTitle,
                OutcomeKind::NotDone,
                TextId::IdCardForeign,
                TextId::IdCardForeignDetail,
            ),
        ),
        (
            "id-card-expired",
            make.of_id_card(
                TextId::TakeIdCardTitle,
                OutcomeKind::NotDone,
                TextId::IdCardExpired,
                TextId::IdCardExpiredDetail,
            ),
        ),
        (
            "take-id-card",
            make.of_id_card(
                TextId::TakeIdCardTitle,
                OutcomeKind::Done,
                TextId::TakeIdCard,
                TextId::TakeIdCardDetail,
            ),
        ),
        ("take-card", card),
        ("closed", closed),
        ("code-stale", make.refused(TextId::CodeStale, TextId::CodeStaleDetail, true)),
        ("code-early", make.refused(TextId::CodeEarly, TextId::CodeEarlyDetail, true)),
        ("code-revoked", make.refused(TextId::CodeRevoked, TextId::CodeRevokedDetail, true)),
        ("code-needs-link", make.refused(TextId::CodeNeedsLink, TextId::CodeNeedsLinkDetail, false)),
        ("clock-doubt", make.refused(TextId::ClockDoubt, TextId::ClockDoubtDetail, false)),
        ("offline-menu", make.offline_menu()),
        ("pairing", make.pairing()),
        ("staff", make.staff()),
        ("pin-new", make.pin_new()),
        (
            "pin-unclear",
            make.outcome(
                TextId::ClosingPinTitle,
                OutcomeKind::Unknown,
                TextId::ChangePinUnclear,
                TextId::ChangePinUnclearDetail,
            ),
        ),
        ("prove", make.prove()),
        ("prove-relayed", make.prove_relayed()),
        ("gate-ready", make.gate(Light::Ready, TextId::GateReady, TextId::GateReadyDetail)),
        ("gate-ready-both", make.gate(Light::Ready, TextId::GateReady, TextId::GateReadyBothDetail)),
        ("gate-go", make.gate(Light::Go, TextId::GateGo, TextId::GateGoDetail)),
        ("gate-wait", make.gate(Light::Wait, TextId::GateWait, TextId::GateWaitDetail)),
        ("gate-stop", make.gate(Light::Stop, TextId::GateStop, TextId::GatePassback)),
        ("sheet-printed", make.sheet_printed()),
    ]);
    all
}
