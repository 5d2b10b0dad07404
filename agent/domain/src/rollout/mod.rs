//! What ECS reports, judged. [`follow`] turns one observation into progress or a
//! verdict; [`diagnosis`] says why a rollout failed, root cause first; [`pace`] says
//! when to look again, [`budget`] how often ECS may be asked at all, and [`bake`]
//! whether a completed rollout stays good. Always
//! holds: only our own deployment, PRIMARY, COMPLETED, stable and with healthy
//! targets is a success; what has not been seen is never assumed.

pub mod bake;
pub mod budget;
mod cause;
pub mod crash_loop;
pub mod diagnosis;
pub mod follow;
pub mod pace;
pub mod standing;
pub mod stuck;
pub mod targets;
pub mod undone;
