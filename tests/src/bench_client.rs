//! Client of one kiosk's bench and screen: reads the screen, touches it, inserts cards, shows codes, reads the
//! printouts, switches faults.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use emulator::rig_control::RigRequest;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use view::TextId;

use crate::a11y_client::{A11yClient, A11yElement};
use crate::process::wait_until;
use crate::screen_text::{ScreenText, ScreenTexts, TextPattern};

/// Time in which an expected text appears on the screen; long enough on two busy cores.
const TEXT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a button of the menu is looked for before the next place is tried.
const TILE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How many of the last screens an error says.
const SCREENS_SAID: usize = 3;
/// More pages than any list of the menu has.
const MENU_PAGES_MAX: usize = 8;

/// Client of one kiosk.
pub struct BenchClient {
    name: String,
    a11y: A11yClient,
    bench_url: String,
    platform_url: String,
    http: Client,
    texts: ScreenTexts,
}

impl BenchClient {
    pub(crate) fn new(
        name: &str,
        a11y: A11yClient,
        bench: SocketAddr,
        platform: SocketAddr,
        texts: ScreenTexts,
    ) -> Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?;
        Ok(Self {
            name: name.to_owned(),
            a11y,
            bench_url: format!("http://{bench}"),
            platform_url: format!("http://{platform}"),
            http,
            texts,
        })
    }

    /// Name of the kiosk's site.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Base URL of the kiosk's bench.
    #[must_use]
    pub fn bench_url(&self) -> &str {
        &self.bench_url
    }

    /// Waits up to `TEXT_TIMEOUT` until the screen shows this text.
    ///
    /// # Errors
    /// When it does not; the error holds the texts on the screen.
    pub fn wait_for_text(&self, text: impl Into<ScreenText>) -> Result<A11yElement> {
        self.wait_for_text_within(text, TEXT_TIMEOUT)
    }

    /// Waits up to `timeout` until the screen shows this text.
    ///
    /// # Errors
    /// When it does not; the error holds the texts on the screen.
    pub fn wait_for_text_within(
        &self,
        text: impl Into<ScreenText>,
        timeout: Duration,
    ) -> Result<A11yElement> {
        let pattern = self.pattern(text)?;
        self.wait_for_element(&format!("`{pattern}`"), timeout, |seen| pattern.matches(&seen.label))
    }

    /// Waits up to `timeout` until the screen shows one of these texts; returns the first of them that it shows.
    ///
    /// # Errors
    /// When it shows none; the error holds the texts on the screen.
    pub fn wait_for_any_text<'a>(
        &self,
        texts: &'a [ScreenText],
        timeout: Duration,
    ) -> Result<&'a ScreenText> {
        let patterns: Vec<TextPattern> =
            texts.iter().map(|text| self.texts.pattern(text)).collect::<Result<_>>()?;
        let wanted = patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" or ");
        let shown = self.wait_for_element(&wanted, timeout, |seen| {
            patterns.iter().any(|pattern| pattern.matches(&seen.label))
        })?;
        let first = texts.iter().zip(&patterns).find(|(_, pattern)| pattern.matches(&shown.label));
        first.map(|(text, _)| text).context("the element that was just found")
    }

    /// Whether the screen shows this text now.
    ///
    /// # Errors
    /// When the accessibility bus cannot be reached.
    pub fn shows_text(&self, text: impl Into<ScreenText>) -> Result<bool> {
        Ok(self.pattern(text)?.matches_any(&self.visible_texts()?))
    }

    /// The words of this text.
    ///
    /// # Errors
    /// When no service document has it.
    pub fn pattern(&self, text: impl Into<ScreenText>) -> Result<TextPattern> {
        self.texts.pattern(&text.into())
    }

    /// All texts on the screen.
    ///
    /// # Errors
    /// When the accessibility bus cannot be reached.
    pub fn visible_texts(&self) -> Result<Vec<String>> {
        Ok(self.a11y.elements()?.into_iter().map(|seen| seen.label).collect())
    }

    /// Touches the first enabled button whose name contains this text.
    ///
    /// # Errors
    /// When there is none within `TEXT_TIMEOUT`, or the bench does not answer.
    pub fn tap_button(&self, text: impl Into<ScreenText>) -> Result<()> {
        let (x, y) = self.button_center(text)?;
        self.post("touch", &json!({ "x": x, "y": y })).map(drop)
    }

    /// Opens a service from the menu: on the first page of home, or in the list of its scene, page by page.
    ///
    /// # Errors
    /// When the menu does not have it, or the bench does not answer.
    pub fn open_service(&self, service: &'static str) -> Result<()> {
        self.open_tile(&ScreenText::Service(service), service)
    }

    /// Opens a service that is not among the repository's, by its title; it is in the same scene as the service `beside`.
    ///
    /// # Errors
    /// When the menu does not have it, or the bench does not answer.
    pub fn open_service_titled(&self, title: &str, beside: &'static str) -> Result<()> {
        self.open_tile(&ScreenText::data(title), beside)
    }

    /// Opens a tile of the menu, which is in the scene of this service.
    fn open_tile(&self, tile: &ScreenText, in_scene_of: &'static str) -> Result<()> {
        self.wait_for_text(TextId::MenuTitle)?;
        if self.tap_if_shown(tile)? {
            return Ok(());
        }
        let scene = self.texts.scene_of(in_scene_of)?;
        if !self.tap_if_shown(&scene)? {
            self.tap_button(TextId::MenuMore)?;
            self.tap_button(scene)?;
        }
        let further = [TextId::MenuLookups, TextId::MenuMore, TextId::RowsNext].map(ScreenText::Fixed);
        for _ in 0..MENU_PAGES_MAX {
            if self.tap_if_shown(tile)? {
                return Ok(());
            }
            for button in &further {
                if self.tap_if_shown(button)? {
                    break;
                }
            }
        }
        bail!("the menu does not have {tile:?}: {:?}", self.visible_texts()?)
    }

    /// Touches an enabled button whose name contains this text, if it is shown now or soon.
    fn tap_if_shown(&self, text: &ScreenText) -> Result<bool> {
        let Ok((x, y)) = self.button_center_within(text.clone(), TILE_TIMEOUT) else { return Ok(false) };
        self.post("touch", &json!({ "x": x, "y": y }))?;
        Ok(true)
    }

    /// Touches the first row of a list of which rows can be chosen.
    ///
    /// # Errors
    /// When there is none within `TEXT_TIMEOUT`, or the bench does not answer.
    pub fn choose_first_row(&self) -> Result<()> {
        let row = self.wait_for_element("a row that can be chosen", TEXT_TIMEOUT, |seen| {
            seen.is_choice && seen.is_enabled
        })?;
        let (x, y) = row.center;
        self.post("touch", &json!({ "x": x, "y": y }))
    }

    /// Waits up to `TEXT_TIMEOUT` for an enabled button whose name contains this text; returns its centre in pixels.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn button_center(&self, text: impl Into<ScreenText>) -> Result<(i32, i32)> {
        self.button_center_within(text, TEXT_TIMEOUT)
    }

    /// Waits up to `timeout` for an enabled button whose name contains this text; returns its centre in pixels.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn button_center_within(&self, text: impl Into<ScreenText>, timeout: Duration) -> Result<(i32, i32)> {
        let pattern = self.pattern(text)?;
        let button = self.wait_for_element(&format!("an enabled button `{pattern}`"), timeout, |seen| {
            seen.is_button && seen.is_enabled && pattern.matches(&seen.label)
        })?;
        Ok(button.center)
    }

    /// Waits until an element fits; prefers elements that can be pressed.
    fn wait_for_element(
        &self,
        wanted: &str,
        timeout: Duration,
        fits: impl Fn(&A11yElement) -> bool,
    ) -> Result<A11yElement> {
        // A text may be shown for less time than a stalled machine takes to read the screen once.
        let mut screens: Vec<Vec<String>> = Vec::new();
        let (mut longest, mut reads) = (Duration::ZERO, 0_u32);
        wait_until(wanted, timeout, || {
            let started = Instant::now();
            let screen = self.a11y.elements()?;
            (longest, reads) = (longest.max(started.elapsed()), reads + 1);
            let labels: Vec<String> = screen.iter().map(|seen| seen.label.clone()).collect();
            if screens.last() != Some(&labels) {
                screens.push(labels);
            }
            let mut fitting = screen.iter().filter(|seen| fits(seen));
            let first = fitting.clone().next();
            Ok(fitting.find(|seen| seen.is_button).or(first).cloned())
        })
        .with_context(|| {
            let shown: Vec<String> =
                screens.iter().rev().take(SCREENS_SAID).rev().map(|labels| labels.join(" | ")).collect();
            let reads = format!("{reads} times, each in at most {} ms", longest.as_millis());
            format!("the screen, read {reads}, did not show {wanted}; it showed: {}", shown.join(" → "))
        })
    }

    /// Enters a PIN on the PIN pad of the screen.
    ///
    /// # Errors
    /// When a key is not on the screen.
    pub fn enter_pin(&self, pin: &str) -> Result<()> {
        for digit in pin.chars() {
            let digit = digit.to_string();
            let seen = self.a11y.elements()?;
            let key = seen
                .iter()
                .find(|one| one.is_button && one.label == digit)
                .context("a key of the PIN pad is not on the screen")?;
            let (x, y) = key.center;
            self.post("touch", &json!({ "x": x, "y": y }))?;
        }
        Ok(())
    }

    /// Inserts the card of a demo resident, or another card by its name on the bench.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn insert_card(&self, card: &str) -> Result<()> {
        self.post("card/insert", &json!({ "resident": card }))
    }

    /// Inserts a card in its issued state, with the original PIN and all PIN tries.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn insert_new_card(&self, card: &str) -> Result<()> {
        self.post("card/insert", &json!({ "resident": card, "new": true }))
    }

    /// Removes the card from the slot.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn remove_card(&self) -> Result<()> {
        self.post("card/remove", &json!({}))
    }

    /// Places the ID card of a demo resident, or another card by its name on the bench, on the ID reader.
    ///
    /// # Errors
    /// When the bench refuses, or the kiosk has no ID reader.
    pub fn place_id_card(&self, card: &str) -> Result<()> {
        self.post("id-card/lay", &json!({ "resident": card }))
    }

    /// Removes the ID card from the ID reader.
    ///
    /// # Errors
    /// When the bench refuses, or the kiosk has no ID reader.
    pub fn remove_id_card(&self) -> Result<()> {
        self.post("id-card/lift", &json!({}))
    }

    /// A fresh resident code of a demo resident, as the platform's demo phone page shows it.
    ///
    /// # Errors
    /// When the platform does not issue one.
    pub fn fresh_code(&self, resident: &str) -> Result<String> {
        let address = format!("{}/phone/{resident}/token", self.platform_url);
        let answer: Value = self.http.get(address).send()?.error_for_status()?.json()?;
        let text = answer.get("text").and_then(Value::as_str).context("the response has no `text`")?;
        Ok(text.to_owned())
    }

    /// Shows a code to the camera.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn show_code(&self, text: &str) -> Result<()> {
        self.post("camera/show", &json!({ "text": text }))
    }

    /// Shows a phone with this picture on its screen to the camera.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn show_phone_page(&self, png: Vec<u8>) -> Result<()> {
        let answer = self.http.post(format!("{}/camera/page", self.bench_url)).body(png).send()?;
        answer.error_for_status()?;
        Ok(())
    }

    /// Removes the phone from the camera's view.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn hide_code(&self) -> Result<()> {
        self.post("camera/hide", &json!({}))
    }

    /// How often the green light, the red light and the buzzer of a gate were switched on.
    ///
    /// # Errors
    /// When the bench does not answer, or the kiosk has no relay board.
    pub fn relay_close_counts(&self) -> Result<(u64, u64, u64)> {
        let board: Value = self.get("relays")?.json()?;
        let times = |relay| board.pointer(&format!("/times/{relay}")).and_then(Value::as_u64).unwrap_or(0);
        Ok((times(0), times(1), times(2)))
    }

    /// Switches a named fault on or off.
    ///
    /// # Errors
    /// When no fault has this name.
    pub fn set_fault(&self, name: &str, on: bool) -> Result<()> {
        self.post("fault", &json!({ "name": name, "on": on }))
    }

    /// Switches all faults of this kiosk off.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn clear_faults(&self) -> Result<()> {
        self.post("fault/clear", &json!({}))
    }

    /// When this fault first took effect since it was switched on; `None` if it has not yet.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn fault_hit_at(&self, fault: &str) -> Result<Option<Instant>> {
        let answer: Value =
            self.http.get(format!("{}/fault/{fault}", self.bench_url)).send()?.error_for_status()?.json()?;
        let ago = answer.get("met_ms").and_then(Value::as_u64).map(Duration::from_millis);
        Ok(ago.and_then(|ago| Instant::now().checked_sub(ago)))
    }

    /// Waits up to `timeout` until this fault has taken effect since it was switched on; returns when it did.
    ///
    /// # Errors
    /// When it has not in time, or the bench does not answer.
    pub fn wait_for_fault(&self, fault: &str, timeout: Duration) -> Result<Instant> {
        wait_until(&format!("the fault `{fault}` to take effect"), timeout, || self.fault_hit_at(fault))
    }

    /// Asks the rig around the bench, as its page does.
    ///
    /// # Errors
    /// When the rig refuses; the error holds its reason.
    pub fn ask_rig(&self, request: &RigRequest) -> Result<Value> {
        let answer = self.http.post(format!("{}/rig", self.bench_url)).json(request).send()?;
        if !answer.status().is_success() {
            bail!("{}", answer.text()?);
        }
        Ok(answer.json()?)
    }

    /// Shows a fresh resident code with one byte changed to the camera.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn show_forged_code(&self, resident: &str) -> Result<()> {
        self.post("camera/forge", &json!({ "resident": resident }))
    }

    /// Shows a code to the scanner.
    ///
    /// # Errors
    /// When the kiosk has no scanner.
    pub fn show_code_to_scanner(&self, text: &str) -> Result<()> {
        self.post("scanner/show", &json!({ "text": text }))
    }

    /// Removes the code from the scanner's view.
    ///
    /// # Errors
    /// When the kiosk has no scanner.
    pub fn hide_code_from_scanner(&self) -> Result<()> {
        self.post("scanner/hide", &json!({}))
    }

    /// Texts of the printed receipts, oldest first.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn receipts(&self) -> Result<Vec<String>> {
        let papers: Vec<Value> = self.get("paper")?.json()?;
        Ok(papers.iter().filter_map(|one| one.get("text")?.as_str().map(str::to_owned)).collect())
    }

    /// Picture (PNG) of a receipt; index 0 is the oldest.
    ///
    /// # Errors
    /// When there is no receipt with this index.
    pub fn receipt_png(&self, index: usize) -> Result<Vec<u8>> {
        self.get_png(&format!("paper/{index}.png"))
    }

    /// Number of A4 documents in the tray of the document printer.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn document_count(&self) -> Result<usize> {
        Ok(self.get("sheet")?.json::<Vec<String>>()?.len())
    }

    /// Text of an A4 document; index 0 is the oldest.
    ///
    /// # Errors
    /// When there is no document with this index.
    pub fn document_text(&self, index: usize) -> Result<String> {
        Ok(self.get(&format!("sheet/{index}.txt"))?.text()?)
    }

    /// Picture (PNG) of the first page of an A4 document; index 0 is the oldest.
    ///
    /// # Errors
    /// When there is no document with this index.
    pub fn document_png(&self, index: usize) -> Result<Vec<u8>> {
        self.get_png(&format!("sheet/{index}.png"))
    }

    /// Text of the QR code on the screen, decoded by ZBar, which shares no code with this repository.
    ///
    /// # Errors
    /// When the screen shows no code, or more than one.
    pub fn screen_code(&self) -> Result<String> {
        let picture = tempfile::Builder::new().suffix(".png").tempfile()?;
        std::fs::write(picture.path(), self.screen_png()?)?;
        let output = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(picture.path()).output()?;
        let text = String::from_utf8(output.stdout)?;
        match text.lines().collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).to_owned()),
            codes => bail!("expected 1 code on the screen, found {}", codes.len()),
        }
    }

    /// Screenshot (PNG).
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn screen_png(&self) -> Result<Vec<u8>> {
        self.get_png("screen.png")
    }

    fn get_png(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.get(path)?.bytes()?.to_vec())
    }

    fn get(&self, path: &str) -> Result<Response> {
        Ok(self.http.get(format!("{}/{path}", self.bench_url)).send()?.error_for_status()?)
    }

    fn post(&self, path: &str, body: &Value) -> Result<()> {
        let address = format!("{}/{path}", self.bench_url);
        let answer = self.http.post(address).json(body).send()?;
        let status = answer.status();
        if !status.is_success() {
            bail!("bench request {path} failed: {status} {}", answer.text().unwrap_or_default());
        }
        Ok(())
    }
}
