//! What a person does and sees at one kiosk: looks at the screen, touches it, brings a card or a phone,
//! takes the paper.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::eyes::{Eyes, Seen};

/// What should appear on a screen appears within this time, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(15);

/// One kiosk from outside.
pub struct Station {
    name: String,
    eyes: Eyes,
    bench: String,
    platform: String,
    http: Client,
}

impl Station {
    pub(crate) fn new(name: &str, eyes: Eyes, bench: SocketAddr, platform: SocketAddr) -> Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        Ok(Self {
            name: name.to_owned(),
            eyes,
            bench: format!("http://{bench}"),
            platform: format!("http://{platform}"),
            http,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Address of its bench.
    #[must_use]
    pub fn bench(&self) -> &str {
        &self.bench
    }

    /// Waits until the screen shows these words.
    ///
    /// # Errors
    /// When it does not; says what it shows.
    pub fn see(&self, words: &str) -> Result<Seen> {
        Ok(self.eyes.wait_for(words, PATIENCE)?)
    }

    /// The same with more patience.
    ///
    /// # Errors
    /// As above.
    pub fn see_within(&self, words: &str, patience: Duration) -> Result<Seen> {
        Ok(self.eyes.wait_for(words, patience)?)
    }

    /// Whether the screen shows these words now.
    ///
    /// # Errors
    /// When nothing can be seen at all.
    pub fn shows(&self, words: &str) -> Result<bool> {
        Ok(self.eyes.look()?.iter().any(|seen| seen.label.contains(words)))
    }

    /// All words on the screen.
    ///
    /// # Errors
    /// When nothing can be seen at all.
    pub fn words(&self) -> Result<Vec<String>> {
        Ok(self.eyes.look()?.into_iter().map(|seen| seen.label).collect())
    }

    /// Touches the button with these words, where it is on the screen.
    ///
    /// # Errors
    /// When there is none within the time, or it cannot be touched.
    pub fn tap(&self, words: &str) -> Result<()> {
        let (x, y) = self.button(words)?;
        self.ask("touch", &json!({ "x": x, "y": y })).map(drop)
    }

    /// Where the middle of the button with these words is, in pixels; waits for it to be there.
    ///
    /// # Errors
    /// As above.
    pub fn button(&self, words: &str) -> Result<(i32, i32)> {
        self.button_within(words, PATIENCE)
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As above.
    pub fn button_within(&self, words: &str, patience: Duration) -> Result<(i32, i32)> {
        let until = Instant::now() + patience;
        loop {
            let seen = self.eyes.look()?;
            if let Some(button) =
                seen.iter().find(|one| one.button && one.enabled && one.label.contains(words))
            {
                return Ok(button.at);
            }
            if Instant::now() >= until {
                let labels: Vec<&str> = seen.iter().map(|one| one.label.as_str()).collect();
                bail!("there is no button `{words}` to touch; on the screen: {}", labels.join(" | "));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Enters a PIN on the pad.
    ///
    /// # Errors
    /// When a key is missing.
    pub fn enter_pin(&self, pin: &str) -> Result<()> {
        for digit in pin.chars() {
            let digit = digit.to_string();
            let seen = self.eyes.look()?;
            let key = seen.iter().find(|one| one.button && one.label == digit).context("a key is missing")?;
            let (x, y) = key.at;
            self.ask("touch", &json!({ "x": x, "y": y }))?;
        }
        Ok(())
    }

    /// Puts the card of a demo resident, or another card by its name, into the slot.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn insert(&self, card: &str) -> Result<()> {
        self.ask("card/insert", &json!({ "resident": card }))
    }

    /// The same with a card as it was made, whatever PIN it was given here before.
    ///
    /// # Errors
    /// As above.
    pub fn insert_new(&self, card: &str) -> Result<()> {
        self.ask("card/insert", &json!({ "resident": card, "new": true }))
    }

    /// Takes the card out.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn take_card(&self) -> Result<()> {
        self.ask("card/remove", &json!({}))
    }

    /// Lays the ID card of a demo resident, or another card by its name, on the ID reader.
    ///
    /// # Errors
    /// When the bench refuses, or the kiosk has no ID reader.
    pub fn lay_id_card(&self, card: &str) -> Result<()> {
        self.ask("id-card/lay", &json!({ "resident": card }))
    }

    /// Takes the ID card off its reader.
    ///
    /// # Errors
    /// As above.
    pub fn lift_id_card(&self) -> Result<()> {
        self.ask("id-card/lift", &json!({}))
    }

    /// A fresh code of a demo resident, as the phone page would show it.
    ///
    /// # Errors
    /// When the platform gives none.
    pub fn fresh_code(&self, resident: &str) -> Result<String> {
        let address = format!("{}/phone/{resident}/token", self.platform);
        let answer: Value = self.http.get(address).send()?.error_for_status()?.json()?;
        let text = answer.get("text").and_then(Value::as_str).context("the phone page gives a text")?;
        Ok(text.to_owned())
    }

    /// Holds a code to the camera.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn show_code(&self, text: &str) -> Result<()> {
        self.ask("camera/show", &json!({ "text": text }))
    }

    /// Holds a phone with this picture on its screen to the camera.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn show_page(&self, png: Vec<u8>) -> Result<()> {
        let answer = self.http.post(format!("{}/camera/page", self.bench)).body(png).send()?;
        answer.error_for_status()?;
        Ok(())
    }

    /// Takes the phone away.
    ///
    /// # Errors
    /// When the bench refuses.
    pub fn hide_code(&self) -> Result<()> {
        self.ask("camera/hide", &json!({}))
    }

    /// How often the green light, the red light and the buzzer of a gate were switched on.
    ///
    /// # Errors
    /// When the bench does not answer, or the kiosk has no light.
    pub fn signalled(&self) -> Result<(u64, u64, u64)> {
        let board: Value = self.get("relays")?.json()?;
        let times = |relay| board.pointer(&format!("/times/{relay}")).and_then(Value::as_u64).unwrap_or(0);
        Ok((times(0), times(1), times(2)))
    }

    /// Switches a fault of a device on or off.
    ///
    /// # Errors
    /// When the bench does not know it.
    pub fn fault(&self, name: &str, on: bool) -> Result<()> {
        self.ask("fault", &json!({ "name": name, "on": on }))
    }

    /// Switches all faults off.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn mend(&self) -> Result<()> {
        self.ask("fault/clear", &json!({}))
    }

    /// When a device first failed by this fault since it was switched on; none: not yet.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn met(&self, fault: &str) -> Result<Option<Instant>> {
        let answer: Value =
            self.http.get(format!("{}/fault/{fault}", self.bench)).send()?.error_for_status()?.json()?;
        let ago = answer.get("met_ms").and_then(Value::as_u64).map(Duration::from_millis);
        Ok(ago.and_then(|ago| Instant::now().checked_sub(ago)))
    }

