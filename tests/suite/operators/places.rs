//! Where the working copy is, and what stays there.
