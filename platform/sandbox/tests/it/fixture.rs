//! The fixture of these tests: one sandbox that serves on a free port, and a client that closes its connections.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use reqwest::Method;
use sandbox::shell;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A sandbox that serves until the test ends.
pub(crate) struct RunningSandbox {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl RunningSandbox {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(shell::serve(listener, router, async move {
            let _ = stopped.await;
        }));
        Self { address, stop, serving }
    }

    /// Status and body of the answer.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> reqwest::Result<(u16, String)> {
        let url = format!("http://{}{path}", self.address);
        let request = reqwest::Client::new().request(method, url).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.try_send(Method::POST, path, body).await.unwrap()
    }

    /// Sends a request whose connection must close without an answer.
    pub(crate) async fn post_without_answer(&self, path: &str, body: &str) {
        assert!(self.try_send(Method::POST, path, body).await.is_err());
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        serde_json::from_str(&self.try_send(Method::GET, path, "").await.unwrap().1).unwrap()
    }

    pub(crate) async fn inject_fault(&self, request: &str) {
        assert_eq!(self.post("/faults", request).await.0, 204);
    }

    pub(crate) async fn clear_faults(&self) {
        assert_eq!(self.try_send(Method::DELETE, "/faults", "").await.unwrap().0, 204);
    }

    /// Requests the stop; the sandbox must end by itself.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}
