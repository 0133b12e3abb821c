//! View identity: whether a touch still means what its view meant.

use view::{Body, LinkStatus, Text, View};

/// Whether a touch means the same on both views, which stand in the same place: they show the same, apart from what changes with
/// each touch on one view, as the digits of a PIN and the rows chosen so far, and from what says nothing about touches, as
/// the clock.
pub(crate) fn means_the_same(one: &View, other: &View) -> bool {
    one == other || lasting_content(one) == lasting_content(other)
}

/// What decides the meaning of a touch.
fn lasting_content(view: &View) -> View {
    let mut view = view.clone();
    view.header.clock.clear();
    view.header.link = LinkStatus::Online;
    view.lead = None;
    view.banners.clear();
    view.seconds_left = None;
    for action in &mut view.actions {
        action.enabled = true;
    }
    if let Body::Pin(pad) = &mut view.body {
        // The order of the keys stays: a digit meant for the old keys must not land on new ones.
        (pad.entered, pad.problem) = (0, None);
    } else if let Body::Entry(pad) = &mut view.body {
        // The keys stay where they are; what the button says changes with each digit.
        (pad.entered, pad.missing, pad.problem) = Default::default();
        pad.x_key = pad.x_key.map(|_| true);
        for action in &mut view.actions {
            action.text = Text::Data(String::new());
        }
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
    view
}
