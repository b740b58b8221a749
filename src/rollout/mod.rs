//! The rollout room.
