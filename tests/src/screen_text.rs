//! What a test looks for on the screen or on paper: a fixed text by its [`TextId`], a text of a service document by its
//! place in the document, or data. The words themselves are in `assets`, so that a changed word changes no test.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use contract::{Bilingual, Scene, ServiceDocument, Step};
use view::{Lang, Text, TextId, Texts};

use crate::repository::{service_files, services_folder};

/// Stands for each placeholder while a fixed text is divided at its placeholders.
const PLACEHOLDER: char = '\0';
/// More placeholders than any fixed text has.
const PLACEHOLDERS_MAX: usize = 10;

/// A text on the screen or on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenText {
    /// A fixed text in Chinese, with any values for its placeholders.
    Fixed(TextId),
    /// A fixed text in Chinese with these values for its placeholders.
    Filled(TextId, Vec<String>),
    /// A fixed text in English, with any values for its placeholders.
    English(TextId),
    /// Title of the service with this id.
    Service(&'static str),
    /// Title of a step that asks, shows or lets choose, in the service with this id.
    Step(&'static str, &'static str),
    /// Text of a query without rows, or of a ticket that is not given, in the service with this id.
    NoRows(&'static str, &'static str),
    /// Data: an amount, a name, a period.
    Data(String),
}

impl ScreenText {
    /// Data, such as an amount.
    #[must_use]
    pub fn data(text: &str) -> Self {
        Self::Data(text.to_owned())
    }
}

impl From<TextId> for ScreenText {
    fn from(id: TextId) -> Self {
        Self::Fixed(id)
    }
}

impl From<&Self> for ScreenText {
    fn from(text: &Self) -> Self {
        text.clone()
    }
}

/// The words of a [`ScreenText`]: parts that follow each other, with any text before, between and after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPattern {
    parts: Vec<String>,
}

impl TextPattern {
    fn new(words: &str) -> Self {
        let parts = words.split(PLACEHOLDER).filter(|part| !part.trim().is_empty());
        Self { parts: parts.map(str::to_owned).collect() }
    }

    /// Whether `shown` contains the words.
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        let rest = self
            .parts
            .iter()
            .try_fold(shown, |rest, part| rest.split_once(part.as_str()).map(|(_, after)| after));
        rest.is_some()
    }

    /// Whether one of these texts contains the words.
    #[must_use]
    pub fn matches_any(&self, shown: &[String]) -> bool {
        shown.iter().any(|shown| self.matches(shown))
    }
}

/// The words, with `…` for each placeholder.
impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("…"))
    }
}

/// The words of all fixed texts and service documents.
pub struct ScreenTexts {
    texts: Texts,
    services: BTreeMap<String, ServiceDocument>,
}

impl ScreenTexts {
    /// Reads the service documents; the fixed texts are those that are compiled into the kiosk.
    ///
    /// # Errors
    /// When a service document cannot be read.
    pub fn read() -> Result<Self> {
        let files = service_files(&services_folder())?.into_iter();
        let services = files.map(|file| (file.document.id.clone(), file.document)).collect();
        Ok(Self { texts: Texts::built_in(), services })
    }

    /// The words of this text.
    ///
    /// # Errors
    /// When no service document has it.
    pub fn pattern(&self, text: &ScreenText) -> Result<TextPattern> {
        let words = match text {
            ScreenText::Fixed(id) => self.fixed(Lang::Zh, *id),
            ScreenText::English(id) => self.fixed(Lang::En, *id),
            ScreenText::Filled(id, values) => self.texts.render(Lang::Zh, &Text::With(*id, values.clone())),
            ScreenText::Service(service) => self.service(service)?.title.zh.clone(),
            ScreenText::Step(service, step) => self.step_text(service, step, |step| {
                if let Step::Show { title, .. }
                | Step::ShowCode { title, .. }
                | Step::Choose { title, .. }
                | Step::Scan { title, .. }
                | Step::Ask { title, .. } = step
                {
                    Some(title)
                } else {
                    None
                }
            })?,
            ScreenText::NoRows(service, step) => self.step_text(service, step, |step| {
                if let Step::Query { none, .. } | Step::Ticket { none, .. } = step {
                    Some(none)
                } else {
                    None
                }
            })?,
            ScreenText::Data(data) => data.clone(),
        };
        Ok(TextPattern::new(&words))
    }

    /// The name of the scene that a service belongs to.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn scene_of(&self, service: &str) -> Result<ScreenText> {
        Ok(ScreenText::Fixed(match self.service(service)?.scene {
            Scene::Medical => TextId::SceneMedical,
            Scene::SocialInsurance => TextId::SceneSocialInsurance,
            Scene::Living => TextId::SceneLiving,
            Scene::Tax => TextId::SceneTax,
            Scene::Fines => TextId::SceneFines,
            Scene::Certificates => TextId::SceneCertificates,
            Scene::Transport => TextId::SceneTransport,
            Scene::Culture => TextId::SceneCulture,
            Scene::Hall => TextId::SceneHall,
            Scene::Identity => TextId::SceneIdentity,
            Scene::Card => TextId::SceneCard,
            Scene::Community => TextId::SceneCommunity,
        }))
    }

    fn fixed(&self, lang: Lang, id: TextId) -> String {
        let placeholders = vec![PLACEHOLDER.to_string(); PLACEHOLDERS_MAX];
        self.texts.render(lang, &Text::With(id, placeholders))
    }

    fn service(&self, id: &str) -> Result<&ServiceDocument> {
        self.services.get(id).with_context(|| format!("assets/services has no service `{id}`"))
    }

    fn step_text(
        &self,
        service: &str,
        step: &str,
        text: impl Fn(&Step) -> Option<&Bilingual>,
    ) -> Result<String> {
        let found = self.service(service)?.steps.iter().find(|one| one.id() == step).and_then(text);
        Ok(found.with_context(|| format!("`{service}` has no such text at step `{step}`"))?.zh.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> ScreenTexts {
        ScreenTexts::read().unwrap()
    }

    #[test]
    fn fixed_text_is_found_whatever_its_placeholder_holds() {
        let texts = texts();
        let shown = texts.texts.render(Lang::Zh, &Text::With(TextId::PinWrong, vec!["2".into()]));
        let pattern = texts.pattern(&TextId::PinWrong.into()).unwrap();
        assert!(pattern.matches(&shown) && pattern.matches(&format!("x{shown}y")));
        assert!(
            !pattern.matches(&texts.texts.render(Lang::En, &Text::With(TextId::PinWrong, vec!["2".into()])))
        );
        let filled = texts.pattern(&ScreenText::Filled(TextId::PinWrong, vec!["1".into()])).unwrap();
        assert!(!filled.matches(&shown));
    }

    #[test]
    fn texts_of_service_documents_are_found_by_place() {
        let texts = texts();
        let title = texts.pattern(&ScreenText::Service("water.pay")).unwrap();
        assert!(title.matches(&texts.services["water.pay"].title.zh));
        let choose = texts.pattern(&ScreenText::Step("water.pay", "picked")).unwrap();
        let none = texts.pattern(&ScreenText::NoRows("water.pay", "bills")).unwrap();
        assert_ne!(choose, none);
        assert!(texts.pattern(&ScreenText::Step("water.pay", "bills")).is_err());
        assert!(texts.pattern(&ScreenText::Service("none")).is_err());
    }

    #[test]
    fn every_fixed_text_has_words() {
        let texts = texts();
        for id in TextId::ALL {
            assert!(!texts.pattern(&ScreenText::Fixed(*id)).unwrap().parts.is_empty(), "{}", id.key());
        }
    }
}
