//! Charges, inquiries and their outcomes, case by case (I1).

use contract::routes;
use contract::{
    ChargeRequest, ChargeState, Money, OrderId, PaymentMethod, ProblemCode, Settlement, VoidReason,
};
use server::{PeerAnswer, PeerCall, PeerUnreachable, PlatformReply};

use crate::fixture::{CityFixture, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, answer_or_problem, order_for};

const PENDING: Result<ChargeState, ProblemCode> = Ok(ChargeState::Pending);

fn void(reason: VoidReason) -> Result<ChargeState, ProblemCode> {
    Ok(ChargeState::Settled { settlement: Settlement::Void { reason } })
}

fn is_paid(state: &Result<ChargeState, ProblemCode>) -> bool {
    matches!(state, Ok(ChargeState::Settled { settlement: Settlement::Paid { .. } }))
}

/// Sends a charge and returns the platform's call to the acquirer.
pub(crate) fn charge_until_acquirer_call(
    city: &mut CityFixture,
    kiosk: TestKiosk,
    request: &ChargeRequest,
) -> PeerCall {
    let request = city.signed_post(kiosk, routes::CHARGES.path, request);
    let reply = city.handle(&request);
    match city.continue_to_acquirer(reply) {
        PlatformReply::CallPeer(call) => call,
        PlatformReply::Answer(response) => {
            panic!("answered {} without calling the acquirer", response.status)
        }
    }
}

fn state_or_problem(reply: PlatformReply) -> Result<ChargeState, ProblemCode> {
    match reply {
        PlatformReply::Answer(response) => answer_or_problem(&response),
        PlatformReply::CallPeer(_) => panic!("no further peer must be called"),
    }
}

#[test]
fn charge_is_paid_and_booked_once() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let bill = request.items[0].key.clone();

    let paid = city.charge(TestKiosk::One, &request);
    assert!(is_paid(&paid));
    assert_eq!(city.charge(TestKiosk::One, &request), paid);
    assert_eq!(city.inquire(TestKiosk::One, request.order), paid);
    city.run_background_jobs();

    assert_eq!(city.orders_charged_for(&bill), [request.order.to_string()]);
    let booked = city.departments.bookings_of(&bill);
    assert_eq!((booked.len(), &booked[0].order), (1, &request.order.to_string()));
}

#[test]
fn admin_page_shows_refusal_reason_by_its_stable_name() {
    let mut city = CityFixture::new();
    let mut request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    request.items[0].payee = "别家".into();
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::BillChanged));
    assert!(city.page("/admin").1.contains("平台未受理 bill-changed"));
}

#[test]
fn order_list_has_amount_outcome_and_no_personal_data() {
    let mut city = CityFixture::new();
    assert_eq!(city.page("/admin/orders"), (200, "[]".to_owned()));
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    assert!(is_paid(&city.charge(TestKiosk::One, &request)));
    let orders: serde_json::Value = serde_json::from_str(&city.page("/admin/orders").1).unwrap();
    assert_eq!(orders[0]["order"], request.order.to_string());
    assert_eq!(orders[0]["total_fen"], request.total.fen());
    assert_eq!(orders[0]["settlement"]["outcome"], "paid");
    assert!(orders[0]["created_ms"].is_u64() && orders[0].get("resident").is_none());
}

#[test]
fn bills_of_one_order_are_paid_together() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let rows = city.bills(TestKiosk::One, &key);
    let request = order_for(OrderId::from_entropy(1), key, &rows);
    assert!(is_paid(&city.charge(TestKiosk::One, &request)));
    city.run_background_jobs();
    for row in &rows {
        assert_eq!(city.departments.bookings_of(&row["bill"]).len(), 1);
    }
}

#[test]
fn paid_bill_is_not_listed_before_it_is_booked() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.charge(TestKiosk::One, &request).unwrap();
    assert!(city.departments.bookings_of(&request.items[0].key).is_empty());
    let rows = city.bills(TestKiosk::One, &request.key);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["bill"] != request.items[0].key));
}

#[test]
fn bill_is_busy_in_an_open_order_and_settled_when_paid() {
    let mut city = CityFixture::new();
    let first = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let second = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &first);
    assert_eq!(city.charge(TestKiosk::Two, &second), Err(ProblemCode::BillBusy));
    let answer = city.serve(&call);
    assert!(is_paid(&state_or_problem(city.resume(&call, Ok(answer)))));
    let third = ChargeRequest { order: OrderId::from_entropy(99), ..second };
    assert_eq!(city.charge(TestKiosk::Two, &third), Err(ProblemCode::BillSettled));
}

