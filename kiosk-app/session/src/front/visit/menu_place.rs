//! Where a resident is in the menu, and what stands there: home, the services of a scene, or those that only look something up.
//!
//! A site with few services has no scenes: home lists them all. Nothing here knows a single service; what a list holds follows
//! from the documents, and its order from the site file.

use std::sync::Arc;

use contract::{PrintForm, Scene, ServiceDocument, Step};
use view::{Intent, Panel, TextId, Theme};

use crate::setup::KioskSetup;

/// The scenes in the order of the menu: the most frequent first.
pub(crate) const SCENES: [Scene; 12] = [
    Scene::Living,
    Scene::Medical,
    Scene::SocialInsurance,
    Scene::Card,
    Scene::Hall,
    Scene::Tax,
    Scene::Fines,
    Scene::Transport,
    Scene::Certificates,
    Scene::Community,
    Scene::Culture,
    Scene::Identity,
];

/// Services that are not on two pages at most are found by scene.
const PLAIN_PAGES_MAX: usize = 2;
/// With fewer services that only look something up, a list of their own would save nothing.
const LOOKUPS_MIN: usize = 2;

/// A list of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MenuList {
    /// 首页: the most used services, and the scenes.
    Home,
    /// The services of a scene.
    Scene(Scene),
    /// The services of a scene that only show what is recorded.
    Lookups(Scene),
}

/// What a tile of the menu stands for.
pub(crate) enum MenuItem {
    /// A service, and its place among all that the site offers.
    Service(Arc<ServiceDocument>, u16),
    /// The services of a scene, the first of which are named as examples.
    Scene(Scene, Vec<Arc<ServiceDocument>>),
    /// The services of the scene that only show what is recorded.
    Lookups(Vec<Arc<ServiceDocument>>),
}

/// The place of a resident in the menu. For each list the first tile is remembered, not the page: a page holds fewer tiles in
/// large text and below a banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MenuPlace {
    list: MenuList,
    first_of_home: usize,
    first_of_scene: usize,
    first_of_lookups: usize,
}

/// One page of a list.
pub(crate) struct MenuPage {
    pub(crate) list: MenuList,
    pub(crate) items: Vec<MenuItem>,
    pub(crate) index: usize,
    pub(crate) count: usize,
}

impl MenuPlace {
    /// The first page of home.
    pub(crate) const fn new() -> Self {
        Self { list: MenuList::Home, first_of_home: 0, first_of_scene: 0, first_of_lookups: 0 }
    }

    /// Handles a touch on this page that leads to another place in the menu; false when it is about something else. `size` is the
    /// number of tiles on a page.
    pub(crate) fn on_touch(&mut self, intent: Intent, shown: &MenuPage, size: usize) -> bool {
        if shown.list != self.list {
            // The list is gone, and home is shown in its place.
            *self = Self::new();
        }
        match (intent, self.list) {
            (Intent::OpenScene(at), _) => {
                let Some(scene) = SCENES.get(usize::from(at)) else { return false };
                (self.list, self.first_of_scene) = (MenuList::Scene(*scene), 0);
            }
            (Intent::OpenLookups, MenuList::Scene(scene)) => {
                (self.list, self.first_of_lookups) = (MenuList::Lookups(scene), 0);
            }
            (Intent::ShowPage(page), _) => *self.first_mut() = usize::from(page).saturating_mul(size),
            (Intent::Back, MenuList::Lookups(scene)) => self.list = MenuList::Scene(scene),
            (Intent::Back, MenuList::Scene(_)) => self.list = MenuList::Home,
            (Intent::Home, _) => *self = Self::new(),
            _ => return false,
        }
        true
    }

    const fn first_mut(&mut self) -> &mut usize {
        match self.list {
            MenuList::Home => &mut self.first_of_home,
            MenuList::Scene(_) => &mut self.first_of_scene,
            MenuList::Lookups(_) => &mut self.first_of_lookups,
        }
    }

    const fn first(&self) -> usize {
        match self.list {
            MenuList::Home => self.first_of_home,
            MenuList::Scene(_) => self.first_of_scene,
            MenuList::Lookups(_) => self.first_of_lookups,
        }
    }

    /// The page at this place, of `size` tiles. Home where the list is gone, as after a change of the catalogue.
    pub(crate) fn page(&self, menu: &MenuItems<'_>, size: usize) -> MenuPage {
        let size = size.max(1);
        let (place, mut items) = match menu.list(self.list) {
            items if items.is_empty() => (Self::new(), menu.list(MenuList::Home)),
            items => (*self, items),
        };
        let count = items.len().div_ceil(size).max(1);
        let index = (place.first() / size).min(count - 1);
        items = items.into_iter().skip(index * size).take(size).collect();
        MenuPage { list: place.list, items, index, count }
    }
}

/// What the lists of the menu are made of.
pub(crate) struct MenuItems<'a> {
    offered: &'a [Arc<ServiceDocument>],
    setup: &'a KioskSetup,
    theme: Theme,
}

impl<'a> MenuItems<'a> {
    /// The menu of these services, which the site offers.
    pub(crate) const fn new(
        offered: &'a [Arc<ServiceDocument>],
        setup: &'a KioskSetup,
        theme: Theme,
    ) -> Self {
        Self { offered, setup, theme }
    }

