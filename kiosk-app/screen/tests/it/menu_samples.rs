//! Sample views of the menu: as many tiles as the panel has room for.

use view::{Banner, Body, FooterButton, Icon, Intent, Panel, Text, TextId, Theme, Tile, Tone, View};

use super::{SampleBuilder, action, data};

/// Services of home: icon, names, hints.
type Service = (Icon, (&'static str, &'static str), (&'static str, &'static str));

const FEATURED: [Service; 4] = [
    (Icon::Droplets, ("水费缴纳", "Water bill"), ("查询并缴纳自来水费", "See and pay your water bills")),
    (
        Icon::HeartPulse,
        ("医保账户余额", "Medical account balance"),
        ("查看个人账户还有多少钱", "See what is left on your account"),
    ),
    (
        Icon::Building,
        ("居民医保缴费", "Medical insurance"),
        ("给自己缴下一年的居民医保", "Pay your own for next year"),
    ),
    (
        Icon::ShieldCheck,
        ("待遇资格认证", "Confirm your pension"),
        ("一年认证一次，养老金照常发", "Once a year, so that it goes on"),
    ),
];

const SCENES: [(Icon, TextId, (&str, &str)); 11] = [
    (
        Icon::Droplets,
        TextId::SceneLiving,
        ("水费缴纳、水电气合缴、电费缴纳", "Water bill, Water, power and gas"),
    ),
    (
        Icon::HeartPulse,
        TextId::SceneMedical,
        ("医保账户余额、预约挂号、出院结算", "Medical account balance, See a doctor"),
    ),
    (Icon::ShieldCheck, TextId::SceneSocialInsurance, ("待遇资格认证、社保参保证明", "Confirm your pension")),
    (Icon::Card, TextId::SceneCard, ("补换社保卡、首次申领社保卡", "Replace my card, A first card")),
    (
        Icon::Landmark,
        TextId::SceneHall,
        ("大厅取号、申请办事、预约办事", "Take a number, Apply for something"),
    ),
    (Icon::Building, TextId::SceneTax, ("居民医保缴费、社保缴费记录", "Medical insurance, Self-employed")),
    (Icon::Receipt, TextId::SceneFines, ("交通违法罚款、城管罚款缴纳", "Traffic fines")),
    (Icon::Bus, TextId::SceneTransport, ("公交卡充值、公交卡余额", "Top up your card, Transport card")),
    (Icon::FileBadge, TextId::SceneCertificates, ("老年人优待证、开通手机渝快码", "Senior citizen card")),
    (Icon::Users, TextId::SceneCommunity, ("社区通知、我办的访客证", "Community notices")),
    (
        Icon::Ticket,
        TextId::SceneCulture,
        ("博物馆预约、我借的书、图书续借", "Visit a museum, My library loans"),
    ),
];

/// Services of the scene with the most services.
const LIVING: [Service; 11] = [
    (Icon::Droplets, ("水费缴纳", "Water bill"), ("查询并缴纳自来水费", "See and pay your water bills")),
    (
        Icon::Droplets,
        ("水电气合缴", "Water, power and gas"),
        ("水电气账单一次缴清", "All household bills in one payment"),
    ),
    (Icon::Droplets, ("电费缴纳", "Power bill"), ("查询并缴纳家里的电费", "See and pay your power bills")),
    (Icon::Droplets, ("燃气费缴纳", "Gas bill"), ("查询并缴纳天然气费", "See and pay your gas bills")),
    (
        Icon::Droplets,
        ("手机话费充值", "Top up a phone"),
        ("给自己或家人的手机充话费", "For your own or a relative's phone"),
    ),
    (
        Icon::Droplets,
        ("有线电视缴费", "Cable television bill"),
        ("缴纳有线电视收视费", "Pay for cable television"),
    ),
    (
        Icon::Droplets,
        ("考试报名缴费", "Exam fees"),
        ("缴纳已报名考试的费用", "Pay for exams you registered for"),
    ),
    (
        Icon::Droplets,
        ("学校收费缴纳", "School fees"),
        ("缴纳孩子的学费和伙食费", "Pay a child's school fees"),
    ),
    (
        Icon::Droplets,
        ("供热费缴纳", "Heating bill"),
        ("有集中供热的小区才需要缴", "Only where your quarter has heating"),
    ),
    (
        Icon::Droplets,
        ("物业维修资金", "Maintenance fund"),
        ("交存房屋专项维修资金", "Deposit for your building's repairs"),
    ),
    (
        Icon::Droplets,
        ("按户号缴水费", "Water bill by account"),
        ("帮家人或租的房子缴水费", "For family, or a rented home"),
    ),
];

impl SampleBuilder {
    /// The menu while a payment of this visit is being checked.
    pub(super) fn menu_checking(&self) -> View {
        let mut view = self.menu();
        view.banners = vec![Banner {
            tone: Tone::Wait,
            icon: Icon::Receipt,
            title: Text::With(TextId::MenuChecking, vec!["¥168.00".into()]),
            detail: Some(TextId::MenuCheckingDetail.into()),
        }];
        view
    }

