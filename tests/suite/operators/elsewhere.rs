//! Credentials and settings in places that are not ours to choose.
