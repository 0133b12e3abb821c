//! The operator's overview: records of kiosks, orders, bills and incidents. The page holds no
//! personal data: no name, no number of a person or card, no address.

use contract::{Money, RecordHeader, RecordKind, Settlement, UnixMs, VoidReason};
use rusqlite::Transaction;

use super::template::{TemplateValue, escape_html, render_template};
use crate::consents;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::payments::orders::{OrderSummary, newest_orders};
use crate::peer_calls::PlatformReply;
use crate::recovery_state::RecoveryProgress;
use crate::request_error::RequestError;
use crate::store::columns::from_ms_column;
use crate::store::serialized_name::serialized_name;

/// Most rows of a table.
const ROWS_MAX: u32 = 200;

pub(crate) fn admin_page(context: &RequestContext<'_>) -> Result<PlatformReply, RequestError> {
    let (logs, records) = (logs(context.tx)?, records(context.tx)?);
    let (orders, bills, disputes) = (orders(context.tx)?, bills(context.tx)?, incidents(context.tx)?);
    let waiting = consents::kiosk::count_unrecorded_uses(context.tx)?.to_string();
    let html = render_template(
        include_str!("../../pages/admin.html"),
        &[
            ("now", TemplateValue::Text(&utc_text(context.now))),
            ("disputes", TemplateValue::Html(&disputes)),
            ("orders", TemplateValue::Html(&orders)),
            ("bills", TemplateValue::Html(&bills)),
            ("logs", TemplateValue::Html(&logs)),
            ("records", TemplateValue::Html(&records)),
            ("recovery", TemplateValue::Text(&recovery_text(context)?)),
            ("waiting", TemplateValue::Text(&waiting)),
        ],
    );
    Ok(PlatformResponse::html(200, html).into())
}

/// `GET /admin/orders`: the newest orders as JSON, for an auditor who compares ledgers. No personal data, as on the page.
pub(crate) fn admin_orders(context: &RequestContext<'_>) -> Result<PlatformReply, RequestError> {
    Ok(PlatformResponse::json(&newest_orders(context.tx, ROWS_MAX)?).into())
}

fn table_row<const N: usize>(cells: [&str; N]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape_html(cell))).collect();
    format!("<tr>{cells}</tr>\n")
}

/// A time in UTC, to the second.
fn utc_text(at: UnixMs) -> String {
    i64::try_from(at.0 / 1000)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |at| at.to_string())
}

fn yuan_text(fen: i64) -> String {
    Money::from_fen(fen).map_or_else(|_| fen.to_string(), |money| money.to_string())
}

/// How far the recovery of a restored database is; empty without one.
fn recovery_text(context: &RequestContext<'_>) -> rusqlite::Result<String> {
    let Some(progress) = RecoveryProgress::read(context.tx, context.config)? else {
        return Ok(String::new());
    };
    let list = if progress.listed { "已读完" } else { "未读完" };
    let missing: Vec<String> = progress.kiosks_missing.iter().map(ToString::to_string).collect();
    Ok(format!(
        "数据库由备份恢复，暂不收款、不绑定手机、不改卡。收单方清单：{list}；日志未到的终端：{}（{}）；待查订单：{}",
        missing.len(),
        missing.iter().take(20).cloned().collect::<Vec<_>>().join(" "),
        progress.orders_open,
    ))
}

fn logs(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut all = tx.prepare(
        "SELECT device, epoch, max(seq), sum(1 - understood), max(received_ms) FROM records
         GROUP BY device, epoch ORDER BY max(received_ms) DESC",
    )?;
    let rows = all.query_map([], |found| {
        let (upto, foreign): (i64, i64) = (found.get(2)?, found.get(3)?);
        let (device, epoch): (String, String) = (found.get(0)?, found.get(1)?);
        let received = utc_text(from_ms_column(found.get(4)?));
        Ok(table_row([&device, &epoch, &upto.to_string(), &foreign.to_string(), &received]))
    })?;
    rows.collect()
}

fn records(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut newest = tx.prepare(
        "SELECT device, seq, header FROM records ORDER BY received_ms DESC, device, epoch, seq DESC LIMIT ?1",
    )?;
    let rows = newest.query_map([ROWS_MAX], |found| {
        let (device, seq): (String, i64) = (found.get(0)?, found.get(1)?);
        let header = RecordHeader::decode(&found.get::<_, Vec<u8>>(2)?).ok();
        let kind = header.map_or("", |header| kind_name(header.kind));
        let at = header.map_or_else(String::new, |header| utc_text(header.time));
        Ok(table_row([&device, &seq.to_string(), kind, &at]))
    })?;
    rows.collect()
}

