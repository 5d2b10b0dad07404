//! What ECS reports, judged. [`follow`] turns one observation into progress or a
//! verdict; [`diagnosis`] says why a rollout failed, root cause first. Always
//! holds: only our own deployment, PRIMARY, COMPLETED, stable and with healthy
//! targets is a success; what has not been seen is never assumed.

mod cause;
pub mod crash_loop;
pub mod diagnosis;
pub mod follow;
pub mod targets;
