//! Stacks against the simulated ECS.
