//! The e-certificates of a resident on their phone.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/licences`, from a phone | the phone's secret | [`ECertificateWallet`] |
//!
//! The library is asked for its list, and then for each licence that is in force.

use std::collections::{BTreeSet, VecDeque};

use contract::{LICENCE_LIST, Level, LicenceKind};
use serde::Serialize;

use crate::context::RequestContext;
use crate::departments::calls::DepartmentAnswer;
use crate::departments::requests::Asker;
use crate::e_certificates::held::{HeldLicence, LicenceState, ListedLicence, Standing};
use crate::e_certificates::library::{LibraryAnswer, call_library, read_licences, read_list};
use crate::e_certificates::shown::titled_items;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::phone_refusal::PhoneRefusal;
use crate::phones::bound_phone::{PhoneRequest, find_phone, parse_phone_body};
use crate::request_error::RequestError;

/// Most licences that a phone is shown.
const SHOWN_MAX: usize = 30;

/// The e-certificates that a resident holds.
#[derive(Clone, Default, Serialize)]
struct ECertificateWallet {
    licences: Vec<HeldECertificate>,
}

/// An e-certificate as its holder sees it on the phone.
#[derive(Clone, Serialize)]
struct HeldECertificate {
    licence: String,
    title: String,
    issuer: String,
    /// Title and masked value of each item. Of a licence that is not in force, or that the library does not give now, there
    /// are only its state and its period.
    items: Vec<(String, String)>,
}

/// A wallet that is being filled. No `Debug`: it has a secret and personal data.
#[derive(Clone)]
struct WalletRequest {
    /// The phone's secret: a phone whose loss is reported meanwhile gets nothing.
    phone: String,
    waiting: VecDeque<ListedLicence>,
    wallet: ECertificateWallet,
}

/// `POST /code/v1/licences`: lists the e-certificates of a phone's resident.
pub(crate) fn list_e_certificates(
    context: &mut RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let PhoneRequest { phone } = parse_phone_body(body)?;
    let request = WalletRequest { phone, waiting: VecDeque::new(), wallet: ECertificateWallet::default() };
    let asker = request.asker(context)?;
    let call = call_library(context, LICENCE_LIST, &asker, move |context, answer| {
        let mut request = request.clone();
        match read_list(context, answer)? {
            LibraryAnswer::Found(mut listed) => {
                listed.sort_by_key(|one| one.state.standing != Standing::InForce);
                // The operation of a kind gives all licences of that kind.
                let mut kinds = BTreeSet::new();
                let first_of_kind = listed.into_iter().filter(|one| kinds.insert(one.kind.clone()));
                request.waiting = first_of_kind.take(SHOWN_MAX).collect();
                request.ask_next(context)
            }
            LibraryAnswer::Refused(_) | LibraryAnswer::Unavailable => Ok(unavailable()),
        }
    })?;
    call.ok_or_else(|| PhoneRefusal::NotOffered.into())
}

/// It is no error: what was recorded of the call stays.
fn unavailable() -> PlatformReply {
    PhoneRefusal::Unavailable.into_response().into()
}

impl WalletRequest {
    fn asker(&self, context: &RequestContext<'_>) -> Result<Asker<'static>, RequestError> {
        let resident = find_phone(context, &self.phone)?.resident;
        Ok(Asker { resident, level: Level::Recognised, kiosk: None, service: None, consent: None })
    }

    /// Asks for the next licence of the list; answers when there is none.
    fn ask_next(mut self, context: &mut RequestContext<'_>) -> Result<PlatformReply, RequestError> {
        let (config, asker) = (context.config, self.asker(context)?);
        while let Some(listed) = self.waiting.pop_front() {
            let Some(kind) = config.operations().licence(&listed.kind) else { continue };
            if listed.state.standing == Standing::InForce {
                let (request, asked) = (self.clone(), listed.clone());
                let call = call_library(context, &kind.operation(), &asker, move |context, answer| {
                    request.clone().on_licences(context, &asked, answer)
                })?;
                if let Some(call) = call {
                    return Ok(call);
                }
            }
            self.wallet.licences.push(HeldECertificate::new(kind, &listed.state, None));
        }
        Ok(PlatformResponse::json(&self.wallet).into())
    }

    /// Continues with the licences of one kind. Without them, there is what the list says.
    fn on_licences(
        mut self,
        context: &mut RequestContext<'_>,
        listed: &ListedLicence,
        answer: Option<DepartmentAnswer>,
    ) -> Result<PlatformReply, RequestError> {
        if let Some(kind) = context.config.operations().licence(&listed.kind) {
            let found = match read_licences(context, kind, answer)? {
                LibraryAnswer::Found(found) => found,
                LibraryAnswer::Refused(_) | LibraryAnswer::Unavailable => Vec::new(),
            };
            let entry = |held: &HeldLicence| HeldECertificate::new(kind, &held.state, Some(held));
            self.wallet.licences.extend(found.iter().map(entry));
            if found.is_empty() {
                self.wallet.licences.push(HeldECertificate::new(kind, &listed.state, None));
            }
        }
        self.ask_next(context)
    }
}

impl HeldECertificate {
    fn new(kind: &LicenceKind, state: &LicenceState, held: Option<&HeldLicence>) -> Self {
        let in_force = held.filter(|_| state.standing == Standing::InForce);
        let mut items = in_force.map(|held| titled_items(kind, held)).unwrap_or_default();
        items.push(("有效期".to_owned(), state.period()));
        items.push(("状态".to_owned(), state.standing.words().0.to_owned()));
        Self { licence: kind.id.clone(), title: kind.title.zh.clone(), issuer: kind.issuer.zh.clone(), items }
    }
}
