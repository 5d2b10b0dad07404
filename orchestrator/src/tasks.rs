//! The tasks of a part of the program: seen to their end, and waited for when
//! the part stops. In a simulation on one thread ([`Tasks`]) a task that talks
//! to SQLite is not left before SQLite has answered, so that the threads of
//! SQLite decide nothing about the order of what happens.

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A handle: clones share the tasks.
#[derive(Clone, Debug, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        #[cfg(feature = "planted-faults")]
        let task = undisturbed::Undisturbed::new(task);
        self.0.spawn(task)
    }

    /// No task is expected any more; [`Tasks::wait`] may return.
    pub fn close(&self) {
        self.0.close();
    }

    /// Waits until all is closed and every task has ended.
    pub async fn wait(&self) {
        self.0.wait().await;
    }
}

#[cfg(feature = "planted-faults")]
pub mod undisturbed {
    //! For a simulation: a future whose waits for SQLite block its thread.

    use std::{
        cell::Cell,
        pin::Pin,
        sync::{
            Arc, Mutex, PoisonError,
            atomic::{AtomicBool, Ordering},
        },
        task::{Context, Poll, Wake, Waker},
        thread::{self, Thread},
    };

    /// Set once by a simulation, before anything runs.
    static ON: AtomicBool = AtomicBool::new(false);

    thread_local! {
        /// Connections to the database that are lent out and in use.
        static LENT: Cell<i64> = const { Cell::new(0) };
    }

    /// From now on whoever waits for SQLite blocks its thread.
    pub fn switch_on() {
        ON.store(true, Ordering::SeqCst);
    }

    /// A connection that is in use.
    #[derive(Debug)]
    pub struct InUse(bool);

    impl InUse {
        pub fn begin() -> Self {
            LENT.with(|lent| lent.set(lent.get() + 1));
            Self(true)
        }

        /// Handed to somebody else, who has not begun.
        pub fn rest(&mut self) {
            if std::mem::take(&mut self.0) {
                LENT.with(|lent| lent.set(lent.get() - 1));
            }
        }

        pub fn resume(&mut self) {
            if !std::mem::replace(&mut self.0, true) {
                LENT.with(|lent| lent.set(lent.get() + 1));
            }
        }
    }

    impl Drop for InUse {
        fn drop(&mut self) {
            self.rest();
        }
    }

    pub struct Undisturbed<F> {
        inner: Pin<Box<F>>,
        signal: Option<Arc<Signal>>,
    }

    impl<F: Future> Undisturbed<F> {
        pub fn new(inner: F) -> Self {
            Self {
                inner: Box::pin(inner),
                signal: None,
            }
        }
    }

    impl<F: Future> Future for Undisturbed<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            if !ON.load(Ordering::SeqCst) {
                return self.inner.as_mut().poll(cx);
            }
            let signal = match &self.signal {
                Some(signal) if signal.outer.will_wake(cx.waker()) => signal.clone(),
                _ => Signal::new(cx.waker().clone()),
            };
            self.signal = Some(signal.clone());
            let waker = Waker::from(signal.clone());
            signal.hold();
            loop {
                match self.inner.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Pending if LENT.with(Cell::get) > 0 => signal.wait(),
                    polled => {
                        signal.let_go();
                        return polled;
                    }
                }
            }
        }
    }

    /// Wakes the blocked thread while it polls, and the task otherwise.
    struct Signal {
        outer: Waker,
        thread: Thread,
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        polling: bool,
        woken: bool,
    }

    impl Signal {
        fn new(outer: Waker) -> Arc<Self> {
            Arc::new(Self {
                outer,
                thread: thread::current(),
                state: Mutex::default(),
            })
        }

        fn hold(&self) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = State {
                polling: true,
                woken: false,
            };
        }

        fn wait(&self) {
            while !std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).woken) {
                thread::park();
            }
        }

        /// Woken by itself while it was polled: it wants to be polled again.
        fn let_go(&self) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.polling = false;
            if std::mem::take(&mut state.woken) {
                drop(state);
                self.outer.wake_by_ref();
            }
        }
    }

    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.polling {
                state.woken = true;
                drop(state);
                self.thread.unpark();
            } else {
                drop(state);
                self.outer.wake_by_ref();
            }
        }
    }
}
