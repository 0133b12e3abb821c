//! The window, its event loop, and the handle through which other threads show views.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use slint::{ComponentHandle as _, PhysicalSize, PlatformError};
use view::{Intent, Texts, View, ViewId};

use crate::apply::{apply, set_panel};
use crate::ui::{App, Touch};

/// Longest wait for the first view, which arrives when the journal is read. After it, an empty window is shown, so
/// that the program is visibly running.
const FIRST_VIEW_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the screen cannot be opened or drawn.
#[derive(Debug)]
pub struct ScreenError(PlatformError);

impl std::fmt::Display for ScreenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot open the screen: check the display and SLINT_BACKEND")
    }
}

impl std::error::Error for ScreenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<PlatformError> for ScreenError {
    fn from(error: PlatformError) -> Self {
        Self(error)
    }
}

/// The view on the screen: its id, and the intent of each touchable element.
#[derive(Default)]
struct DrawnView {
    id: ViewId,
    intents: Vec<Intent>,
}

/// The kiosk's only window. Lives on the main thread.
pub struct Screen {
    app: App,
    texts: Rc<Texts>,
    drawn: Rc<RefCell<DrawnView>>,
    latest: Arc<LatestView>,
}

/// The latest view that is not drawn yet.
#[derive(Default)]
struct LatestView {
    view: Mutex<Option<View>>,
    available: Condvar,
}

impl LatestView {
    /// Stores a view; true when there was none, so that the event loop must be woken.
    fn store(&self, view: View) -> bool {
        let was_empty = self.view.lock().unwrap_or_else(PoisonError::into_inner).replace(view).is_none();
        self.available.notify_all();
        was_empty
    }

    fn take(&self) -> Option<View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the view; waits for one until the timeout.
    fn take_within(&self, timeout: Duration) -> Option<View> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.available.wait_timeout_while(view, timeout, |view| view.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

thread_local! {
    /// The window of this thread, for closures from other threads.
    static WINDOW: RefCell<Option<ThreadWindow>> = const { RefCell::new(None) };
}

struct ThreadWindow {
    app: slint::Weak<App>,
    texts: Rc<Texts>,
    drawn: Rc<RefCell<DrawnView>>,
}

impl Screen {
    /// Creates the window: with this size in pixels, or full screen.
    ///
    /// # Errors
    /// When there is no display.
    pub fn new(size: Option<(u32, u32)>) -> Result<Self, ScreenError> {
        let app = App::new()?;
        let window = app.window();
        match size {
            Some((width, height)) => {
                window.set_size(PhysicalSize::new(width, height));
                set_panel(&app, width, height);
            }
            None => window.set_fullscreen(true),
        }
        Ok(Self { app, texts: Rc::new(Texts::built_in()), drawn: Rc::default(), latest: Arc::default() })
    }

    /// Sets the handler of touches. It receives the id of the touched view and the intent.
    pub fn set_touch_handler(&self, touched: impl Fn(ViewId, Intent) + 'static) {
        let present = Rc::clone(&self.drawn);
        self.app.global::<Touch>().on_touched(move |number| {
            let present = present.borrow();
            let intent = usize::try_from(number).ok().and_then(|at| present.intents.get(at));
            if let Some(intent) = intent {
                touched(present.id, *intent);
            }
        });
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> ScreenHandle {
        ScreenHandle { latest: Arc::clone(&self.latest) }
    }

    /// Draws a view immediately.
    pub fn show(&self, view: &View) {
        draw(&self.app, &self.texts, &self.drawn, view);
    }

    #[cfg(test)]
    pub(crate) const fn app(&self) -> &App {
        &self.app
    }

    /// The drawn pixels of the window.
    ///
    /// # Errors
    /// When the window was never shown.
    pub fn snapshot(&self) -> Result<slint::SharedPixelBuffer<slint::Rgba8Pixel>, ScreenError> {
        Ok(self.app.window().take_snapshot()?)
    }

    /// Shows the window and runs its loop until [`ScreenHandle::quit`].
    ///
    /// # Errors
    /// When the display is lost.
    pub fn run(&self) -> Result<(), ScreenError> {
        let shown = ThreadWindow {
            app: self.app.as_weak(),
            texts: Rc::clone(&self.texts),
            drawn: Rc::clone(&self.drawn),
        };
        WINDOW.with_borrow_mut(|own| *own = Some(shown));
        // The window is shown with its first view: residents see the first frame while the rest starts.
        let first = self.latest.take_within(FIRST_VIEW_TIMEOUT);
        self.app.show()?;
        if let Some(view) = first.or_else(|| self.latest.take()) {
            self.show(&view);
        }
        slint::run_event_loop_until_quit()?;
        Ok(())
    }
}

fn draw(app: &App, texts: &Texts, present: &RefCell<DrawnView>, view: &View) {
    let size = app.window().size();
    set_panel(app, size.width, size.height);
    let intents = apply(app, texts, view);
    *present.borrow_mut() = DrawnView { id: view.id, intents };
}

/// Handle of the screen for other threads.
#[derive(Clone)]
pub struct ScreenHandle {
    latest: Arc<LatestView>,
}

impl ScreenHandle {
    /// Shows a view. A view that is not drawn before the next one arrives is skipped.
    pub fn show(&self, view: View) {
        if self.latest.store(view) {
            let slot = Arc::clone(&self.latest);
            // Before the event loop runs and after it ended, nothing can be drawn.
            slint::invoke_from_event_loop(move || {
                WINDOW.with_borrow(|shown| {
                    let Some(ThreadWindow { app, texts, drawn: present }) = shown else { return };
                    if let (Some(app), Some(view)) = (app.upgrade(), slot.take()) {
                        draw(&app, texts, present, &view);
                    }
                });
            })
            .ok();
        }
    }

    /// Runs a closure on the screen's thread, as a heartbeat: the call proves that the thread is alive.
    pub fn run_on_screen_thread(&self, alive: impl FnOnce() + Send + 'static) {
        slint::invoke_from_event_loop(alive).ok();
    }

    /// Ends the window's event loop.
    pub fn quit(&self) {
        slint::quit_event_loop().ok();
    }
}
