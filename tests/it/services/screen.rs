//! What a resident can read and touch on a view.

use std::sync::LazyLock;

use view::{Body, Intent, LabelledValue, Lang, Text, Texts, View};

static TEXTS: LazyLock<Texts> = LazyLock::new(Texts::built_in);

/// All texts of a view, in Chinese.
pub(crate) fn texts_of(view: &View) -> Vec<String> {
    let mut texts = Collected(Vec::new());
    texts.add(&view.title);
    texts.add_all(view.lead.iter());
    for banner in &view.banners {
        texts.add(&banner.title);
        texts.add_all(banner.detail.iter());
    }
    texts.add_body(&view.body);
    texts.add_all(view.actions.iter().map(|action| &action.text));
    texts.0
}

struct Collected(Vec<String>);

impl Collected {
    fn add(&mut self, text: &Text) {
        self.0.push(TEXTS.render(Lang::Zh, text));
    }

    fn add_all<'a>(&mut self, texts: impl Iterator<Item = &'a Text>) {
        texts.for_each(|text| self.add(text));
    }

    fn add_pairs(&mut self, pairs: &[LabelledValue]) {
        for pair in pairs {
            self.add(&pair.label);
            self.add(&pair.value);
        }
    }

    fn add_body(&mut self, body: &Body) {
        match body {
            Body::Welcome(cards) => self.add_all(cards.iter().map(|card| &card.title)),
            Body::Menu(tiles) => self.add_all(tiles.iter().flat_map(|tile| [&tile.title, &tile.detail])),
            Body::Pin(pad) => self.add_all(pad.problem.iter()),
            Body::Entry(pad) => {
                self.0.push(pad.entered.as_str().to_owned());
                self.add_all(pad.problem.iter());
            }
            Body::Consent(form) => {
                self.add(&form.purpose);
                self.add_all(form.items.iter());
                self.add(&form.recipient);
            }
            Body::Rows(rows) => {
                for row in &rows.rows {
                    self.add(&row.title);
                    self.add_all(row.detail.iter());
                    self.0.extend(row.amount.clone());
                }
                if let Some((words, sum)) = &rows.summary {
                    self.add(words);
                    self.0.push(sum.clone());
                }
            }
            Body::Details(pairs) => self.add_pairs(pairs),
            Body::Confirm(confirm) => {
                self.0.push(confirm.amount.clone());
                self.add_pairs(&confirm.pairs);
            }
            Body::Outcome(outcome) => {
                self.add(&outcome.headline);
                self.0.extend(outcome.amount.clone());
                self.add(&outcome.detail);
                self.add_pairs(&outcome.pairs);
            }
            Body::Scan(scan) => self.add_all(scan.steps.iter()),
            Body::Sign(sign) => self.add(&sign.headline),
        }
    }
}

/// The intents of the rows, options or tiles of a view, in order.
pub(crate) fn choices_of(view: &View) -> Vec<Intent> {
    match &view.body {
        Body::Menu(tiles) => tiles.iter().filter(|tile| tile.enabled).map(|tile| tile.intent).collect(),
        Body::Rows(rows) => rows.rows.iter().map(|row| row.intent).collect(),
        _ => Vec::new(),
    }
}

/// The intent of the menu's tile with this title, if it can be touched.
pub(crate) fn tile_of(view: &View, title: &str) -> Option<Intent> {
    let Body::Menu(tiles) = &view.body else { return None };
    let tile = tiles.iter().find(|tile| TEXTS.render(Lang::Zh, &tile.title) == title)?;
    tile.enabled.then_some(tile.intent)
}