/// Chinese name of a record's kind.
const fn kind_name(kind: RecordKind) -> &'static str {
    match kind.0 {
        1 => "日志打开",
        2 => "补报记录",
        10 => "身份确认",
        11 => "验码",
        12 => "补充凭据",
        13 => "办理结束",
        14 => "终端验码",
        15 => "通行",
        16 => "修改密码",
        20 => "同意授权",
        21 => "拒绝授权",
        22 => "查询",
        30 => "发起缴费",
        31 => "缴费结果",
        23 => "取号预约",
        24 => "提交办件",
        32 => "找回订单",
        33 => "订单对账",
        40 => "承诺凭条",
        41 => "开始打印",
        42 => "已打印",
        43 => "未开始打印",
        44 => "打印待确认",
        45 => "放弃打印",
        50 => "服务目录更新",
        51 => "校时",
        60 => "求助",
        61 => "工作人员登录",
        _ => "其他",
    }
}

fn orders(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let lines = newest_orders(tx, ROWS_MAX)?;
    let row_of = |line: &OrderSummary| {
        let (state, detail) = match &line.settlement {
            None => ("核实中", String::new()),
            Some(Settlement::Paid { reference, .. }) => ("已缴", reference.clone()),
            Some(Settlement::Void { reason }) => ("未缴", reason_name(*reason)),
        };
        let posting = match line.posting.as_deref() {
            None => "",
            Some("open") => "待入账",
            Some("done") => "已入账",
            Some(_) => "入账被拒",
        };
        let (device, total, created) =
            (line.device.to_string(), yuan_text(line.total_fen), utc_text(line.created));
        table_row([&line.order, &device, &total, state, &detail, posting, &created])
    };
    Ok(lines.iter().map(row_of).collect())
}

/// Chinese text of the reason for which an order is void.
fn reason_name(reason: VoidReason) -> String {
    match reason {
        VoidReason::Declined => "收单方拒付".to_owned(),
        VoidReason::Fenced => "查询时未扣款，已作废".to_owned(),
        VoidReason::Refused(code) => format!("平台未受理 {}", serialized_name(&code)),
    }
}

fn bills(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut all = tx.prepare(
        "SELECT bills.key, bills.amount_fen, orders.[order], orders.settlement IS NOT NULL
         FROM bills LEFT JOIN order_items ON order_items.bill = bills.key AND claims = 1
         LEFT JOIN orders USING ([order]) ORDER BY bills.key LIMIT ?1",
    )?;
    let rows = all.query_map([ROWS_MAX], |found| {
        let (key, amount, order): (String, i64, Option<String>) =
            (found.get(0)?, found.get(1)?, found.get(2)?);
        let state = match (&order, found.get::<_, bool>(3)?) {
            (None, _) => "待缴",
            (Some(_), false) => "核实中",
            (Some(_), true) => "已缴",
        };
        Ok(table_row([&key, &yuan_text(amount), state, order.as_deref().unwrap_or("")]))
    })?;
    rows.collect()
}

fn incidents(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut all = tx.prepare("SELECT about, what, at_ms FROM disputes ORDER BY at_ms DESC LIMIT ?1")?;
    let rows = all.query_map([ROWS_MAX], |found| {
        let (about, what): (String, String) = (found.get(0)?, found.get(1)?);
        Ok(table_row([&about, &what, &utc_text(from_ms_column(found.get(2)?))]))
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The numbers in `Entry::kind`, read from its source: a list of its own here would miss a new kind.
    fn all_kinds() -> Vec<RecordKind> {
        let source = include_str!("../../../contract/src/entry.rs");
        let (_, arms) = source.split_once("RecordKind(match self {").expect("the match of `Entry::kind`");
        let (arms, _) = arms.split_once("})").expect("the end of the match");
        let number = |arm: &str| arm.trim_end_matches(',').split_once("=> ")?.1.parse::<u8>().ok();
        arms.lines().filter_map(number).map(RecordKind).collect()
    }

    #[test]
    fn every_kind_of_record_has_a_name_of_its_own() {
        let kinds = all_kinds();
        assert!(kinds.len() >= 23, "{kinds:?}");
        let mut names = BTreeSet::from(["其他"]);
        for kind in kinds {
            assert!(names.insert(kind_name(kind)), "kind {} has no name of its own", kind.0);
        }
    }
}
