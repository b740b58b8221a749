//! The trust room.
