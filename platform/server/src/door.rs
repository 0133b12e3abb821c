//! What a kiosk's request must pass before the platform looks at it: the certificate is the signer's, the
//! signature is over the bytes as sent, and the envelope opens. In this order: what no kiosk signed is
//! refused without being opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Addressed, AnswerKey, DeviceId, EnvelopeSecret, ProblemCode};
use rustls::pki_types::{CertificateDer, ServerName};
use zeroize::Zeroize as _;

use crate::device::{self, Device};
use crate::fail::{Fail, malformed};
use crate::wire::{Request, Response};

/// The door of one platform.
pub(crate) struct Door {
    devices: Arc<BTreeMap<DeviceId, Device>>,
    keys: Vec<EnvelopeSecret>,
}

/// A request that came through the door. No `Debug`; its body is wiped on drop.
pub(crate) struct Admitted {
    request: Request,
    device: DeviceId,
}

impl Admitted {
    pub(crate) const fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) const fn device(&self) -> DeviceId {
        self.device
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.request.body.zeroize();
    }
}

impl Door {
    pub(crate) const fn new(devices: Arc<BTreeMap<DeviceId, Device>>, keys: Vec<EnvelopeSecret>) -> Self {
        Self { devices, keys }
    }

    /// Lets a request in that came over a connection with this certificate, and says what seals its answer.
    ///
    /// # Errors
    /// The refusal. It is not sealed: whoever sent this may be no kiosk at all.
    pub(crate) fn admit(
        &self,
        mut request: Request,
        certificate: &CertificateDer<'_>,
    ) -> Result<(Admitted, Option<AnswerKey>), Response> {
        match self.opened(&request, certificate) {
            Ok((device, Some((mut body, answer)))) => {
                request.body = std::mem::take(&mut *body);
                Ok((Admitted { request, device }, Some(answer)))
            }
            Ok((device, None)) => Ok((Admitted { request, device }, None)),
            Err(fail) => {
                let response = fail.into_response();
                let who = request.device.as_deref().and_then(|id| id.parse::<DeviceId>().ok());
                let title = String::from_utf8_lossy(&response.body);
                tracing::warn!(device = ?who.map(|id| id.to_string()), refusal = %title, "refused at the door");
                Err(response)
            }
        }
    }

    fn opened(
        &self,
        request: &Request,
        certificate: &CertificateDer<'_>,
    ) -> Result<(DeviceId, Opened), Fail> {
        let device = device::signer(&self.devices, request)?.id;
        if !certifies(certificate, device) {
            return Err(ProblemCode::DeviceUnknown.because("the certificate is not this device's").into());
        }
        if request.body.is_empty() {
            return Ok((device, None));
        }
        let to = Addressed {
            method: request.verb.name(),
            target: &request.target,
            device: request.device.as_deref().unwrap_or_default(),
            time: request.time.as_deref().unwrap_or_default(),
        };
        let opened = EnvelopeSecret::open(&self.keys, &request.body, to);
        Ok((device, Some(opened.map_err(|error| malformed(&error.to_string()))?)))
    }
}

type Opened = Option<(zeroize::Zeroizing<Vec<u8>>, AnswerKey)>;

/// Whether a certificate, which the city's authority issued, is this device's.
fn certifies(certificate: &CertificateDer<'_>, device: DeviceId) -> bool {
    let name = ServerName::try_from(device.certificate_name());
    let certificate = webpki::EndEntityCert::try_from(certificate);
    matches!((certificate, name), (Ok(certificate), Ok(name))
        if certificate.verify_is_valid_for_subject_name(&name).is_ok())
}