    fn service_tile(&self, (icon, title, hint): Service, at: u16) -> Tile {
        Tile {
            icon,
            title: data(title.0, title.1, self.lang),
            detail: data(hint.0, hint.1, self.lang),
            enabled: true,
            opens_list: false,
            intent: Intent::OpenTile(at),
        }
    }

    fn scene_tile(&self, (icon, name, examples): (Icon, TextId, (&str, &str)), at: u8) -> Tile {
        Tile {
            icon,
            title: name.into(),
            detail: data(examples.0, examples.1, self.lang),
            enabled: true,
            opens_list: true,
            intent: Intent::OpenScene(at),
        }
    }

    /// A page of home, counted from 0.
    fn home(&self, panel: Panel, page: u16) -> View {
        let featured = match (self.theme, panel.is_landscape()) {
            (Theme::Standard, true) => 3,
            (Theme::Standard, false) | (Theme::Elder, _) => 4,
        };
        let services =
            FEATURED.into_iter().take(featured).zip(0..).map(|(one, at)| self.service_tile(one, at));
        let tiles = services.chain(SCENES.into_iter().zip(0..).map(|(one, at)| self.scene_tile(one, at)));
        let mut view = self.page_of(tiles.collect(), panel, page, TextId::MenuTitle);
        if page == 0 {
            view.lead = Some(Text::With(TextId::MenuLead, vec!["张*英".into()]));
        }
        view.footer =
            vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help, FooterButton::TakeCard];
        view
    }

    fn page_of(&self, tiles: Vec<Tile>, panel: Panel, page: u16, title: TextId) -> View {
        let size = panel.tiles(self.theme, 0);
        let count = tiles.len().div_ceil(size);
        let shown = tiles.into_iter().skip(usize::from(page) * size).take(size);
        let mut view = self.view(title, Body::Menu(shown.collect()));
        view.lead = Some(Text::With(TextId::RowsPage, vec![(page + 1).to_string(), count.to_string()]));
        let to = |text: TextId, page| {
            let mut to = action(text, false);
            to.intent = Intent::ShowPage(page);
            to
        };
        view.actions.extend(page.checked_sub(1).map(|page| to(TextId::RowsPrevious, page)));
        view.actions.extend(
            (usize::from(page) + 1 < count)
                .then(|| to(if page == 0 { TextId::MenuMore } else { TextId::RowsNext }, page + 1)),
        );
        view
    }

    /// The scene with the most services; the last tile leads to what can be looked up.
    fn scene(&self, panel: Panel, page: u16) -> View {
        let mut tiles: Vec<_> =
            LIVING.into_iter().zip(0..).map(|(one, at)| self.service_tile(one, at)).collect();
        let examples = ("水费缴费记录、电费缴费记录", "Water payments, Power payments");
        let lookups = self.scene_tile((Icon::Receipt, TextId::MenuLookups, examples), 0);
        tiles.push(Tile { intent: Intent::OpenLookups, ..lookups });
        self.page_of(tiles, panel, page, TextId::SceneLiving)
    }

    /// A scene without a link: each tile says why it cannot be touched.
    fn scene_offline(&self, panel: Panel) -> View {
        let mut view = self.scene(panel, 0);
        view.header.link = view::LinkStatus::Offline;
        if let Body::Menu(tiles) = &mut view.body {
            for tile in tiles.iter_mut().filter(|tile| !tile.opens_list) {
                (tile.enabled, tile.detail) = (false, TextId::TileNeedsLink.into());
            }
        }
        view
    }

    /// Home below as many banners as there can be.
    fn home_with_banners(&self, panel: Panel) -> View {
        let mut view = self.home(panel, 0);
        let banner = |icon, title: Text, detail: TextId| Banner {
            tone: Tone::Wait,
            icon,
            title,
            detail: Some(detail.into()),
        };
        view.banners = vec![banner(
            Icon::Receipt,
            Text::With(TextId::MenuChecking, vec!["¥168.00".into()]),
            TextId::MenuCheckingDetail,
        )];
        if self.theme == Theme::Standard {
            view.banners.push(banner(Icon::TriangleAlert, TextId::PaperOut.into(), TextId::TileNeedsPaper));
        }
        let size = panel.tiles(self.theme, view.banners.len());
        if let Body::Menu(tiles) = &mut view.body {
            tiles.truncate(size);
        }
        view
    }

    pub(super) fn menus(&self, panel: Panel) -> [(&'static str, View); 6] {
        [
            ("home", self.home(panel, 0)),
            ("home-more", self.home(panel, 1)),
            ("home-banners", self.home_with_banners(panel)),
            ("scene", self.scene(panel, 0)),
            ("scene-more", self.scene(panel, 1)),
            ("scene-offline", self.scene_offline(panel)),
        ]
    }
}
