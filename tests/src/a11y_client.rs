//! Accessibility client: reads the kiosk's screen as a screen reader does (AT-SPI 2).
//!
//! The client reads the real program from outside, without a test mode. An element that it cannot find is invisible
//! to a resident's screen reader, too. Touches are not made here, but by a pointer at the positions found here.

use std::collections::VecDeque;

use atspi::proxy::accessible::AccessibleProxyBlocking;
use atspi::proxy::bus::{BusProxyBlocking, StatusProxyBlocking};
use atspi::proxy::component::ComponentProxyBlocking;
use atspi::{CoordType, ObjectRefOwned, Role, State};
use zbus::blocking::{Connection, connection};
use zbus::names::BusName;
use zbus::proxy::CacheProperties;
use zbus::zvariant::ObjectPath;

/// Most elements read at a time; far more than any view has.
const ELEMENTS_MAX: usize = 2_000;
/// The object that holds all programs with an accessibility tree.
const REGISTRY: (&str, &str) = ("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root");
/// Roles of an entry of a list that can be chosen. They can be pressed, too.
const CHOICE_ROLES: [Role; 2] = [Role::CheckBox, Role::ToggleButton];

/// Why the screen could not be read.
#[derive(Debug, thiserror::Error)]
pub enum A11yError {
    /// The accessibility bus cannot be reached.
    #[error("cannot reach the accessibility bus: check that at-spi-bus-launcher is running")]
    Bus(#[from] zbus::Error),
}

/// One element of the accessibility tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct A11yElement {
    /// Accessible name.
    pub label: String,
    /// Whether it has a role that can be pressed.
    pub is_button: bool,
    /// Whether it is an entry of a list that can be chosen.
    pub is_choice: bool,
    /// Whether it is enabled or sensitive.
    pub is_enabled: bool,
    /// Centre, in pixels of the screen.
    pub center: (i32, i32),
}

/// A connection to the accessibility bus.
pub struct A11yClient {
    bus: Connection,
}

type ObjectReference = (BusName<'static>, ObjectPath<'static>);

impl A11yClient {
    /// Connects to the accessibility bus, whose address the session bus knows.
    ///
    /// # Errors
    /// When either bus cannot be reached.
    pub fn connect(session_bus: &str) -> Result<Self, A11yError> {
        let session = connection::Builder::address(session_bus)?.build()?;
        let status = StatusProxyBlocking::new(&session)?;
        // Toolkits create their accessibility tree only when these are set.
        status.set_is_enabled(true)?;
        status.set_screen_reader_enabled(true)?;
        let address = BusProxyBlocking::new(&session)?.get_address()?;
        Ok(Self { bus: connection::Builder::address(address.as_str())?.build()? })
    }

    /// All elements with a name that are shown now. An element that vanishes while it is read is left out.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub fn elements(&self) -> Result<Vec<A11yElement>, A11yError> {
        let (name, path) = REGISTRY;
        let root = (
            BusName::from_static_str(name).map_err(zbus::Error::from)?,
            ObjectPath::from_static_str(path).map_err(zbus::Error::from)?,
        );
        let mut queue: VecDeque<ObjectReference> = VecDeque::from([root]);
        let mut seen = Vec::new();
        let mut looked = 0;
        while let Some(object) = queue.pop_front() {
            looked += 1;
            if looked > ELEMENTS_MAX {
                break;
            }
            let Ok(element) = self.accessible(&object) else { continue };
            let children = element.get_children().unwrap_or_default();
            let reference =
                |child: &ObjectRefOwned| Some((child.name()?.clone().into(), child.path().clone()));
            queue.extend(children.iter().filter_map(reference));
            if let Some(one) = self.read_element(&element, &object) {
                seen.push(one);
            }
        }
        Ok(seen)
    }

    fn accessible(&self, (name, path): &ObjectReference) -> zbus::Result<AccessibleProxyBlocking<'static>> {
        // Each element is read once, so its properties are not cached.
        AccessibleProxyBlocking::builder(&self.bus)
            .destination(name.clone())?
            .path(path.clone())?
            .cache_properties(CacheProperties::No)
            .build()
    }

    fn read_element(
        &self,
        element: &AccessibleProxyBlocking<'_>,
        (name, path): &ObjectReference,
    ) -> Option<A11yElement> {
        let label = element.name().ok()?;
        if label.is_empty() {
            return None;
        }
        let role = element.get_role().ok()?;
        let is_choice = CHOICE_ROLES.contains(&role);
        let is_button = is_choice || role == Role::Button;
        let is_enabled = element.get_state().ok()?.intersects(State::Enabled | State::Sensitive);
        let component = ComponentProxyBlocking::builder(&self.bus)
            .destination(name)
            .ok()?
            .path(path)
            .ok()?
            .build()
            .ok()?;
        let (x, y, w, h) = component.get_extents(CoordType::Screen).ok()?;
        Some(A11yElement { label, is_button, is_choice, is_enabled, center: (x + w / 2, y + h / 2) })
    }
}
