//! Arbitrary input: the platform answers every request (I9).

use contract::{HttpMethod, routes};
use std::cell::RefCell;

use proptest::prelude::*;
use server::{PeerAnswer, PlatformReply, PlatformRequest};

use crate::fixture::{CityFixture, TestKiosk, ZHANG_GUIYING};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn platform_answers_any_target_and_body(
        target in "[/?=&%a-z0-9]{0,40}|/(r|phone|v1/audit)/\\PC{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        text in "\\PC{0,60}",
    ) {
        thread_local! { static CITY: RefCell<CityFixture> = RefCell::new(CityFixture::new()); }
        CITY.with_borrow_mut(|city| {
            let mut requests = vec![PlatformRequest::get(target.clone())];
            let packed = zstd::encode_all(text.as_bytes(), 0).unwrap();
            for path in ["identify", "calls", "charges", "inquiries", "records"] {
                for body in [body.clone(), text.clone().into_bytes(), packed.clone()] {
                    let target = format!("/v1/{path}");
                    let key = TestKiosk::One.key();
                    requests.push(PlatformRequest::signed(HttpMethod::Post, target, body, "K-1", &key, city.now));
                }
            }
            for request in requests {
                let PlatformReply::Answer(response) = city.handle(&request) else { panic!("no peer must be called") };
                assert!(matches!(response.status, 200 | 400..=404), "{}", response.status);
            }
        });
    }

    #[test]
    fn platform_handles_any_answer_of_the_acquirer(
        status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        thread_local! { static CITY: RefCell<CityFixture> = RefCell::new(CityFixture::new()); }
        CITY.with_borrow_mut(|city| {
            let request = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
            let message = city.signed_post(TestKiosk::One, routes::CHARGES.path, &request);
            let reply = city.handle(&message);
            let PlatformReply::CallPeer(call) = city.continue_to_acquirer(reply) else {
                panic!("the acquirer must be called")
            };
            let reply = city.resume(&call, Ok(PeerAnswer::unsigned(status, body.clone())));
            assert!(matches!(reply, PlatformReply::Answer(ref response) if response.status == 200));
            // The inquiry makes the order final and frees the bill for the next case.
            city.inquire(TestKiosk::One, request.order).unwrap();
        });
    }
}
