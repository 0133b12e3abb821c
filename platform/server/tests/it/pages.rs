//! The HTML pages of the platform.

use crate::fixture::{CityFixture, RESIDENTS, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING};

#[test]
fn phone_page_shows_masked_name_and_a_new_code() {
    let mut city = CityFixture::new();
    let (status, page) = city.page("/phone/zhang-guiying");
    assert_eq!(status, 200);
    assert!(page.contains("张*英") && !page.contains("张桂英"));
    assert!(!page.contains("{{"));
    assert_ne!(city.online_token(ZHANG_GUIYING), city.online_token(ZHANG_GUIYING));
    for target in ["/phone/nobody", "/phone/nobody/token", "/", "/v1/nothing", "/r/1/2"] {
        assert!((400..500).contains(&city.page(target).0), "{target}");
    }
}

#[test]
fn token_comes_with_its_qr_code_and_lifetime() {
    let mut city = CityFixture::new();
    let (_, body) = city.page("/phone/wang-jianguo/token");
    let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(shown["lives_ms"], 60_000);
    assert!(shown["text"].as_str().unwrap().starts_with("YK1:"));
    assert!(shown["svg"].as_str().unwrap().starts_with("<svg"));
}

#[test]
fn admin_page_shows_no_personal_data() {
    let mut city = CityFixture::new();
    for person in [ZHANG_GUIYING, WANG_JIANGUO] {
        let request = city.charge_request(TestKiosk::One, person, 0);
        city.charge(TestKiosk::One, &request).unwrap();
        city.online_token(person);
    }
    let (status, page) = city.page("/admin");
    assert_eq!(status, 200);
    assert!(page.contains("已缴") && page.contains("待入账"), "the page shows orders");
    let file: toml::Table = RESIDENTS.parse().unwrap();
    for resident in file["resident"].as_array().unwrap() {
        let card = &resident["card"];
        let bills = resident.get("bill").and_then(toml::Value::as_array).into_iter().flatten();
        let addresses = bills.map(|bill| &bill["address"]);
        let secrets = [&resident["name"], &resident["id_number"], &card["number"], &card["identification"]];
        for secret in secrets.into_iter().chain(addresses) {
            assert!(!page.contains(secret.as_str().unwrap()));
        }
    }
}
