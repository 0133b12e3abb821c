//! Orders that a kiosk has not reported: charged here, while the kiosk's records of the outcome did not arrive, or not yet. A kiosk
//! that may have lost records asks for them (对账), so that no payment stays without an outcome and a receipt in its log.

use contract::{ChargeRequest, Entry, KioskId, Settlement, UnreportedOrder, UnreportedOrdersAnswer, VisitId};
use rusqlite::params;

use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::recovery_state::refuse_while_recovering;
use crate::request_error::RequestError;
use crate::store::columns::{from_json_column, to_json_column, to_ms_column};

/// Orders in one answer at most, with about as many bytes as the answer to a charge has room for.
const ORDERS_MAX: usize = 100;
/// Size in bytes after which an answer is full; it may exceed this by one order.
const PAGE_BYTES: usize = 128 * 1024;

/// `GET /v1/unreported-orders`: the oldest orders of this kiosk that it has not reported. Unavailable while the platform
/// recovers: it may have forgotten what was reported.
pub(crate) fn list_unreported(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
) -> Result<PlatformReply, RequestError> {
    refuse_while_recovering(context)?;
    let mut oldest = context.tx.prepare(
        "SELECT content FROM order_reports WHERE device = ?1 AND content IS NOT NULL
         ORDER BY created_ms, [order]",
    )?;
    let mut rows = oldest.query([kiosk.id.to_string()])?;
    let (mut orders, mut bytes, mut more) = (Vec::<UnreportedOrder>::new(), 0, false);
    while let Some(row) = rows.next()? {
        if orders.len() >= ORDERS_MAX || bytes >= PAGE_BYTES {
            more = true;
            break;
        }
        let content: String = row.get(0)?;
        bytes += content.len();
        orders.push(from_json_column(&content)?);
    }
    Ok(PlatformResponse::json(&UnreportedOrdersAnswer { orders, more, now: context.now }).into())
}

/// Notes an order that is about to be charged. A late charge request of an order that is reported already, to a platform that was
/// restored since, changes nothing.
pub(super) fn note_charge(
    context: &RequestContext<'_>,
    device: KioskId,
    visit: VisitId,
    request: &ChargeRequest,
) -> rusqlite::Result<()> {
    let ChargeRequest { order, items, total, method, .. } = request;
    let content =
        UnreportedOrder { order: *order, visit, items: items.clone(), total: *total, method: *method };
    context.tx.execute(
        "INSERT INTO order_reports (device, [order], content, created_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
        params![device.to_string(), order.to_string(), to_json_column(&content), to_ms_column(context.now)],
    )?;
    Ok(())
}

/// Applies a record of a kiosk: with the outcome of an order that is void, or the receipt of one that is paid, the order is
/// reported.
pub(crate) fn note_record(
    context: &RequestContext<'_>,
    device: KioskId,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let (Entry::OrderSettled { order, settlement: Settlement::Void { .. } }
    | Entry::ReceiptIssued { order: Some(order), .. }) = entry
    else {
        return Ok(());
    };
    context.tx.execute(
        "INSERT INTO order_reports (device, [order], created_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT ([order]) DO UPDATE SET content = NULL WHERE device = excluded.device",
        params![device.to_string(), order.to_string(), to_ms_column(context.now)],
    )?;
    Ok(())
}
