//! Accessibility client: reads the kiosk's screen as a screen reader does (AT-SPI 2).
//!
//! The client reads the real program from outside, without a test mode. An element that it cannot find is invisible
//! to a resident's screen reader, too. Touches are not made here, but by a pointer at the positions found here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zbus::blocking::{Connection, Proxy, connection};
use zbus::zvariant::OwnedObjectPath;

/// Most elements read at a time; far more than any view has.
const ELEMENTS_MAX: usize = 2_000;
/// `COORD_TYPE_SCREEN` of AT-SPI.
const COORD_TYPE_SCREEN: u32 = 0;
/// Roles that can be pressed: `ROLE_CHECK_BOX`, `ROLE_PUSH_BUTTON` and `ROLE_TOGGLE_BUTTON` of AT-SPI.
const PRESSABLE_ROLES: [u32; 3] = [7, 43, 62];

/// Why the screen could not be read, or did not show an expected text.
#[derive(Debug, thiserror::Error)]
pub enum A11yError {
    /// The accessibility bus cannot be reached.
    #[error("cannot reach the accessibility bus: check that at-spi-bus-launcher is running")]
    Bus(#[from] zbus::Error),
    /// An expected text did not appear in time.
    #[error("`{wanted}` did not appear within {seconds} s; on the screen: {seen}")]
    TimedOut {
        /// The expected text.
        wanted: String,
        /// The timeout in seconds.
        seconds: u64,
        /// The texts on the screen at the timeout.
        seen: String,
    },
}

/// One element of the accessibility tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct A11yElement {
    /// Accessible name.
    pub label: String,
    /// Whether it has a role that can be pressed.
    pub is_button: bool,
    /// Whether it is enabled or sensitive.
    pub is_enabled: bool,
    /// Centre, in pixels of the screen.
    pub center: (i32, i32),
}

/// A connection to the accessibility bus.
pub struct A11yClient {
    bus: Connection,
}

type ObjectReference = (String, OwnedObjectPath);

impl A11yClient {
    /// Connects to the accessibility bus, whose address the session bus knows.
    ///
    /// # Errors
    /// When either bus cannot be reached.
    pub fn connect(session_bus: &str) -> Result<Self, A11yError> {
        let session = connection::Builder::address(session_bus)?.build()?;
        let status = Proxy::new(&session, "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Status")?;
        // Toolkits create their accessibility tree only when these are set.
        status.set_property("IsEnabled", true).map_err(zbus::Error::from)?;
        status.set_property("ScreenReaderEnabled", true).map_err(zbus::Error::from)?;
        let bus = Proxy::new(&session, "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus")?;
        let address: String = bus.call("GetAddress", &())?;
        Ok(Self { bus: connection::Builder::address(address.as_str())?.build()? })
    }

    /// All elements with a name that are shown now. An element that vanishes while it is read is left out.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub fn elements(&self) -> Result<Vec<A11yElement>, A11yError> {
        let root = OwnedObjectPath::try_from("/org/a11y/atspi/accessible/root").map_err(zbus::Error::from)?;
        let mut queue: VecDeque<ObjectReference> = VecDeque::new();
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
            let children: Vec<ObjectReference> = element.call("GetChildren", &()).unwrap_or_default();
            queue.extend(children);
            if let Some(one) = self.read_element(&element, &name, &path) {
                seen.push(one);
            }
        }
        Ok(seen)
    }

    fn read_element(&self, element: &Proxy<'_>, name: &str, path: &OwnedObjectPath) -> Option<A11yElement> {
        let label: String = element.get_property("Name").ok()?;
        if label.is_empty() {
            return None;
        }
        let role: u32 = element.call("GetRole", &()).ok()?;
        let states: Vec<u32> = element.call("GetState", &()).ok()?;
        let component = Proxy::new(&self.bus, name, path, "org.a11y.atspi.Component").ok()?;
        let extents: (i32, i32, i32, i32) = component.call("GetExtents", &(COORD_TYPE_SCREEN,)).ok()?;
        let (x, y, w, h) = extents;
        // State 8 is ENABLED, 24 SENSITIVE (atspi-constants.h).
        let enabled = states.first().is_some_and(|low| low & (1 << 8) != 0 || low & (1 << 24) != 0);
        let button = PRESSABLE_ROLES.contains(&role);
        Some(A11yElement { label, is_button: button, is_enabled: enabled, center: (x + w / 2, y + h / 2) })
    }

    /// Waits until the name of an element contains `words`; prefers elements that can be pressed.
    ///
    /// # Errors
    /// When none appears in time; the error holds the texts on the screen.
    pub fn wait_for_text(&self, words: &str, timeout: Duration) -> Result<A11yElement, A11yError> {
        let until = Instant::now() + timeout;
        loop {
            let seen = self.elements()?;
            let button = seen.iter().find(|one| one.is_button && one.label.contains(words));
            if let Some(found) = button.or_else(|| seen.iter().find(|one| one.label.contains(words))) {
                return Ok(found.clone());
            }
            if Instant::now() >= until {
                let labels: Vec<&str> = seen.iter().map(|one| one.label.as_str()).collect();
                return Err(A11yError::TimedOut {
                    wanted: words.to_owned(),
                    seconds: timeout.as_secs(),
                    seen: labels.join(" | "),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
