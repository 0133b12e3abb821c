//! Platform, acquirer and department on loopback, connected by HTTP and, to the kiosks, by TLS: a code is shown, a bill
//! is paid over a broken link, the kiosk inquires, and the department books the payment once.

use std::net::SocketAddr;
use std::time::Duration;

use contract::routes;
use contract::{
    CallAnswer, ChargeState, IdentifyAnswer, IdentifyRequest, InquiryRequest, OrderId, PaymentMethod,
    PresentedCredential, PublicationSources, Settlement, VisitId,
};
use reqwest::StatusCode;
use rusqlite::Connection;
use sandbox::acquirer::ChargeLedger;
use sandbox::{acquirer, department};
use serde::{Serialize, de::DeserializeOwned};
use server::Platform;
use server::PlatformSetup;
use server::shell::tls::KioskListener;
use server::shell::{self, KioskEndpoint, PeerUrls};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::departments::{department_list, sandbox_departments};
use crate::fixture::{DOCUMENTS, TestKiosk, call_request, order_for, setup};
use crate::kiosk_client::{KioskClient, SealedRequest, TestCertificateAuthority, envelope};
use crate::publications::{published_as, sources};

pub(crate) struct RunningServers {
    pub(crate) authority: TestCertificateAuthority,
    pub(crate) kiosks: SocketAddr,
    pub(crate) platform: String,
    pub(crate) acquirer: String,
    department: String,
    pub(crate) stop: watch::Sender<()>,
    running: Vec<JoinHandle<()>>,
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) async fn start() -> RunningServers {
    let authority = TestCertificateAuthority::new();
    let (stop, stopped) = watch::channel(());
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.changed().await;
        }
    };
    let in_memory = || Connection::open_in_memory().unwrap();
    let ((at_acquirer, acquirer), (at_department, department)) = (listen().await, listen().await);
    let (at_platform, platform) = listen().await;
    let ledger = ChargeLedger::open(in_memory()).unwrap();
    let [acquirer_url, department_url, platform_url] =
        [acquirer, department, platform].map(|address| format!("http://{address}"));
    let peers = PeerUrls { acquirer: acquirer_url.clone(), identity: String::new() };
    let listener = KioskListener::new(listen().await.0, authority.platform()).unwrap();
    let kiosks = listener.address();
    let side = KioskEndpoint { listener, envelope_keys: vec![envelope()] };
    let departments = department_list(&department_url);
    let sources = PublicationSources { departments, ..sources(DOCUMENTS.map(str::to_owned)) };
    let platform =
        Platform::open(in_memory(), PlatformSetup { publication: published_as(1, sources), ..setup() })
            .unwrap();
    let serving = shell::serve(at_platform, side, platform, peers, None, stopped.clone());
    let charging = sandbox::shell::serve(at_acquirer, acquirer::router(ledger), until_stopped());
    let booking =
        sandbox::shell::serve(at_department, department::router(sandbox_departments()), until_stopped());
    let running = vec![
        tokio::spawn(async { charging.await.unwrap() }),
        tokio::spawn(async { booking.await.unwrap() }),
        tokio::spawn(async { serving.await.unwrap() }),
    ];
    RunningServers {
        authority,
        kiosks,
        platform: platform_url,
        acquirer: acquirer_url,
        department: department_url,
        stop,
        running,
    }
}

impl RunningServers {
    pub(crate) fn link(&self) -> KioskClient {
        KioskClient::new(self.kiosks, &self.authority.kiosk(TestKiosk::One.id()))
    }

    pub(crate) async fn ask<T: Serialize, A: DeserializeOwned>(&self, target: &str, body: &T) -> A {
        let call = SealedRequest::new(TestKiosk::One, target, &serde_json::to_vec(body).unwrap());
        let (status, answer) = self.link().send(&call).await.unwrap();
        assert_eq!(status, 200, "{target}");
        serde_json::from_slice(&call.opened(status, &answer).unwrap()).unwrap()
    }

    async fn inject_fault(&self, url: &str, order: &str) {
        let request = reqwest::Client::new().post(format!("{url}/faults"));
        let response = request.header("content-type", "application/json").body(order.to_owned());
        assert_eq!(response.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }

    pub(crate) async fn get(&self, url: &str, target: &str) -> String {
        reqwest::get(format!("{url}{target}")).await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn list(&self, url: &str, target: &str) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.get(url, target).await).unwrap()
    }
}

#[tokio::test]
async fn bill_is_paid_and_booked_once_over_broken_links() {
    let servers = start().await;
    let shown: serde_json::Value =
        serde_json::from_str(&servers.get(&servers.platform, "/phone/zhang-guiying/token").await).unwrap();
    let presented = PresentedCredential::Code { text: shown["text"].as_str().unwrap().to_owned() };
    let visit = VisitId::from_entropy(1);
    let holder: IdentifyAnswer =
        servers.ask(routes::IDENTIFY.path, &IdentifyRequest { visit, presented }).await;
    let request = call_request(&holder.key, "water.pay", "water.bills", None);
    let bills: CallAnswer = servers.ask(routes::CALLS.path, &request).await;
    let mut order = order_for(OrderId::from_entropy(7), holder.key.clone(), &bills.rows[..1]);
    order.method = PaymentMethod::ResidentCode;

    // The acquirer charges and closes the connection; the department closes it before it books, then after.
    servers.inject_fault(&servers.acquirer, r#"{"fault":"drop-after","count":1}"#).await;
    let state: ChargeState = servers.ask(routes::CHARGES.path, &order).await;
    assert_eq!(state, ChargeState::Pending);
    servers
        .inject_fault(&format!("{}/water", servers.department), r#"{"fault":"drop-before","count":1}"#)
        .await;
    servers
        .inject_fault(&format!("{}/water", servers.department), r#"{"fault":"drop-after","count":1}"#)
        .await;
    let state: ChargeState =
        servers.ask(routes::INQUIRIES.path, &InquiryRequest { order: order.order }).await;
    let paid = matches!(state, ChargeState::Settled { settlement: Settlement::Paid { .. } });
    assert!(paid, "{state:?}");

    while servers.list(&servers.department, "/payments").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(servers.list(&servers.acquirer, "/charges").await.len(), 1);
    assert!(servers.get(&servers.platform, "/admin").await.contains("已缴"));

    servers.stop.send(()).unwrap();
    for task in servers.running {
        task.await.unwrap();
    }
}
