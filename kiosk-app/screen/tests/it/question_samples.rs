//! Sample views of questions to the resident, and of an answer after which the service does not go on.

use view::{
    Action, Banner, Body, EnteredText, EntryPad, Gesture, Icon, Intent, Outcome, OutcomeKind, Steps, Text,
    TextId, Tile, Tone, View,
};

use super::{SampleBuilder, action, data, pair};

fn entered(text: &str) -> EnteredText {
    EnteredText::from(text.to_owned())
}

fn scan_steps() -> Option<Steps> {
    let names = [TextId::StepScan, TextId::StepChoose, TextId::StepPay, TextId::StepPrint];
    Some(Steps { names: names.map(Text::Id).to_vec(), current: 0 })
}

impl SampleBuilder {
    fn question(&self, title: (&str, &str), body: Body) -> View {
        let mut view = self.view(data(title.0, title.1, self.lang), body);
        let names = [TextId::StepAsk, TextId::StepChoose, TextId::StepPay, TextId::StepPrint];
        view.steps = Some(Steps { names: names.map(Text::Id).to_vec(), current: 0 });
        view
    }

    /// An account number, in part.
    fn ask_account(&self) -> View {
        let body = Body::Entry(EntryPad {
            entered: entered("0451 0013 0"),
            missing: "___ ____".into(),
            columns: 20,
            x_key: None,
            problem: None,
        });
        let mut view = self.question(("请输入水费户号", "Enter your water account number"), body);
        view.lead = Some(data("户号在水费账单的右上角。", "It is at the top right of the bill.", self.lang));
        let missing = Text::With(TextId::AskMissing, vec!["7".into()]);
        view.actions = vec![Action { enabled: false, ..action(missing, true) }];
        view
    }

    /// An ID number with a wrong check digit.
    fn ask_id(&self) -> View {
        let body = Body::Entry(EntryPad {
            entered: entered("110105 19491231 0021"),
            missing: String::new(),
            columns: 20,
            x_key: Some(false),
            problem: Some(TextId::AskIdCheck.into()),
        });
        let mut view = self.question(("请输入家人的身份证号码", "Enter your relative's ID number"), body);
        view.lead = Some(data("请先征得家人同意。", "Please ask your relative first.", self.lang));
        view.actions = vec![Action { enabled: false, ..action(TextId::AskNext, true) }];
        view
    }

    /// A complete date.
    fn ask_date(&self) -> View {
        let (zh, en) = ("2026年11月30日", "2026-11-30");
        let body = Body::Entry(EntryPad {
            entered: entered(if self.lang == view::Lang::Zh { zh } else { en }),
            missing: String::new(),
            columns: if self.lang == view::Lang::Zh { 14 } else { 12 },
            x_key: None,
            problem: None,
        });
        let mut view = self.question(("您想哪一天来？", "On which day will you come?"), body);
        view.actions = vec![action(TextId::AskNext, true)];
        view
    }

    /// Four options, one of which was chosen before.
    fn ask_choice(&self) -> View {
        let options = [
            ("社会保险", "Social insurance"),
            ("医疗保险", "Medical insurance"),
            ("不动产登记", "Property registration"),
            ("其他事项，或者不知道该办哪一项", "Something else, or I do not know"),
        ];
        let tile = |((zh, en), at): ((&str, &str), u8)| Tile {
            icon: if at == 1 { Icon::Check } else { Icon::ChevronRight },
            title: data(zh, en, self.lang),
            detail: Text::Data(String::new()),
            enabled: true,
            opens_list: false,
            intent: Intent::ChooseOption(at),
        };
        let body = Body::Menu(options.into_iter().zip(0..).map(tile).collect());
        let mut view = self.question(("您要办什么？", "What is it about?"), body);
        view.lead = Some(data("选好以后就可以取号。", "After that you can take a number.", self.lang));
        view
    }

    /// A step that waits for the code of a bill, after another code was shown.
    fn scan_paper(&self, problem: Option<TextId>) -> View {
        let body = Body::Outcome(Outcome {
            kind: OutcomeKind::Awaiting,
            headline: TextId::ScanHold.into(),
            amount: None,
            detail: TextId::ScanHoldDetail.into(),
            pairs: Vec::new(),
            code: None,
            gesture: problem.is_none().then_some(Gesture::ShowPaper),
        });
        let mut view = self.question(("请扫水费账单上的码", "Scan the code on the water bill"), body);
        let lead = data("码在账单右下角。", "It is at the bottom right of the bill.", self.lang);
        view.lead = problem.is_none().then_some(lead);
        let banner = |problem: TextId| Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: problem.into(),
            detail: None,
        };
        view.banners = problem.map(banner).into_iter().collect();
        view.actions = vec![action(TextId::ScanType, false)];
        view.steps = scan_steps();
        view
    }

    /// The longest number that was scanned, to be checked.
    fn scan_check(&self) -> View {
        let number = Text::Entered(entered("5000 0026 0000 0001 2345 6789"));
        let body = Body::Details(vec![pair(TextId::ScanNumber, number, true)]);
        let mut view = self.view(TextId::ScanCheck, body);
        view.lead = Some(TextId::ScanCheckLead.into());
        view.actions = vec![action(TextId::AskNext, true), action(TextId::ScanAgain, false)];
        view.steps = scan_steps();
        view
    }

    /// The department refuses.
    fn refused_by_department(&self) -> View {
        let words = (
            "这个户号已在 2025 年销户。如果您搬了家，请用新房子的户号。",
            "This account was closed in 2025. If you have moved, please use the account of your new home.",
        );
        let body = Body::Outcome(Outcome {
            kind: OutcomeKind::NothingToDo,
            headline: TextId::Refused.into(),
            amount: None,
            detail: data(words.0, words.1, self.lang),
            pairs: vec![pair(
                data("请输入水费户号", "Enter your water account number", self.lang),
                Text::Data("0451 0013 0021 0077".into()),
                false,
            )],
            code: None,
            gesture: None,
        });
        let mut view = self.question(("水费缴纳", "Water bill"), body);
        view.actions = vec![action(TextId::BackToMenu, true), action(TextId::AskAgain, false)];
        view
    }

    pub(super) fn questions(&self) -> [(&'static str, View); 8] {
        [
            ("ask-account", self.ask_account()),
            ("ask-id", self.ask_id()),
            ("ask-date", self.ask_date()),
            ("ask-choice", self.ask_choice()),
            ("scan-paper", self.scan_paper(None)),
            ("scan-resident-code", self.scan_paper(Some(TextId::ScanResidentCode))),
            ("scan-check", self.scan_check()),
            ("refused", self.refused_by_department()),
        ]
    }
}