#[test]
fn refused_order_stays_refused_when_repeated() {
    let mut city = CityFixture::new();
    let first = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let second = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &first);
    assert_eq!(city.charge(TestKiosk::Two, &second), Err(ProblemCode::BillBusy));
    city.accepts = false;
    let answer = city.serve(&call);
    assert_eq!(state_or_problem(city.resume(&call, Ok(answer))), void(VoidReason::Declined));
    city.accepts = true;

    assert_eq!(city.charge(TestKiosk::Two, &second), Err(ProblemCode::BillBusy));
    assert_eq!(city.inquire(TestKiosk::Two, second.order), void(VoidReason::Refused(ProblemCode::BillBusy)));
    assert!(city.orders_charged_for(&first.items[0].key).is_empty());
}

#[test]
fn declined_order_frees_its_bill() {
    let mut city = CityFixture::new();
    let first = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.accepts = false;
    assert_eq!(city.charge(TestKiosk::One, &first), void(VoidReason::Declined));
    city.accepts = true;
    let second = ChargeRequest { order: OrderId::from_entropy(99), ..first };
    assert!(is_paid(&city.charge(TestKiosk::One, &second)));
}

#[test]
fn charge_with_lost_answer_is_found_by_the_inquiry() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    city.serve(&call);
    assert_eq!(state_or_problem(city.resume(&call, Err(PeerUnreachable))), PENDING);
    assert_eq!(city.charge(TestKiosk::One, &request), PENDING);
    assert!(is_paid(&city.inquire(TestKiosk::One, request.order)));
}

#[test]
fn inquiry_without_acquirer_is_unavailable_not_pending() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    assert_eq!(state_or_problem(city.resume(&call, Err(PeerUnreachable))), PENDING);
    let inquiry = city.signed_post(
        TestKiosk::One,
        routes::INQUIRIES.path,
        &contract::InquiryRequest { order: request.order },
    );
    let PlatformReply::CallPeer(call) = city.handle(&inquiry) else { panic!("the acquirer must be called") };
    assert_eq!(state_or_problem(city.resume(&call, Err(PeerUnreachable))), Err(ProblemCode::Unavailable));
}

#[test]
fn invalid_acquirer_response_is_not_an_outcome() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    let (order, total) = (request.order, request.total.fen());
    let other = OrderId::from_entropy(12345);
    for (status, body) in [
        (200, "<html>系统繁忙</html>".to_owned()),
        (200, String::new()),
        (200, format!(r#"{{"order":"{other}","total":{total},"outcome":"paid","reference":"X","at":1}}"#)),
        (200, format!(r#"{{"order":"{order}","total":{total},"outcome":"perhaps"}}"#)),
        (500, format!(r#"{{"order":"{order}","total":{total},"outcome":"void"}}"#)),
        (409, "conflict".to_owned()),
    ] {
        let result = Ok(PeerAnswer::unsigned(status, body.clone().into_bytes()));
        assert_eq!(state_or_problem(city.resume(&call, result)), PENDING, "{body}");
    }
}

#[test]
fn inquiry_before_the_charge_fences_the_order() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    assert_eq!(city.inquire(TestKiosk::One, request.order), void(VoidReason::Fenced));
    assert_eq!(city.charge(TestKiosk::One, &request), void(VoidReason::Fenced));
    assert_eq!(city.inquire(TestKiosk::One, request.order), void(VoidReason::Fenced));
    assert!(city.orders_charged_for(&request.items[0].key).is_empty());
    let second = ChargeRequest { order: OrderId::from_entropy(99), ..request };
    assert!(is_paid(&city.charge(TestKiosk::One, &second)));
}

#[test]
fn delayed_charge_after_the_inquiry_is_void() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let delayed = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    assert_eq!(city.inquire(TestKiosk::One, request.order), void(VoidReason::Fenced));
    let answer = city.serve(&delayed);
    assert_eq!(state_or_problem(city.resume(&delayed, Ok(answer))), void(VoidReason::Fenced));
    assert!(city.orders_charged_for(&request.items[0].key).is_empty());
}

#[test]
fn platform_inquires_when_the_kiosk_does_not_return() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    city.serve(&call);
    // The answer is lost because the platform was killed; its database holds the open inquiry.
    assert!(city.platform.due_calls(city.now.plus_ms(29_999)).is_empty());
    city.run_background_jobs();
    assert_eq!(city.departments.bookings_of(&request.items[0].key).len(), 1);
}

#[test]
fn inquiries_of_the_platform_back_off() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    let mut asked_at = Vec::new();
    for second in 0..600 {
        let calls = city.platform.due_calls(city.now.plus_ms(second * 1000));
        asked_at.extend(calls.iter().map(|_| second));
    }
    let gaps: Vec<u64> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(&gaps[..6], &[1, 2, 4, 8, 16, 32]);
    assert!(gaps[6..].iter().all(|gap| *gap == 60), "{gaps:?}");
}

#[test]
fn changed_bills_are_refused() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let wang = city.charge_request(TestKiosk::One, WANG_JIANGUO, 0);
    let mut cheaper = request.clone();
    cheaper.items[0].amount = Money::from_fen(1).unwrap();
    cheaper.total = Money::from_fen(1).unwrap();
    let mut diverted = request.clone();
    diverted.items[0].payee = "somebody else".into();
    let mut unknown = request.clone();
    unknown.items[0].key = "w-none".into();
    let mut foreign = request.clone();
    foreign.items = wang.items;
    foreign.total = wang.total;
    for (at, mut bad) in [cheaper, diverted, unknown, foreign].into_iter().enumerate() {
        bad.order = OrderId::from_entropy(1000 + at as u128);
        assert_eq!(city.charge(TestKiosk::One, &bad), Err(ProblemCode::BillChanged), "case {at}");
    }
}