    const fn panel(&self) -> Panel {
        self.setup.equipment.screen.panel
    }

    /// Tiles on one page without a banner. What stands where does not change with a banner.
    fn page_size(&self) -> usize {
        self.panel().tiles(self.theme, 0)
    }

    fn list(&self, list: MenuList) -> Vec<MenuItem> {
        match list {
            MenuList::Home if self.offered.len() <= PLAIN_PAGES_MAX * self.page_size() => {
                self.ordered(|_| true).map(item).collect()
            }
            MenuList::Home => {
                let first = self.most_used().into_iter().map(item);
                let scenes = SCENES.into_iter().map(|scene| {
                    MenuItem::Scene(scene, self.of_scene(scene).map(|(_, doc)| Arc::clone(doc)).collect())
                });
                let has_services =
                    |item: &MenuItem| !matches!(item, MenuItem::Scene(_, services) if services.is_empty());
                first.chain(scenes.filter(has_services)).collect()
            }
            MenuList::Scene(scene) => {
                let (lookups, acts): (Vec<_>, Vec<_>) =
                    self.of_scene(scene).partition(|(_, doc)| self.is_behind(doc));
                let is_long = lookups.len() + acts.len() > self.page_size();
                if is_long && lookups.len() >= LOOKUPS_MIN && !acts.is_empty() {
                    let lookups = lookups.into_iter().map(|(_, doc)| Arc::clone(doc)).collect();
                    acts.into_iter().map(item).chain([MenuItem::Lookups(lookups)]).collect()
                } else {
                    acts.into_iter().chain(lookups).map(item).collect()
                }
            }
            MenuList::Lookups(scene) => {
                self.of_scene(scene).filter(|(_, doc)| self.is_behind(doc)).map(item).collect()
            }
        }
    }

    /// The services that pass, with their place among all: those that the site features first, in its order.
    fn ordered(
        &self,
        passes: impl Fn(&ServiceDocument) -> bool,
    ) -> impl Iterator<Item = (usize, &'a Arc<ServiceDocument>)> {
        let featured = &self.setup.equipment.screen.featured;
        let mut services: Vec<_> = self.offered.iter().enumerate().filter(|(_, doc)| passes(doc)).collect();
        services.sort_by_key(|(_, doc)| featured.iter().position(|id| *id == doc.id).unwrap_or(usize::MAX));
        services.into_iter()
    }

    /// Whether a service is in the second list of a long scene: what the site features never is.
    fn is_behind(&self, doc: &ServiceDocument) -> bool {
        is_lookup(doc) && !self.setup.equipment.screen.featured.contains(&doc.id)
    }

    fn of_scene(&self, scene: Scene) -> impl Iterator<Item = (usize, &'a Arc<ServiceDocument>)> {
        self.ordered(move |doc| doc.scene == scene)
    }

    /// The services on home: those that the site features, then the first one of each scene with which something can be done.
    fn most_used(&self) -> Vec<(usize, &'a Arc<ServiceDocument>)> {
        let count = match (self.theme, self.panel().is_landscape()) {
            // One page: a page of services and scenes would be harder to read.
            (Theme::Elder, _) => self.page_size(),
            (Theme::Standard, false) => 2 * self.panel().tile_columns(self.theme),
            (Theme::Standard, true) => self.panel().tile_columns(self.theme),
        };
        let featured = &self.setup.equipment.screen.featured;
        let mut services: Vec<_> = self.ordered(|doc| featured.contains(&doc.id)).collect();
        for scene in SCENES {
            let first = self.of_scene(scene).find(|(_, doc)| !is_lookup(doc));
            services.extend(first.filter(|(at, _)| !services.iter().any(|(other, _)| other == at)));
        }
        services.truncate(count);
        services
    }
}

fn item((at, doc): (usize, &Arc<ServiceDocument>)) -> MenuItem {
    MenuItem::Service(Arc::clone(doc), u16::try_from(at).unwrap_or(u16::MAX))
}

/// Whether a service only shows what is recorded: it changes nothing, and what it prints is no document.
fn is_lookup(doc: &ServiceDocument) -> bool {
    doc.steps.iter().all(|step| match step {
        Step::Consent { .. }
        | Step::Ask { .. }
        | Step::Scan { .. }
        | Step::Query { .. }
        | Step::Show { .. }
        | Step::Choose { .. }
        | Step::Print { form: PrintForm::Receipt, .. } => true,
        Step::Ticket { .. }
        | Step::Pay { .. }
        | Step::Submit { .. }
        | Step::Print { form: PrintForm::A4Document, .. }
        | Step::ShowCode { .. }
        | Step::ChangePin { .. } => false,
    })
}

/// The intent of a touch on the tile of a scene.
pub(crate) fn open_scene(scene: Scene) -> Intent {
    let at = SCENES.iter().position(|other| *other == scene).and_then(|at| u8::try_from(at).ok());
    Intent::OpenScene(at.unwrap_or(u8::MAX))
}

/// The name of a scene.
pub(crate) const fn scene_name(scene: Scene) -> TextId {
    match scene {
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
    }
}
