//! Values that are not what their variable says.
