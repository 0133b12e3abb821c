//! Arbitrary input: the platform answers every request (I9).

use std::cell::RefCell;

use proptest::prelude::*;
use server::{OutAnswer, Reply, Request, Verb};

use crate::city::{City, Kiosk, ZHANG};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn platform_answers_any_target_and_body(
        target in "[/?=&%a-z0-9]{0,40}|/(r|phone|v1/audit)/\\PC{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        text in "\\PC{0,60}",
    ) {
        thread_local! { static CITY: RefCell<City> = RefCell::new(City::new()); }
        CITY.with_borrow_mut(|city| {
            let mut requests = vec![Request::get(target.clone())];
            let packed = zstd::encode_all(text.as_bytes(), 0).unwrap();
            for path in ["identify", "calls", "charges", "inquiries", "records"] {
                for body in [body.clone(), text.clone().into_bytes(), packed.clone()] {
                    let target = format!("/v1/{path}");
                    let key = Kiosk::One.key();
                    requests.push(Request::signed(Verb::Post, target, body, "K-1", &key, city.now));
                }
            }
            for request in requests {
                let Reply::Done(response) = city.handle(&request) else { panic!("no peer must be called") };
                assert!(matches!(response.status, 200 | 400..=404), "{}", response.status);
            }
        });
    }

    #[test]
    fn platform_handles_any_answer_of_the_acquirer(
        status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        thread_local! { static CITY: RefCell<City> = RefCell::new(City::new()); }
        CITY.with_borrow_mut(|city| {
            let request = city.order(Kiosk::One, ZHANG, 0);
            let message = city.post(Kiosk::One, "/v1/charges", &request);
            let Reply::Ask(call) = city.handle(&message) else { panic!("the acquirer must be called") };
            let reply = city.resume(&call, Ok(OutAnswer { status, body: body.clone() }));
            assert!(matches!(reply, Reply::Done(ref response) if response.status == 200));
            // The inquiry makes the order final and frees the bill for the next case.
            city.inquire(Kiosk::One, request.order).unwrap();
        });
    }
}
