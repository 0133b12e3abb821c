//! Who comes in by the kiosks' listener, and who does not.

use contract::{
    Identified, IdentifyRequest, InquireRequest, OrderId, Presented, Problem, ProblemCode, VisitId,
};
use server::shell::{self, KioskSide, Peers};
use server::tls::KioskListener;
use server::{Platform, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::city::{Kiosk, ZHANG, card, setup};
use crate::http::start;
use crate::link::{Authority, Call, Identity, Link, envelope, split};

fn inquiry() -> Vec<u8> {
    serde_json::to_vec(&InquireRequest { order: OrderId::from_entropy(1) }).unwrap()
}

/// The refusal that came in the open.
fn refusal(answer: (u16, Vec<u8>)) -> ProblemCode {
    let problem: Problem = serde_json::from_slice(&answer.1).unwrap();
    assert_eq!(problem.status, answer.0);
    problem.code
}

#[tokio::test]
async fn without_a_certificate_of_the_city_in_force_there_is_no_connection() {
    let servers = start().await;
    let device = Kiosk::One.id();
    let authority = &servers.authority;
    let turned_away: [(&str, Identity); 4] = [
        ("none", authority.nobody()),
        ("another authority's", authority.forged(device)),
        ("expired", authority.kiosk_until(device, 2020)),
        ("for a platform's use", authority.misused(device)),
    ];
    let call = Call::new(Kiosk::One, "/v1/inquiries", &inquiry());
    for (what, identity) in turned_away {
        assert!(Link::new(servers.kiosks, &identity).send(&call).await.is_err(), "{what}");
    }
    let (status, answer) = servers.link().send(&call).await.unwrap();
    assert_eq!(status, 200);
    assert!(call.opened(status, &answer).is_ok());
}

#[tokio::test]
async fn a_certificate_does_not_speak_for_another_device() {
    let servers = start().await;
    let other = Link::new(servers.kiosks, &servers.authority.kiosk(Kiosk::Two.id()));
    let call = Call::new(Kiosk::One, "/v1/inquiries", &inquiry());
    assert_eq!(refusal(other.send(&call).await.unwrap()), ProblemCode::DeviceUnknown);
    let its_own = Call::new(Kiosk::Two, "/v1/inquiries", &inquiry());
    assert_eq!(other.send(&its_own).await.unwrap().0, 200);
}

#[tokio::test]
async fn what_is_not_tls_gets_no_answer_and_holds_up_nobody() {
    let servers = start().await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(servers.kiosks).await.unwrap());
    }
    let mut plain = TcpStream::connect(servers.kiosks).await.unwrap();
    plain.write_all(b"GET /v1/changes?since=0 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(split(&answer).is_none(), "{}", String::from_utf8_lossy(&answer));
    let call = Call::new(Kiosk::One, "/v1/inquiries", &inquiry());
    assert_eq!(servers.link().send(&call).await.unwrap().0, 200);
}

#[tokio::test]
async fn each_listener_serves_its_own_and_nothing_else() {
    let servers = start().await;
    for target in ["/v1/changes?since=0", "/v1/identify"] {
        let url = format!("{}{target}", servers.platform);
        assert_eq!(reqwest::get(url).await.unwrap().status().as_u16(), 404, "{target}");
    }
    for target in ["/admin", "/phone/zhang-guiying", "/v1/audit/K-1", "/r/1", "/"] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = servers.link().raw(request.as_bytes()).await.unwrap();
        assert_eq!(refusal(answer), ProblemCode::NotOffered, "{target}");
    }
    assert!(servers.get(&servers.platform, "/admin").await.contains("<html"));
}

#[tokio::test]
async fn an_unsigned_an_unsealed_and_a_changed_body_are_refused() {
    let servers = start().await;
    let link = servers.link();
    let mut unsealed = Call::new(Kiosk::One, "/v1/inquiries", &inquiry());
    unsealed.request = server::Request::signed(
        server::Verb::Post,
        "/v1/inquiries",
        inquiry(),
        Kiosk::One.name(),
        &Kiosk::One.key(),
        contract::UnixMs(1),
    );
    assert_eq!(refusal(link.send(&unsealed).await.unwrap()), ProblemCode::Malformed);

    let mut changed = Call::new(Kiosk::One, "/v1/inquiries", &inquiry());
    *changed.request.body.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(link.send(&changed).await.unwrap()), ProblemCode::DeviceUnknown);

    // Signed anew by a kiosk that took over another's envelope.
    let captured = Call::new(Kiosk::Two, "/v1/inquiries", &inquiry());
    let mut stolen = Call::new(Kiosk::One, "/v1/inquiries", &inquiry());
    stolen.request = server::Request::signed(
        server::Verb::Post,
        "/v1/inquiries",
        captured.request.body,
        Kiosk::One.name(),
        &Kiosk::One.key(),
        contract::UnixMs(1),
    );
    assert_eq!(refusal(link.send(&stolen).await.unwrap()), ProblemCode::Malformed);
}

#[tokio::test]
async fn a_captured_request_sent_again_changes_nothing_and_tells_nothing() {
    let servers = start().await;
    let visit = VisitId::from_entropy(1);
    let presented = Presented::Card(card(ZHANG));
    let holder: Identified = servers.ask("/v1/identify", &IdentifyRequest { visit, presented }).await;
    let request = contract::CallRequest {
        key: holder.key.clone(),
        operation: "water.bills".into(),
        consent: None,
        service: "water.pay".into(),
    };
    let bills: contract::CallAnswer = servers.ask("/v1/calls", &request).await;
    let order = crate::city::order_for(OrderId::from_entropy(7), holder.key.clone(), &bills.rows[..1]);
    let call = Call::new(Kiosk::One, "/v1/charges", &serde_json::to_vec(&order).unwrap());
    let (status, first) = servers.link().send(&call).await.unwrap();
    let told = call.opened(status, &first).unwrap();
    let (status, again) = servers.link().send(&call).await.unwrap();
    assert_eq!(call.opened(status, &again).unwrap(), told);
    assert_eq!(servers.list(&servers.acquirer, "/charges").await.len(), 1);
    // The two answers are sealed apart: beside their version, hardly a byte stands where it stood.
    let same = first.iter().zip(&again).filter(|(one, two)| one == two).count();
    assert!(same < first.len() / 4, "{same} of {}", first.len());
}

#[tokio::test]
async fn a_device_that_was_taken_off_the_list_is_refused_whatever_its_certificate_says() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = KioskListener::new(listener, authority.platform()).unwrap();
    let kiosks = listener.address();
    let devices = setup().devices.into_iter().filter(|device| device.id != Kiosk::One.id()).collect();
    let db = rusqlite::Connection::open_in_memory().unwrap();
    let platform = Platform::open(db, Setup { devices, ..setup() }).unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(());
    let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peers = Peers { acquirer: String::new(), department: String::new(), identity: String::new() };
    let side = KioskSide { listener, keys: vec![envelope()] };
    tokio::spawn(shell::serve(pages, side, platform, peers, stopped));
    for (kiosk, taken) in [(Kiosk::One, true), (Kiosk::Two, false)] {
        let link = Link::new(kiosks, &authority.kiosk(kiosk.id()));
        let answer = link.send(&Call::new(kiosk, "/v1/inquiries", &inquiry())).await.unwrap();
        if taken {
            assert_eq!(refusal(answer), ProblemCode::DeviceUnknown);
        } else {
            assert_eq!(answer.0, 200);
        }
    }
}
