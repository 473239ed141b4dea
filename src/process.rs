//! Children and helpers: starting, reaping and reading them. Nothing else calls waitpid(2).

pub mod argv;
pub mod children;
pub mod helpers;
pub mod hook;
pub mod interrupt;
pub mod programs;
pub mod table;
pub mod task;
