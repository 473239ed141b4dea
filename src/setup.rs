//! A login made by a person: what is run for it, what is seen on its screen, and what came of it.

pub mod capture;
pub mod choice;
pub mod desk;
pub mod mint;
pub mod scanner;
pub mod verdict;
pub mod workplace;
