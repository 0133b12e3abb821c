//! Contrast of every pair of text and background colours (WCAG 2.2, relative luminance).

use std::collections::BTreeMap;

fn colours() -> BTreeMap<String, [f64; 3]> {
    let theme = include_str!("../../ui/theme.slint");
    let mut colours = BTreeMap::new();
    for line in theme.lines() {
        let Some((name, value)) =
            line.trim().strip_prefix("out property <color> ").and_then(|rest| rest.split_once(": #"))
        else {
            continue;
        };
        let channel = |at: usize| f64::from(u8::from_str_radix(&value[at..at + 2], 16).unwrap()) / 255.0;
        colours.insert(name.to_owned(), [channel(0), channel(2), channel(4)]);
    }
    colours
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

#[test]
fn text_contrast_is_at_least_seven_to_one() {
    let colours = colours();
    let pairs = [
        ("ink", "bg"),
        ("ink", "surface"),
        ("ink", "surface2"),
        ("ink", "brand-soft"),
        ("ink2", "bg"),
        ("ink2", "surface"),
        ("ink2", "surface2"),
        ("ink2", "brand-soft"),
        ("brand", "surface"),
        ("brand-ink", "brand"),
        ("brand-ink", "brand-pressed"),
        ("ok", "ok-soft"),
        ("stop", "stop-soft"),
        ("stop", "bg"),
        ("stop", "surface2"),
        ("wait", "wait-soft"),
        ("brand-ink", "ok"),
        ("brand-ink", "stop"),
        ("brand-ink", "wait"),
    ];
    for (text, ground) in pairs {
        let (a, b) = (luminance(colours[text]), luminance(colours[ground]));
        let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
        assert!(contrast >= 7.0, "{text} on {ground}: {contrast:.2}");
    }
}