#[test]
fn bill_no_longer_listed_is_refused() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let (bill, now) = (&request.items[0], city.now);
    city.departments.pay_at_counter(&bill.key, bill.amount.fen(), now);
    city.bills(TestKiosk::One, &request.key);
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::BillSettled));
}

#[test]
fn bill_paid_at_the_counter_since_listed_is_not_charged() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let (bill, now) = (&request.items[0], city.now);
    city.departments.pay_at_counter(&bill.key, bill.amount.fen(), now);
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::BillSettled));
    assert!(city.orders_charged_for(&request.items[0].key).is_empty());
}

#[test]
fn order_is_not_charged_while_the_department_is_silent() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let message = city.signed_post(TestKiosk::One, routes::CHARGES.path, &request);
    let PlatformReply::CallPeer(call) = city.handle(&message) else { panic!("the department must be asked") };
    assert_eq!(state_or_problem(city.resume(&call, Err(PeerUnreachable))), Err(ProblemCode::Unavailable));
    assert_eq!(city.inquire(TestKiosk::One, request.order), void(VoidReason::Fenced));
    // The department's answer comes after the inquiry.
    let answer = city.serve(&call);
    assert_eq!(state_or_problem(city.resume(&call, Ok(answer))), void(VoidReason::Fenced));
    assert!(city.orders_charged_for(&request.items[0].key).is_empty());
}

#[test]
fn paid_with_another_total_is_final_and_an_incident() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    let body =
        format!(r#"{{"order":"{}","total":1,"outcome":"paid","reference":"X","at":1}}"#, request.order);
    let result = Ok(PeerAnswer::unsigned(200, body.into_bytes()));
    assert!(is_paid(&state_or_problem(city.resume(&call, result))));
    assert!(is_paid(&city.inquire(TestKiosk::One, request.order)));
    let second = ChargeRequest { order: OrderId::from_entropy(99), ..request.clone() };
    assert_eq!(city.charge(TestKiosk::One, &second), Err(ProblemCode::BillSettled));
    assert!(city.platform.due_calls(city.now.plus_ms(3_600_000)).is_empty(), "neither asked nor posted");
    assert!(city.page("/admin").1.contains("another amount than the order"));
}

#[test]
fn acquirer_that_always_refuses_becomes_an_incident() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    let refusal = || Ok(PeerAnswer::unsigned(422, Vec::new()));
    assert_eq!(state_or_problem(city.resume(&call, refusal())), PENDING);
    let mut asked = 0;
    for _ in 0..60 {
        city.advance(60_000);
        for call in city.platform.due_calls(city.now) {
            asked += 1;
            city.resume(&call, refusal());
        }
    }
    assert!((7..=9).contains(&asked), "asked {asked} times in an hour");
    assert!(city.page("/admin").1.contains("the acquirer refuses every request"));
    // The order has no outcome yet; the acquirer's fence decides when it answers.
    assert_eq!(city.inquire(TestKiosk::One, request.order), void(VoidReason::Fenced));
}