    /// Holds a code before the scanner.
    ///
    /// # Errors
    /// When this kiosk has none.
    pub fn aim_code(&self, text: &str) -> Result<()> {
        self.ask("scanner/show", &json!({ "text": text }))
    }

    /// Takes it away.
    ///
    /// # Errors
    /// As above.
    pub fn lay_down_code(&self) -> Result<()> {
        self.ask("scanner/hide", &json!({}))
    }

    /// The receipts that lie in the tray, oldest first: text of each.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn papers(&self) -> Result<Vec<String>> {
        let papers: Vec<Value> = self.get("paper")?.json()?;
        Ok(papers.iter().filter_map(|one| one.get("text")?.as_str().map(str::to_owned)).collect())
    }

    /// Picture of a receipt.
    ///
    /// # Errors
    /// When there is none.
    pub fn paper_png(&self, index: usize) -> Result<Vec<u8>> {
        self.picture(&format!("paper/{index}.png"))
    }

    /// How many sheets lie in the tray of the A4 printer.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn sheets(&self) -> Result<usize> {
        Ok(self.get("sheet")?.json::<Vec<String>>()?.len())
    }

    /// Text of a sheet, the oldest being the first.
    ///
    /// # Errors
    /// When there is none.
    pub fn sheet_text(&self, index: usize) -> Result<String> {
        Ok(self.get(&format!("sheet/{index}.txt"))?.text()?)
    }

    /// Picture of a sheet.
    ///
    /// # Errors
    /// When there is none.
    pub fn sheet_png(&self, index: usize) -> Result<Vec<u8>> {
        self.picture(&format!("sheet/{index}.png"))
    }

    /// The code that is on the screen, as a phone reads it: by ZBar, which nothing here shares.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn screen_code(&self) -> Result<String> {
        let picture = tempfile::Builder::new().suffix(".png").tempfile()?;
        std::fs::write(picture.path(), self.screen_png()?)?;
        let output = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(picture.path()).output()?;
        let text = String::from_utf8(output.stdout)?;
        match text.lines().collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).to_owned()),
            codes => bail!("there are {} codes on the screen", codes.len()),
        }
    }

    /// Picture of the screen.
    ///
    /// # Errors
    /// When the bench does not answer.
    pub fn screen_png(&self) -> Result<Vec<u8>> {
        self.picture("screen.png")
    }

    fn picture(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.get(path)?.bytes()?.to_vec())
    }

    fn get(&self, path: &str) -> Result<Response> {
        Ok(self.http.get(format!("{}/{path}", self.bench)).send()?.error_for_status()?)
    }

    fn ask(&self, path: &str, body: &Value) -> Result<()> {
        let address = format!("{}/{path}", self.bench);
        let answer = self.http.post(address).json(body).send()?;
        let status = answer.status();
        if !status.is_success() {
            bail!("the bench refuses {path}: {status} {}", answer.text().unwrap_or_default());
        }
        Ok(())
    }
}
