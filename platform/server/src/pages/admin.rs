//! The operator's overview: records of kiosks, orders, bills and incidents. The page holds no
//! personal data: no name, no number of a person or card, no address.

use contract::{Header, Kind, Money, Settlement, UnixMs, VoidReason};
use rusqlite::Transaction;

use super::{Value, escaped, page};
use crate::charges::newest;
use crate::columns::unix_ms;
use crate::consents;
use crate::fail::Fail;
use crate::platform::Turn;
use crate::wire::{Reply, Response};

/// Most rows of a table.
const ROWS_MAX: u32 = 200;

pub(crate) fn admin(context: &Turn<'_>) -> Result<Reply, Fail> {
    let (logs, records) = (logs(context.tx)?, records(context.tx)?);
    let (orders, bills, disputes) = (orders(context.tx)?, bills(context.tx)?, disputes(context.tx)?);
    let waiting = consents::waiting(context.tx)?.to_string();
    let html = page(
        include_str!("../../pages/admin.html"),
        &[
            ("now", Value::Text(&time(context.now))),
            ("disputes", Value::Html(&disputes)),
            ("orders", Value::Html(&orders)),
            ("bills", Value::Html(&bills)),
            ("logs", Value::Html(&logs)),
            ("records", Value::Html(&records)),
            ("waiting", Value::Text(&waiting)),
        ],
    );
    Ok(Response::html(200, html).into())
}

fn row<const N: usize>(cells: [&str; N]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
    format!("<tr>{cells}</tr>\n")
}

/// A time in UTC, to the second.
fn time(at: UnixMs) -> String {
    i64::try_from(at.0 / 1000)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |at| at.to_string())
}

fn money(fen: i64) -> String {
    Money::from_fen(fen).map_or_else(|_| fen.to_string(), |money| money.to_string())
}

fn logs(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut all = tx.prepare(
        "SELECT device, epoch, max(seq), sum(1 - understood), max(received_ms) FROM records
         GROUP BY device, epoch ORDER BY max(received_ms) DESC",
    )?;
    let rows = all.query_map([], |found| {
        let (upto, foreign): (i64, i64) = (found.get(2)?, found.get(3)?);
        let (device, epoch): (String, String) = (found.get(0)?, found.get(1)?);
        let received = time(unix_ms(found.get(4)?));
        Ok(row([&device, &epoch, &upto.to_string(), &foreign.to_string(), &received]))
    })?;
    rows.collect()
}

fn records(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut newest = tx.prepare(
        "SELECT device, seq, header FROM records ORDER BY received_ms DESC, device, epoch, seq DESC LIMIT ?1",
    )?;
    let rows = newest.query_map([ROWS_MAX], |found| {
        let (device, seq): (String, i64) = (found.get(0)?, found.get(1)?);
        let header = Header::decode(&found.get::<_, Vec<u8>>(2)?).ok();
        let kind = header.map_or("", |header| kind_name(header.kind));
        let at = header.map_or_else(String::new, |header| time(header.time));
        Ok(row([&device, &seq.to_string(), kind, &at]))
    })?;
    rows.collect()
}

/// Chinese name of a record's kind.
const fn kind_name(kind: Kind) -> &'static str {
    match kind.0 {
        1 => "日志打开",
        10 => "身份确认",
        11 => "验码",
        12 => "补充凭据",
        13 => "办理结束",
        14 => "终端验码",
        15 => "通行",
        20 => "同意授权",
        21 => "拒绝授权",
        22 => "查询",
        30 => "发起缴费",
        31 => "缴费结果",
        40 => "承诺凭条",
        41 => "开始打印",
        42 => "已打印",
        43 => "未开始打印",
        44 => "打印待确认",
        45 => "放弃打印",
        50 => "服务目录更新",
        51 => "校时",
        60 => "求助",
        _ => "其他",
    }
}

fn orders(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let lines = newest(tx, ROWS_MAX)?;
    let row_of = |line: &crate::charges::OrderLine| {
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
        let (device, total, created) = (line.device.to_string(), money(line.total_fen), time(line.created));
        row([&line.order, &device, &total, state, &detail, posting, &created])
    };
    Ok(lines.iter().map(row_of).collect())
}

/// Chinese text of the reason for which an order is void.
fn reason_name(reason: VoidReason) -> String {
    match reason {
        VoidReason::Declined => "收单方拒付".to_owned(),
        VoidReason::Fenced => "查询时未扣款，已作废".to_owned(),
        VoidReason::Refused(code) => format!("平台未受理 {code:?}"),
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
        Ok(row([&key, &money(amount), state, order.as_deref().unwrap_or("")]))
    })?;
    rows.collect()
}

fn disputes(tx: &Transaction<'_>) -> rusqlite::Result<String> {
    let mut all = tx.prepare("SELECT about, what, at_ms FROM disputes ORDER BY at_ms DESC LIMIT ?1")?;
    let rows = all.query_map([ROWS_MAX], |found| {
        let (about, what): (String, String) = (found.get(0)?, found.get(1)?);
        Ok(row([&about, &what, &time(unix_ms(found.get(2)?))]))
    })?;
    rows.collect()
}