#[test]
fn work_due_by_a_clock_that_was_ahead_is_done_when_it_is_right() {
    let mut city = CityFixture::new();
    let year = 365 * 24 * 3_600_000;
    let paid = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.charge(TestKiosk::One, &paid).unwrap();
    let open = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 1);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &open);
    city.serve(&call);
    assert_eq!(city.platform.due_calls(city.now.plus_ms(year)).len(), 2, "the answers are lost");
    city.run_background_jobs();
    for request in [paid, open] {
        assert_eq!(city.departments.bookings_of(&request.items[0].key).len(), 1);
    }
}

#[test]
fn payment_that_cannot_be_booked_becomes_an_incident() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.charge(TestKiosk::One, &request).unwrap();
    let (bill, now) = (&request.items[0], city.now);
    city.departments.pay_at_counter(&bill.key, bill.amount.fen(), now);
    city.run_background_jobs();
    let (_, page) = city.page("/admin");
    assert!(page.contains(&format!("posting {}", request.order)));
    assert!(city.platform.due_calls(city.now.plus_ms(3_600_000)).is_empty());
}

#[test]
fn payment_is_posted_until_the_department_booked_it() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.charge(TestKiosk::One, &request).unwrap();
    for _ in 0..5 {
        let calls = city.platform.due_calls(city.now);
        assert_eq!(calls.len(), 1);
        city.serve(&calls[0]);
        city.resume(&calls[0], Err(PeerUnreachable));
        assert!(city.platform.due_calls(city.now).is_empty());
        city.advance(600_000);
    }
    city.run_background_jobs();
    assert_eq!(city.departments.bookings_of(&request.items[0].key).len(), 1);
    assert!(city.platform.due_calls(city.now.plus_ms(3_600_000)).is_empty());
}

#[test]
fn order_id_reused_or_of_another_kiosk_is_a_conflict() {
    let mut city = CityFixture::new();
    let first = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let other = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 1);
    city.charge(TestKiosk::One, &first).unwrap();
    let reused = ChargeRequest { order: first.order, ..other };
    assert_eq!(city.charge(TestKiosk::One, &reused), Err(ProblemCode::OrderConflict));
    assert_eq!(city.charge(TestKiosk::Two, &first), Err(ProblemCode::OrderConflict));
    assert_eq!(city.inquire(TestKiosk::Two, first.order), Err(ProblemCode::OrderConflict));
}

#[test]
fn order_with_wrong_total_is_malformed_and_frees_bill() {
    let mut city = CityFixture::new();
    let good = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let mut wrong_total = good.clone();
    wrong_total.total = Money::from_fen(1).unwrap();
    let mut empty = good.clone();
    (empty.items, empty.total) = (Vec::new(), Money::ZERO);
    let mut twice = good.clone();
    twice.items.push(good.items[0].clone());
    twice.total = Money::sum(twice.items.iter().map(|item| item.amount)).unwrap();
    for bad in [wrong_total, empty, twice] {
        assert_eq!(city.charge(TestKiosk::One, &bad), Err(ProblemCode::Malformed));
    }
    assert!(is_paid(&city.charge(TestKiosk::One, &good)));
}

#[test]
fn payment_method_of_another_evidence_is_refused() {
    let mut city = CityFixture::new();
    let by_card = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let method = PaymentMethod::ResidentCode;
    let request = ChargeRequest { method, order: OrderId::from_entropy(1000), ..by_card };
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::NotOffered));
}

#[test]
fn charge_in_an_ended_visit_is_refused_permanently() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    city.advance(15 * 60_000);
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::VisitExpired));
    assert_eq!(
        city.inquire(TestKiosk::One, request.order),
        void(VoidReason::Refused(ProblemCode::VisitExpired))
    );
}

#[test]
fn second_outcome_of_an_order_becomes_an_incident() {
    let mut city = CityFixture::new();
    let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    let call = charge_until_acquirer_call(&mut city, TestKiosk::One, &request);
    let (order, total) = (request.order, request.total.fen());
    let says = |outcome: &str| {
        let body = format!(r#"{{"order":"{order}","total":{total},{outcome}}}"#);
        Ok(PeerAnswer::unsigned(200, body.into_bytes()))
    };
    assert_eq!(
        state_or_problem(city.resume(&call, says(r#""outcome":"declined""#))),
        void(VoidReason::Declined)
    );
    let late = city.resume(&call, says(r#""outcome":"paid","reference":"X","at":1"#));
    assert_eq!(state_or_problem(late), void(VoidReason::Declined));
    let (_, page) = city.page("/admin");
    assert!(page.contains(&format!("order {order}")));
}
