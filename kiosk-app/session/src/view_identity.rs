//! View identity: whether a touch still means what its view meant.

use view::{Body, View, ViewId};

use crate::front::FrontPlace;

/// What decides the meaning of a touch: where it was made, and what could be seen there. It is derived from the view: what changes
/// with each touch on the same view, as the digits of a PIN and the rows chosen so far, and what says nothing about touches, as
/// the clock, is left out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ViewIdentity {
    place: FrontPlace,
    view: View,
}

impl ViewIdentity {
    pub(crate) fn new(view: &View, place: FrontPlace) -> Self {
        let mut view = view.clone();
        view.id = ViewId(0);
        view.header.clock.clear();
        view.header.link = view::LinkStatus::Online;
        view.lead = None;
        view.banners.clear();
        view.seconds_left = None;
        for action in &mut view.actions {
            action.enabled = true;
        }
        if let Body::Pin(pad) = &mut view.body {
            // The order of the keys stays: a digit meant for the old keys must not land on new ones.
            (pad.entered, pad.problem) = (0, None);
        } else if let Body::Rows(rows) = &mut view.body {
            rows.summary = None;
            for row in &mut rows.rows {
                row.chosen = false;
            }
        } else if let Body::Confirm(confirm) = &mut view.body {
            confirm.pairs.clear();
            for method in &mut confirm.methods {
                method.chosen = false;
            }
        }
        Self { place, view }
    }
}
