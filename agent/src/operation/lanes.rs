//! One lane per key: whoever holds it keeps the others waiting, in the order in
//! which they came. Operations on one service share a lane, and registrations of one family.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// Keyed locks that carry the name of their holder.
#[derive(Debug)]
pub struct Lanes<K>(Mutex<HashMap<K, Arc<Lane>>>);

#[derive(Debug, Default)]
struct Lane {
    turn: Arc<tokio::sync::Mutex<()>>,
    holder: Mutex<Option<String>>,
}

/// The lane is free again when this is dropped.
#[derive(Debug)]
pub struct Turn {
    lane: Arc<Lane>,
    _guard: OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&self.lane.holder) = None;
    }
}

impl<K> Default for Lanes<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone> Lanes<K> {
    /// Who holds the lane now.
    pub fn holder(&self, key: &K) -> Option<String> {
        let lane = lock(&self.0).get(key).cloned()?;
        lock(&lane.holder).clone()
    }

    /// Waits for the lane.
    pub async fn take(&self, key: &K, holder: String) -> Turn {
        let lane = {
            let mut lanes = lock(&self.0);
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || Arc::strong_count(&lane.turn) > 1);
            Arc::clone(lanes.entry(key.clone()).or_default())
        };
        let guard = Arc::clone(&lane.turn).lock_owned().await;
        *lock(&lane.holder) = Some(holder);
        Turn { lane, _guard: guard }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_others_do_not() {
        let lanes = Lanes::default();
        let first = lanes.take(&"orders", "op-1".into()).await;
        assert_eq!(lanes.holder(&"orders").as_deref(), Some("op-1"));
        let mut second = Box::pin(lanes.take(&"orders", "op-2".into()));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(lanes.take(&"web", "op-3".into()).now_or_never().is_some());
        drop(first);
        let _second = second.await;
        assert_eq!(lanes.holder(&"orders").as_deref(), Some("op-2"));
    }
}
