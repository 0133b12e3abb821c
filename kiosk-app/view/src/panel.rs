//! How much a panel has room for.
//!
//! What does not fit is put on another page, never drawn smaller. Lengths here are in units of the theme: pixels of a portrait panel of
//! 1080×1920. The screen scales the theme to the panel; a test of the screen draws the fullest menu on each tested panel.

use crate::Theme;

/// Size of a panel in pixels, as it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Default for Panel {
    /// The portrait panel that the theme is designed for.
    fn default() -> Self {
        Self { width: 1080, height: 1920 }
    }
}

/// Sizes of a token set, in units of the theme.
struct Sizes {
    /// Header, title, lead, footer, the gaps between them, and one row of buttons.
    around_body: u32,
    /// Least height of a touchable element.
    target: u32,
    /// A banner with two lines of explanation, and the gap below it.
    banner: u32,
    /// Height of a line of body text.
    line: u32,
    /// Width of body text, for one half width of a Chinese character.
    half_width: u32,
}

const STANDARD: Sizes = Sizes { around_body: 694, target: 128, banner: 240, line: 49, half_width: 18 };
const ELDER: Sizes = Sizes { around_body: 795, target: 160, banner: 320, line: 65, half_width: 24 };
/// Between two tiles.
const GAP: u32 = 24;
/// Left and right of a body.
const MARGINS: u32 = 80;

const fn sizes(theme: Theme) -> &'static Sizes {
    match theme {
        Theme::Standard => &STANDARD,
        Theme::Elder => &ELDER,
    }
}

impl Panel {
    /// Whether parts of a body are placed side by side.
    #[must_use]
    pub const fn is_landscape(self) -> bool {
        self.width > self.height
    }

    /// Width and height in units of the theme. Everything is drawn smaller in landscape: 78 %, for half the height.
    fn units(self) -> (u32, u32) {
        let (width, height) = (u64::from(self.width.max(1)), u64::from(self.height.max(1)));
        let (of_width, of_height) = if self.is_landscape() { (2461, 1385) } else { (1080, 1920) };
        // The side that is the scarcer one decides the scale.
        let scaled = if width * of_height <= height * of_width {
            (of_width, height * of_width / width)
        } else {
            (width * of_height / height, of_height)
        };
        (u32::try_from(scaled.0).unwrap_or(u32::MAX), u32::try_from(scaled.1).unwrap_or(u32::MAX))
    }

    /// Height of a body with one row of buttons below it and so many banners above it, in units of the theme.
    fn body_height(self, theme: Theme, banners: usize) -> u32 {
        let sizes = sizes(theme);
        let banners = u32::try_from(banners).unwrap_or(u32::MAX).saturating_mul(sizes.banner);
        self.units().1.saturating_sub(sizes.around_body).saturating_sub(banners)
    }

    /// Columns of the tiles of a menu that needs all its room.
    #[must_use]
    pub const fn tile_columns(self, theme: Theme) -> usize {
        match (self.is_landscape(), theme) {
            (true, Theme::Standard) => 3,
            (true, Theme::Elder) | (false, Theme::Standard) => 2,
            (false, Theme::Elder) => 1,
        }
    }

    /// Most tiles of one view with so many banners: at full size without a banner, and never below the least height of a touchable
    /// element. At most four in large text.
    #[must_use]
    pub fn tiles(self, theme: Theme, banners: usize) -> usize {
        let target = sizes(theme).target;
        let (rows_max, full) = match (self.is_landscape(), theme) {
            (true, Theme::Standard) => (3, target * 3 / 2),
            // Narrow tiles have two lines of each text.
            (false, Theme::Standard) => (5, target * 43 / 25),
            (true, Theme::Elder) => (2, target * 3 / 2),
            (false, Theme::Elder) => (4, target * 3 / 2),
        };
        let row = if banners == 0 { full } else { target };
        let rows = (self.body_height(theme, banners) + GAP) / (row + GAP);
        let rows = usize::try_from(rows.clamp(1, rows_max)).unwrap_or(1);
        rows * self.tile_columns(theme)
    }

    /// How many labelled values fit on each page, for pairs of label and value with these lengths in half widths of a Chinese
    /// character. Empty when there are none.
    #[must_use]
    pub fn pages_of_values(self, theme: Theme, lengths: &[(usize, usize)]) -> Vec<usize> {
        let sizes = sizes(theme);
        let width = self.units().0.saturating_sub(MARGINS);
        let in_line = |percent: u32| {
            usize::try_from((width * percent / 100).saturating_sub(GAP) / sizes.half_width)
                .unwrap_or(1)
                .max(1)
        };
        let (in_label, in_value) = (in_line(28), in_line(72));
        let padding = if self.is_landscape() { GAP } else { 2 * GAP };
        let room = self.body_height(theme, 0);
        let (mut pages, mut used): (Vec<usize>, u32) = (Vec::new(), 0);
        for (label, value) in lengths {
            let lines = label.div_ceil(in_label).max(value.div_ceil(in_value)).max(1);
            let lines = u32::try_from(lines).unwrap_or(u32::MAX);
            let height = lines.saturating_mul(sizes.line).saturating_add(padding);
            match pages.last_mut() {
                Some(count) if used.saturating_add(height) <= room => {
                    *count += 1;
                    used = used.saturating_add(height);
                }
                Some(_) | None => {
                    pages.push(1);
                    used = height;
                }
            }
        }
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTRAIT: Panel = Panel { width: 1080, height: 1920 };
    const LANDSCAPE: Panel = Panel { width: 1920, height: 1080 };
    const VILLAGE: Panel = Panel { width: 1280, height: 800 };

    #[test]
    fn tiles_that_fit_depend_on_panel_edition_and_banners() {
        for (panel, standard) in
            [(PORTRAIT, [10, 10, 10, 6]), (LANDSCAPE, [9, 9, 3, 3]), (VILLAGE, [9, 9, 6, 3])]
        {
            assert_eq!(
                [0, 1, 2, 3].map(|banners| panel.tiles(Theme::Standard, banners)),
                standard,
                "{panel:?}"
            );
            assert_eq!(panel.tiles(Theme::Elder, 0), 4, "{panel:?}");
        }
        assert_eq!(PORTRAIT.tiles(Theme::Elder, 1), 4);
        assert_eq!(LANDSCAPE.tiles(Theme::Elder, 1), 2);
    }

    #[test]
    fn every_panel_has_room_for_some_tiles() {
        for (width, height) in [(480, 480), (480, 4096), (4096, 480), (1024, 768), (600, 800)] {
            for banners in 0..9 {
                assert!(Panel { width, height }.tiles(Theme::Standard, banners) >= 2);
                assert!((1..=4).contains(&Panel { width, height }.tiles(Theme::Elder, banners)));
            }
        }
    }

    #[test]
    fn long_value_takes_the_room_of_its_lines() {
        let long = (8, 400);
        for panel in [PORTRAIT, LANDSCAPE, VILLAGE] {
            for theme in [Theme::Standard, Theme::Elder] {
                assert_eq!(panel.pages_of_values(theme, &[(8, 20); 4]), [4]);
                assert_eq!(panel.pages_of_values(theme, &[]), [0; 0]);
                let pages = panel.pages_of_values(theme, &[long; 6]);
                assert_eq!(pages.iter().sum::<usize>(), 6);
                assert!(pages.len() >= 2, "{panel:?} {theme:?}: {pages:?}");
            }
        }
        assert_eq!(LANDSCAPE.pages_of_values(Theme::Elder, &[long, (8, 8), (8, 8)]), [2, 1]);
    }
}
