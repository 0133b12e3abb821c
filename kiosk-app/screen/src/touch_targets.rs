//! Test of all touchable elements in every sample view: each has an accessible name, is completely on the panel, large
//! enough and disjoint from the others, and a touch on its centre has the same intent as its accessible action.

use std::cell::RefCell;
use std::rc::Rc;

use i_slint_backend_testing::{
    AccessibleRole, ElementHandle, ElementQuery, TestingBackend, TestingBackendOptions,
};
use slint::platform::PointerEventButton;
use view::{Intent, Lang, Theme};

use crate::Screen;
use crate::samples;

/// Minimum side of a touchable element, in thousandths of the panel's shorter side: 15 mm on panels of
/// 27 and 21.5 inches, whose shorter sides are 336 and 268 mm, and 9 mm on one of 10 inches.
const SIDE_MIN: f32 = 56.0;

struct Target {
    label: String,
    enabled: bool,
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
    element: ElementHandle,
}

impl Target {
    /// Whether this is the same element: the query returns an element once for each component it inherits from.
    fn is_same(&self, other: &Self) -> bool {
        self.label == other.label
            && (self.left - other.left).abs() < 0.5
            && (self.top - other.top).abs() < 0.5
            && (self.right - other.right).abs() < 0.5
            && (self.bottom - other.bottom).abs() < 0.5
    }
}

fn targets(screen: &Screen) -> Vec<Target> {
    let mut all: Vec<Target> = Vec::new();
    let buttons = ElementQuery::from_root(screen.app())
        .match_descendants()
        .match_accessible_role(AccessibleRole::Button)
        .find_all();
    for element in buttons {
        let (at, size) = (element.absolute_position(), element.size());
        let target = Target {
            label: element.accessible_label().unwrap_or_default().to_string(),
            enabled: element.accessible_enabled().unwrap_or(true),
            left: at.x,
            top: at.y,
            right: at.x + size.width,
            bottom: at.y + size.height,
            element,
        };
        if target.element.computed_opacity() > 0.0 && !all.iter().any(|other| other.is_same(&target)) {
            all.push(target);
        }
    }
    all
}

fn defects(screen: &Screen, (width, height): (u32, u32), touched: &RefCell<Vec<Intent>>) -> Vec<String> {
    #[allow(clippy::cast_precision_loss)] // sides of a panel
    let (width, height) = (width as f32, height as f32);
    let side_min = width.min(height) * SIDE_MIN / 1000.0;
    let all = targets(screen);
    let mut found = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let label = &one.label;
        if label.trim().is_empty() {
            found.push(format!("touchable element without a name at {},{}", one.left, one.top));
        }
        if one.left < 0.0 || one.top < 0.0 || one.right > width + 0.5 || one.bottom > height + 0.5 {
            found.push(format!("`{label}` exceeds the panel: to {},{}", one.right, one.bottom));
        }
        let side = (one.right - one.left).min(one.bottom - one.top);
        if side < side_min {
            found.push(format!("`{label}` is {side} pixels, less than {side_min}"));
        }
        for other in all.iter().skip(at + 1) {
            let apart = one.right <= other.left
                || other.right <= one.left
                || one.bottom <= other.top
                || other.bottom <= one.top;
            if !apart {
                found.push(format!("`{label}` overlaps `{}`", other.label));
            }
        }
        touched.borrow_mut().clear();
        one.element.invoke_accessible_default_action();
        let meant = touched.take();
        one.element.mock_single_click(PointerEventButton::Left);
        let got = touched.take();
        if one.enabled && (got.len() != 1 || got != meant) {
            found.push(format!("a touch on `{label}` gives {got:?}, its accessible action {meant:?}"));
        }
        if !one.enabled && !got.is_empty() {
            found.push(format!("`{label}` is disabled but gives {got:?}"));
        }
    }
    found
}

#[test]
fn touchable_elements_of_every_view_are_usable() {
    let backend = TestingBackend::new(TestingBackendOptions {
        mock_time: true,
        threading: false,
        renderer_name: Some("software".into()),
    });
    slint::platform::set_platform(Box::new(backend)).unwrap();
    let mut found = Vec::new();
    let mut seen = 0;
    for (panel, size) in samples::PANELS {
        let screen = Screen::new(Some(size)).unwrap();
        let touched = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&touched);
        screen.set_touch_handler(move |_, intent| sink.borrow_mut().push(intent));
        for lang in [Lang::Zh, Lang::En] {
            for theme in [Theme::Standard, Theme::Elder] {
                for (sample, view) in samples::all(lang, theme, size) {
                    screen.show(&view);
                    // A snapshot computes the layout.
                    screen.snapshot().unwrap();
                    seen += targets(&screen).len();
                    let name = format!("{sample} {panel} {theme:?} {lang:?}");
                    found.extend(
                        defects(&screen, size, &touched)
                            .into_iter()
                            .map(|defect| format!("{name}: {defect}")),
                    );
                }
            }
        }
    }
    assert!(seen > 500, "only {seen} touchable elements were found");
    assert!(found.is_empty(), "{} defects:\n{}", found.len(), found.join("\n"));
}
