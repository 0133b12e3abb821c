//! What a touch means.

use crate::body::Way;

/// What a resident wants by a touch. The same for pointer, keyboard and switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// One step back.
    Back,
    /// To the menu, or to the welcome view when nobody is signed in.
    Home,
    /// A person is needed.
    Help,
    /// End the visit.
    Leave,
    /// The other language.
    SwitchLanguage,
    /// The other token set.
    SwitchTheme,
    /// I am still here.
    More,
    /// How does this way of signing in work?
    Explain(Way),
    /// Open what this tile stands for, counted from 0 over the whole menu.
    Open(u16),
    /// Choose or drop this row, counted from 0 over all rows.
    Toggle(u16),
    /// Show another page of rows.
    Page(u16),
    /// Pay this way, counted from 0.
    Method(u8),
    /// A PIN digit, 0–9.
    Digit(u8),
    /// Take the last digit back.
    Erase,
    /// The primary action of the view.
    Go,
    /// The other action of the view.
    Other,
}
