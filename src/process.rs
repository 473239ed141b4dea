//! Children and helpers: spawning, reaping and asking them. Nobody else calls waitpid(2).

pub mod argv;
pub mod children;
pub mod helpers;
pub mod interrupt;
pub mod programs;
pub mod table;
pub mod task;
