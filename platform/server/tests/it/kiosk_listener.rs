//! The kiosks' listener: TLS client certificates, signatures, envelopes and routes.

use contract::routes;
use contract::{
    IdentifyAnswer, IdentifyRequest, InquiryRequest, OrderId, PresentedCredential, Problem, ProblemCode,
    VisitId,
};
use server::shell::tls::KioskListener;
use server::shell::{self, KioskEndpoint, PeerUrls};
use server::{Platform, PlatformSetup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{TestKiosk, ZHANG_GUIYING, card_evidence, setup};
use crate::http::start;
use crate::kiosk_client::{
    KioskClient, SealedRequest, TestCertificateAuthority, TlsIdentity, envelope, split_response,
};

fn inquiry() -> Vec<u8> {
    serde_json::to_vec(&InquiryRequest { order: OrderId::from_entropy(1) }).unwrap()
}

/// The problem code of an unsealed answer.
fn refusal(answer: (u16, Vec<u8>)) -> ProblemCode {
    let problem: Problem = serde_json::from_slice(&answer.1).unwrap();
    assert_eq!(problem.status, answer.0);
    problem.code
}

#[tokio::test]
async fn connection_needs_a_valid_client_certificate_of_the_city() {
    let servers = start().await;
    let device = TestKiosk::One.id();
    let authority = &servers.authority;
    let refused: [(&str, TlsIdentity); 4] = [
        ("none", authority.no_identity()),
        ("another authority's", authority.forged(device)),
        ("expired", authority.kiosk_until(device, 2020)),
        ("for a platform's use", authority.misused(device)),
    ];
    let call = SealedRequest::new(TestKiosk::One, routes::INQUIRIES.path, &inquiry());
    for (what, identity) in refused {
        assert!(KioskClient::new(servers.kiosks, &identity).send(&call).await.is_err(), "{what}");
    }
    let (status, answer) = servers.link().send(&call).await.unwrap();
    assert_eq!(status, 200);
    assert!(call.opened(status, &answer).is_ok());
}

#[tokio::test]
async fn certificate_is_refused_for_another_kiosk_id() {
    let servers = start().await;
    let other = KioskClient::new(servers.kiosks, &servers.authority.kiosk(TestKiosk::Two.id()));
    let call = SealedRequest::new(TestKiosk::One, routes::INQUIRIES.path, &inquiry());
    assert_eq!(refusal(other.send(&call).await.unwrap()), ProblemCode::DeviceUnknown);
    let its_own = SealedRequest::new(TestKiosk::Two, routes::INQUIRIES.path, &inquiry());
    assert_eq!(other.send(&its_own).await.unwrap().0, 200);
}

#[tokio::test]
async fn plain_or_silent_connections_do_not_block_others() {
    let servers = start().await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(servers.kiosks).await.unwrap());
    }
    let mut plain = TcpStream::connect(servers.kiosks).await.unwrap();
    plain.write_all(b"GET /v1/changes?since=0 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(split_response(&answer).is_none(), "{}", String::from_utf8_lossy(&answer));
    let call = SealedRequest::new(TestKiosk::One, routes::INQUIRIES.path, &inquiry());
    assert_eq!(servers.link().send(&call).await.unwrap().0, 200);
}

#[tokio::test]
async fn listeners_serve_only_their_own_routes() {
    let servers = start().await;
    for target in [routes::changes_target(0, None).as_str(), routes::IDENTIFY.path] {
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
async fn unsealed_changed_or_stolen_body_is_refused() {
    let servers = start().await;
    let link = servers.link();
    let mut unsealed = SealedRequest::new(TestKiosk::One, routes::INQUIRIES.path, &inquiry());
    unsealed.request = server::PlatformRequest::signed(
        contract::HttpMethod::Post,
        routes::INQUIRIES.path,
        inquiry(),
        TestKiosk::One.name(),
        &TestKiosk::One.key(),
        contract::UnixMs(1),
    );
    assert_eq!(refusal(link.send(&unsealed).await.unwrap()), ProblemCode::Malformed);

    let mut changed = SealedRequest::new(TestKiosk::One, routes::INQUIRIES.path, &inquiry());
    *changed.request.body.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(link.send(&changed).await.unwrap()), ProblemCode::DeviceUnknown);

    // A kiosk signs a request with the envelope of another kiosk.
    let captured = SealedRequest::new(TestKiosk::Two, routes::INQUIRIES.path, &inquiry());
    let mut stolen = SealedRequest::new(TestKiosk::One, routes::INQUIRIES.path, &inquiry());
    stolen.request = server::PlatformRequest::signed(
        contract::HttpMethod::Post,
        routes::INQUIRIES.path,
        captured.request.body,
        TestKiosk::One.name(),
        &TestKiosk::One.key(),
        contract::UnixMs(1),
    );
    assert_eq!(refusal(link.send(&stolen).await.unwrap()), ProblemCode::Malformed);
}

#[tokio::test]
async fn replayed_request_changes_and_reveals_nothing() {
    let servers = start().await;
    let visit = VisitId::from_entropy(1);
    let presented = PresentedCredential::Card(card_evidence(ZHANG_GUIYING));
    let holder: IdentifyAnswer =
        servers.ask(routes::IDENTIFY.path, &IdentifyRequest { visit, presented }).await;
    let request = crate::fixture::call_request(&holder.key, "water.pay", "water.bills", None);
    let bills: contract::CallAnswer = servers.ask(routes::CALLS.path, &request).await;
    let order = crate::fixture::order_for(OrderId::from_entropy(7), holder.key.clone(), &bills.rows[..1]);
    let call = SealedRequest::new(TestKiosk::One, routes::CHARGES.path, &serde_json::to_vec(&order).unwrap());
    let (status, first) = servers.link().send(&call).await.unwrap();
    let state = call.opened(status, &first).unwrap();
    let (status, again) = servers.link().send(&call).await.unwrap();
    assert_eq!(call.opened(status, &again).unwrap(), state);
    assert_eq!(servers.list(&servers.acquirer, "/charges").await.len(), 1);
    // Each answer is sealed with fresh random bytes: apart from the version, the two have hardly a byte in common.
    let same = first.iter().zip(&again).filter(|(one, two)| one == two).count();
    assert!(same < first.len() / 4, "{same} of {}", first.len());
}

#[tokio::test]
async fn kiosk_removed_from_the_list_is_refused() {
    let authority = TestCertificateAuthority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = KioskListener::new(listener, authority.platform()).unwrap();
    let kiosks = listener.address();
    let devices = setup().kiosks.into_iter().filter(|device| device.id != TestKiosk::One.id()).collect();
    let db = rusqlite::Connection::open_in_memory().unwrap();
    let platform = Platform::open(db, PlatformSetup { kiosks: devices, ..setup() }).unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(());
    let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peers = PeerUrls { acquirer: String::new(), identity: String::new() };
    let side = KioskEndpoint { listener, envelope_keys: vec![envelope()] };
    tokio::spawn(shell::serve(pages, side, platform, peers, None, stopped));
    for (kiosk, taken) in [(TestKiosk::One, true), (TestKiosk::Two, false)] {
        let link = KioskClient::new(kiosks, &authority.kiosk(kiosk.id()));
        let answer = link.send(&SealedRequest::new(kiosk, routes::INQUIRIES.path, &inquiry())).await.unwrap();
        if taken {
            assert_eq!(refusal(answer), ProblemCode::DeviceUnknown);
        } else {
            // The request was admitted, and its answer is sealed; the acquirer of this test does not answer.
            assert_eq!(answer.0, 503);
        }
    }
}
