//! Where the operating system's randomness comes in. `HashMap`, tokio's
//! `select!` and every crate that asks the system for a seed end in libc's
//! `getrandom`; here it answers the same bytes for the same seed, thread by
//! thread, so that a schedule that is run again takes the same way.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

static SEED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// Set once, before anything draws.
pub fn set(seed: u64) {
    SEED.store(seed, Ordering::SeqCst);
    DRAWN.with(|drawn| drawn.set(0));
    fastrand::seed(seed);
}

fn next() -> u64 {
    let drawn = DRAWN.with(|drawn| {
        drawn.set(drawn.get().wrapping_add(1));
        drawn.get()
    });
    // splitmix64, https://prng.di.unimi.it/splitmix64.c
    let mut word = SEED
        .load(Ordering::SeqCst)
        .wrapping_add(drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// libc's `getrandom`, for this program alone.
///
/// # Safety
/// `buffer` has room for `length` bytes, as of every caller of getrandom(2).
#[expect(unsafe_code, reason = "the symbol that std and all crates draw seeds from")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    for chunk in bytes.chunks_mut(8) {
        let word = next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}
