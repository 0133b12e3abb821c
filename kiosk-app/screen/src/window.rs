//! The window, its loop, and the slot through which views reach it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use slint::{ComponentHandle as _, PhysicalSize, PlatformError};
use view::{Intent, Texts, View, ViewId};

use crate::apply::{apply, set_panel};
use crate::ui::{App, Touch};

/// The first view comes as soon as the log is read. Without it by then, an empty window shows that the program runs.
const FIRST_VIEW: Duration = Duration::from_secs(3);

/// Why nothing can be drawn.
#[derive(Debug)]
pub struct ScreenError(PlatformError);

impl std::fmt::Display for ScreenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the screen cannot be opened: check the display, and SLINT_BACKEND")
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

/// What is on the screen: the view's id and what each touchable thing on it means.
#[derive(Default)]
struct Present {
    id: ViewId,
    intents: Vec<Intent>,
}

/// The one window. Lives on the main thread.
pub struct Screen {
    app: App,
    texts: Rc<Texts>,
    present: Rc<RefCell<Present>>,
    slot: Arc<Slot>,
}

/// The newest view that is not drawn yet.
#[derive(Default)]
struct Slot {
    view: Mutex<Option<View>>,
    filled: Condvar,
}

impl Slot {
    /// Puts a view in; true when the slot was empty, so that the loop has to be woken.
    fn put(&self, view: View) -> bool {
        let was_empty = self.view.lock().unwrap_or_else(PoisonError::into_inner).replace(view).is_none();
        self.filled.notify_all();
        was_empty
    }

    fn take(&self) -> Option<View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for a view to be there, so long at most, and takes it.
    fn wait(&self, patience: Duration) -> Option<View> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.filled.wait_timeout_while(view, patience, |view| view.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

thread_local! {
    /// The window of this thread, for work that comes from other threads.
    static SHOWN: RefCell<Option<Shown>> = const { RefCell::new(None) };
}

struct Shown {
    app: slint::Weak<App>,
    texts: Rc<Texts>,
    present: Rc<RefCell<Present>>,
}

impl Screen {
    /// Makes the window: of this size in pixels, or over the whole screen.
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
        Ok(Self { app, texts: Rc::new(Texts::built_in()), present: Rc::default(), slot: Arc::default() })
    }

    /// What to do with touches: the view on which it was made, and what it means.
    pub fn on_touch(&self, touched: impl Fn(ViewId, Intent) + 'static) {
        let present = Rc::clone(&self.present);
        self.app.global::<Touch>().on_touched(move |number| {
            let present = present.borrow();
            let intent = usize::try_from(number).ok().and_then(|at| present.intents.get(at));
            if let Some(intent) = intent {
                touched(present.id, *intent);
            }
        });
    }

    /// For other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { slot: Arc::clone(&self.slot) }
    }

    /// Draws this view now.
    pub fn show(&self, view: &View) {
        draw(&self.app, &self.texts, &self.present, view);
    }

    #[cfg(test)]
    pub(crate) const fn app(&self) -> &App {
        &self.app
    }

    /// The window's pixels as they are drawn.
    ///
    /// # Errors
    /// When the window was never shown.
    pub fn snapshot(&self) -> Result<slint::SharedPixelBuffer<slint::Rgba8Pixel>, ScreenError> {
        Ok(self.app.window().take_snapshot()?)
    }

    /// Shows the window and runs its loop until [`Handle::quit`].
    ///
    /// # Errors
    /// When the display goes away.
    pub fn run(&self) -> Result<(), ScreenError> {
        let shown = Shown {
            app: self.app.as_weak(),
            texts: Rc::clone(&self.texts),
            present: Rc::clone(&self.present),
        };
        SHOWN.with_borrow_mut(|own| *own = Some(shown));
        // Not before there is something to see: the first frame is what residents look at while the rest starts.
        let first = self.slot.wait(FIRST_VIEW);
        self.app.show()?;
        if let Some(view) = first.or_else(|| self.slot.take()) {
            self.show(&view);
        }
        slint::run_event_loop_until_quit()?;
        Ok(())
    }
}

fn draw(app: &App, texts: &Texts, present: &RefCell<Present>, view: &View) {
    let size = app.window().size();
    set_panel(app, size.width, size.height);
    let intents = apply(app, texts, view);
    *present.borrow_mut() = Present { id: view.id, intents };
}

/// The screen as other threads know it.
#[derive(Clone)]
pub struct Handle {
    slot: Arc<Slot>,
}

impl Handle {
    /// Shows a view; one that is not drawn when the next comes is never drawn.
    pub fn show(&self, view: View) {
        if self.slot.put(view) {
            let slot = Arc::clone(&self.slot);
            // Before the loop runs and after it ended there is nobody to draw.
            slint::invoke_from_event_loop(move || {
                SHOWN.with_borrow(|shown| {
                    let Some(Shown { app, texts, present }) = shown else { return };
                    if let (Some(app), Some(view)) = (app.upgrade(), slot.take()) {
                        draw(&app, texts, present, &view);
                    }
                });
            })
            .ok();
        }
    }

    /// Runs this on the screen's thread: whoever waits for it learns that the thread lives.
    pub fn heartbeat(&self, alive: impl FnOnce() + Send + 'static) {
        slint::invoke_from_event_loop(alive).ok();
    }

    /// Ends the window's loop.
    pub fn quit(&self) {
        slint::quit_event_loop().ok();
    }
}
