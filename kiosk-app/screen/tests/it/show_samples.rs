//! Sample views of data that is shown: many rows, and values as long as an answer may have.

use view::{
    Action, Body, Icon, Intent, LabelledValue, Lang, Page, Panel, RowCard, Rows, Text, TextId, Theme, View,
};

use super::{SampleBuilder, action, data, pair};

impl SampleBuilder {
    /// The first page of some trips.
    fn show_rows(&self) -> View {
        let trips = [
            (
                "轨道交通 3 号线：观音桥 到 重庆北站南广场",
                "Line 3: Guanyinqiao to Chongqing North Station",
                "¥3.00",
            ),
            ("公交 181 路", "Bus 181", "¥1.60"),
            ("轨道交通环线：沙坪坝 到 五里店", "Loop line: Shapingba to Wulidian", "¥4.50"),
            ("公交 602 路", "Bus 602", "¥2.00"),
        ];
        let row = |((zh, en, amount), at): ((&str, &str, &str), u16)| RowCard {
            icon: Icon::Bus,
            title: data(zh, en, self.lang),
            detail: Some(data(
                "2026年11月23日 · 刷社保卡 · 已扣款",
                "2026-11-23 · social card · taken",
                self.lang,
            )),
            amount: Some(amount.into()),
            chosen: false,
            opens: true,
            intent: Intent::ToggleRow(at),
        };
        let size = if self.theme == Theme::Elder { 2 } else { 4 };
        let body = Body::Rows(Rows {
            rows: trips.into_iter().zip(0..).map(row).take(size).collect(),
            summary: None,
            page: Some(Page { index: 0, count: 5 }),
        });
        let mut view = self.view(data("您最近的乘车记录", "Your last trips", self.lang), body);
        view.actions = vec![action(TextId::SheetDone, true)];
        view
    }

    /// Rows with the longest texts that a card can have.
    fn show_rows_long(&self) -> View {
        let (title, detail) = match self.theme {
            Theme::Standard => (34, 26),
            Theme::Elder => (20, 44),
        };
        let text = |half_widths: usize| match self.lang {
            Lang::Zh => "社区居民服务中心".chars().cycle().take(half_widths / 2).collect::<String>(),
            Lang::En => "community service center ".chars().cycle().take(half_widths).collect(),
        };
        let mut view = self.show_rows();
        if let Body::Rows(rows) = &mut view.body {
            for row in &mut rows.rows {
                row.title = Text::Data(text(title));
                row.detail = Some(Text::Data(text(detail)));
                row.amount = Some("¥12,345.60".into());
            }
        }
        view
    }

    /// Values of which one has 200 characters, as many as fit.
    fn sheet_long(&self, panel: Panel) -> View {
        let notice = "因供水管网改造，本小区将于 11 月 28 日 8 时至 20 时停水，请提前储水。".repeat(6);
        let notice: String = notice.chars().take(200).collect();
        let text = "Water is off on 28 November from 8 to 20 because pipes are renewed. ".repeat(4);
        let text: String = text.chars().take(200).collect();
        let label = |zh, en| data(zh, en, self.lang);
        let all: Vec<LabelledValue> = vec![
            pair(label("通知内容", "Notice"), label(&notice, &text), false),
            pair(label("发布单位", "From"), label("龙溪街道社区居委会", "Longxi neighbourhood"), false),
            pair(label("发布日期", "Date"), label("2026年11月26日", "2026-11-26"), false),
            pair(label("联系电话", "Phone"), label("023 6700 0000", "023 6700 0000"), false),
        ];
        let long = match self.lang {
            Lang::Zh => 380,
            Lang::En => 200,
        };
        let pages = panel.pages_of_values(self.theme, &[(8, long), (8, 20), (8, 16), (8, 13)]);
        let body = Body::Details(all.into_iter().take(pages.first().copied().unwrap_or_default()).collect());
        let mut view = self.view(data("社区通知", "Community notices", self.lang), body);
        let (text, intent) = if pages.len() > 1 {
            (TextId::ShowNext, Intent::ShowPage(1))
        } else {
            (TextId::ShowList, Intent::Primary)
        };
        view.actions = vec![Action { intent, ..action(text, true) }];
        view
    }

    pub(super) fn shown_data(&self, panel: Panel) -> [(&'static str, View); 3] {
        [
            ("show-rows", self.show_rows()),
            ("show-rows-long", self.show_rows_long()),
            ("sheet-long", self.sheet_long(panel)),
        ]
    }
}
