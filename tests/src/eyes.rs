//! Eyes of the script: what is on the kiosk's screen, read as a screen reader reads it (AT-SPI 2).
//!
//! The real program is looked at from outside: no back door, no test mode. What these eyes cannot find, a
//! blind resident's screen reader cannot find either. Touches are made elsewhere, with a pointer, at the
//! places found here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zbus::blocking::{Connection, Proxy, connection};
use zbus::zvariant::OwnedObjectPath;

/// Most elements looked at in one glance: far above any view, far below endless.
const ELEMENTS_MAX: usize = 2_000;
/// `COORD_TYPE_SCREEN` of AT-SPI.
const SCREEN_COORDINATES: u32 = 0;
/// What can be pressed: `ROLE_CHECK_BOX`, `ROLE_PUSH_BUTTON` and `ROLE_TOGGLE_BUTTON` of AT-SPI.
const PRESSABLE: [u32; 3] = [7, 43, 62];

/// Why nothing could be seen.
#[derive(Debug, thiserror::Error)]
pub enum Blind {
    /// The accessibility bus cannot be reached.
    #[error("the accessibility bus cannot be reached: is at-spi-bus-launcher running?")]
    Bus(#[from] zbus::Error),
    /// What was looked for did not appear.
    #[error("`{wanted}` did not appear within {seconds} s; on the screen: {seen}")]
    NotSeen {
        /// What was looked for.
        wanted: String,
        /// How long.
        seconds: u64,
        /// What there was instead.
        seen: String,
    },
}

/// One element of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its accessible name.
    pub label: String,
    /// Something to press.
    pub button: bool,
    /// It can be pressed now.
    pub enabled: bool,
    /// Its middle, in pixels of the screen.
    pub at: (i32, i32),
}

/// A connection to the accessibility bus.
pub struct Eyes {
    bus: Connection,
}

type Reference = (String, OwnedObjectPath);

impl Eyes {
    /// Opens the eyes: asks the session bus for the accessibility bus.
    ///
    /// # Errors
    /// When either bus cannot be reached.
    pub fn open(session_bus: &str) -> Result<Self, Blind> {
        let session = connection::Builder::address(session_bus)?.build()?;
        let status = Proxy::new(&session, "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Status")?;
        // Toolkits wake their accessibility only when somebody listens.
        status.set_property("IsEnabled", true).map_err(zbus::Error::from)?;
        status.set_property("ScreenReaderEnabled", true).map_err(zbus::Error::from)?;
        let bus = Proxy::new(&session, "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus")?;
        let address: String = bus.call("GetAddress", &())?;
        Ok(Self { bus: connection::Builder::address(address.as_str())?.build()? })
    }

    /// Everything with a name that is shown now.
    ///
    /// # Errors
    /// When the bus is gone. An element that vanishes while it is looked at is left out.
    pub fn look(&self) -> Result<Vec<Seen>, Blind> {
        let root = OwnedObjectPath::try_from("/org/a11y/atspi/accessible/root").map_err(zbus::Error::from)?;
        let mut queue: VecDeque<Reference> = VecDeque::new();
        queue.push_back(("org.a11y.atspi.Registry".to_owned(), root));
        let mut seen = Vec::new();
        let mut looked = 0;
        while let Some((name, path)) = queue.pop_front() {
            looked += 1;
            if looked > ELEMENTS_MAX {
                break;
            }
            let Ok(element) = Proxy::new(&self.bus, name.as_str(), &path, "org.a11y.atspi.Accessible") else {
                continue;
            };
            let children: Vec<Reference> = element.call("GetChildren", &()).unwrap_or_default();
            queue.extend(children);
            if let Some(one) = self.see(&element, &name, &path) {
                seen.push(one);
            }
        }
        Ok(seen)
    }

    fn see(&self, element: &Proxy<'_>, name: &str, path: &OwnedObjectPath) -> Option<Seen> {
        let label: String = element.get_property("Name").ok()?;
        if label.is_empty() {
            return None;
        }
        let role: u32 = element.call("GetRole", &()).ok()?;
        let states: Vec<u32> = element.call("GetState", &()).ok()?;
        let component = Proxy::new(&self.bus, name, path, "org.a11y.atspi.Component").ok()?;
        let extents: (i32, i32, i32, i32) = component.call("GetExtents", &(SCREEN_COORDINATES,)).ok()?;
        let (x, y, w, h) = extents;
        // State 8 is ENABLED, 24 SENSITIVE (atspi-constants.h).
        let enabled = states.first().is_some_and(|low| low & (1 << 8) != 0 || low & (1 << 24) != 0);
        let button = PRESSABLE.contains(&role);
        Some(Seen { label, button, enabled, at: (x + w / 2, y + h / 2) })
    }

    /// Waits until something on the screen has a name with these words.
    ///
    /// # Errors
    /// When it does not appear in time; says what was there instead.
    pub fn wait_for(&self, words: &str, patience: Duration) -> Result<Seen, Blind> {
        let until = Instant::now() + patience;
        loop {
            let seen = self.look()?;
            let button = seen.iter().find(|one| one.button && one.label.contains(words));
            if let Some(found) = button.or_else(|| seen.iter().find(|one| one.label.contains(words))) {
                return Ok(found.clone());
            }
            if Instant::now() >= until {
                let labels: Vec<&str> = seen.iter().map(|one| one.label.as_str()).collect();
                return Err(Blind::NotSeen {
                    wanted: words.to_owned(),
                    seconds: patience.as_secs(),
                    seen: labels.join(" | "),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
