//! Intents: what a touch means.

use crate::body::SignInMethod;

/// What a resident wants with a touch; the same for pointer, keyboard and switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Go one step back.
    Back,
    /// Go to the menu, or to the welcome view when nobody is signed in.
    Home,
    /// Call for staff.
    Help,
    /// End the visit.
    EndVisit,
    /// Switch to the other language.
    SwitchLanguage,
    /// Switch to the other token set.
    SwitchTheme,
    /// Stay in the visit: the resident is still present.
    StillHere,
    /// Explain this sign-in method.
    ExplainSignIn(SignInMethod),
    /// Open the service of this tile, counted from 0 over the whole menu.
    OpenTile(u16),
    /// Open the list of services of this scene, counted from 0 in the order of the scenes.
    OpenScene(u8),
    /// Open those services of the scene that only show what is recorded.
    OpenLookups,
    /// Select or deselect this row, counted from 0 over all rows; or show the whole row.
    ToggleRow(u16),
    /// Show this page of rows or tiles, counted from 0.
    ShowPage(u16),
    /// Choose this payment method, counted from 0.
    ChooseMethod(u8),
    /// Enter this PIN digit, 0–9.
    PinDigit(u8),
    /// Delete the last PIN digit.
    PinErase,
    /// Enter this digit, 0–9.
    EntryDigit(u8),
    /// Enter the check character X of an ID number.
    EntryX,
    /// Delete the last character that was entered.
    EntryErase,
    /// Answer with this option, counted from 0.
    ChooseOption(u8),
    /// Perform the primary action of the view.
    Primary,
    /// Perform the secondary action of the view.
    Secondary,
}
