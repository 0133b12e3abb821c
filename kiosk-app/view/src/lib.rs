//! What a kiosk can show and what can be touched on it.
//!
//! A [`View`] is plain data: the session creates it, the screen draws it, and nothing is drawn that is not in
//! it. Bodies are named by shape (menu, rows, confirm, …), never by service. Each touchable element carries
//! the [`Intent`] of a touch on it. Fixed texts are [`TextId`]s, resolved by [`Texts`] in the
//! language of the view; personal data in a view is already masked.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod body;
mod entry_pad;
mod intent;
mod panel;
mod text;

pub use body::{
    Banner, Body, Confirm, ConsentForm, GateSign, Gesture, Icon, LabelledValue, Light, Outcome, OutcomeKind,
    Page, PaymentMethodCard, PinPad, ReceiptCode, RowCard, Rows, Scan, SignInCard, SignInMethod, Tile, Tone,
};
pub use entry_pad::{EnteredText, EntryPad};
pub use intent::Intent;
pub use panel::Panel;
pub use text::{Text, TextId, Texts, TextsError};

/// Language of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lang {
    /// Chinese (中文).
    #[default]
    Zh,
    /// English.
    En,
}

/// Token set that a view is drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Theme {
    /// 标准版: normal sizes.
    #[default]
    Standard,
    /// 长辈版: larger, fewer choices at a time.
    Elder,
}

/// Identity of a view with respect to touches: it changes whenever a touch would mean something
/// else. A touch on an older view is dropped, so that a double press confirms once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId(pub u64);

/// Content of the whole screen (界面).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Identity of the view with respect to touches.
    pub id: ViewId,
    /// Language of the fixed texts.
    pub lang: Lang,
    /// Token set with which the view is drawn.
    pub theme: Theme,
    /// Content of the top line.
    pub header: Header,
    /// Progress in a service of more than two steps.
    pub steps: Option<Steps>,
    /// The main instruction to the resident.
    pub title: Text,
    /// A sentence below the title.
    pub lead: Option<Text>,
    /// Additional notices above the body.
    pub banners: Vec<Banner>,
    /// Content between banners and actions.
    pub body: Body,
    /// Buttons above the footer, at most one of them primary; the primary one is drawn where a hand rests.
    pub actions: Vec<Action>,
    /// Navigation and settings, always in the same order.
    pub footer: Vec<FooterButton>,
    /// Seconds until the kiosk returns to the welcome view automatically; only near the end of the countdown.
    pub seconds_left: Option<u16>,
}

/// The top line of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name of the site in the language of the view.
    pub hall: Text,
    /// Local time as `HH:MM`.
    pub clock: String,
    /// Whether the platform can be reached.
    pub link: LinkStatus,
    /// The signed-in resident's name, masked.
    pub resident: Option<Text>,
}

/// State of the link to the platform, as shown to residents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkStatus {
    /// 已联网: the platform answers.
    Online,
    /// 未联网: the platform does not answer.
    Offline,
}

/// The bar that shows the steps of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Names of the steps in order.
    pub names: Vec<Text>,
    /// Index of the current step, from 0.
    pub current: usize,
}

/// A button above the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Label of the button.
    pub text: Text,
    /// Whether this is the primary action.
    pub primary: bool,
    /// Whether the button can be touched; drawn greyed otherwise.
    pub enabled: bool,
    /// Intent of a touch on the button.
    pub intent: Intent,
}

/// A button of the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FooterButton {
    /// 返回: one step back.
    Back,
    /// 首页: to the menu or the welcome view.
    Home,
    /// 求助: calls for staff.
    Help,
    /// 取卡离开: ends a visit begun with a card.
    TakeCard,
    /// 退出: ends any other visit.
    Exit,
    /// Switches to the other language.
    Language,
    /// 长辈版 or 标准版: switches to the token set that is not in use.
    Theme,
}

impl FooterButton {
    /// Intent of a touch on the button.
    #[must_use]
    pub const fn intent(self) -> Intent {
        match self {
            Self::Back => Intent::Back,
            Self::Home => Intent::Home,
            Self::Help => Intent::Help,
            Self::TakeCard | Self::Exit => Intent::EndVisit,
            Self::Language => Intent::SwitchLanguage,
            Self::Theme => Intent::SwitchTheme,
        }
    }

    /// Label of the button in the current language and token set.
    #[must_use]
    pub const fn text(self, lang: Lang, theme: Theme) -> TextId {
        match (self, lang, theme) {
            (Self::Back, ..) => TextId::FootBack,
            (Self::Home, ..) => TextId::FootHome,
            (Self::Help, ..) => TextId::FootHelp,
            (Self::TakeCard, ..) => TextId::FootTakeCard,
            (Self::Exit, ..) => TextId::FootExit,
            (Self::Language, ..) => TextId::FootOtherLanguage,
            (Self::Theme, _, Theme::Standard) => TextId::FootElder,
            (Self::Theme, _, Theme::Elder) => TextId::FootStandard,
        }
    }

    /// Icon of the button.
    #[must_use]
    pub const fn icon(self) -> Icon {
        match self {
            Self::Back => Icon::ArrowLeft,
            Self::Home => Icon::House,
            Self::Help => Icon::Help,
            Self::TakeCard => Icon::Card,
            Self::Exit => Icon::Exit,
            Self::Language => Icon::Languages,
            Self::Theme => Icon::Contrast,
        }
    }
}
