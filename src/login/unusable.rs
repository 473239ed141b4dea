//! Why a credential that was found is unusable. Pure.

use std::fmt;

use crate::login::defect::Defect;
use crate::looks::Look;

/// Why a credential is unusable. It holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// The text is not a login.
    NotALogin {
        defect: Defect,
        /// What it is instead, if that is known.
        advice: Option<Advice>,
    },
    /// The login file says that nobody is logged in.
    LoggedOut,
    /// The login file is damaged, for this reason.
    Damaged(String),
    /// The file cannot be read, for this reason.
    Unreadable(String),
    /// The value of a token or key looks like something that no vendor accepts.
    Value(Look),
    Empty,
    Nul,
    /// The switch of a cloud provider is neither yes nor no.
    Switch,
}

/// What a text is instead of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Another form, which another variable takes: the look and the variable.
    OtherVariable { look: Look, variable: String },
    /// The value of a method: its label and variable.
    OtherMethod { label: String, variable: String },
    /// The login of another agent: its title and the variable that takes it.
    OtherAgent { title: String, variable: String },
    /// A form that nothing accepts.
    Form(Look),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NotALogin { advice: Some(advice), .. } => advice.fmt(f),
            Unusable::NotALogin { defect, advice: None } => defect.fmt(f),
            Unusable::LoggedOut => f.write_str("nobody is logged in: its tokens are blank or missing"),
            Unusable::Damaged(why) => f.write_str(why),
            Unusable::Unreadable(why) => write!(f, "it cannot be read: {why}"),
            Unusable::Value(look) => write!(f, "it {look}"),
            Unusable::Empty => f.write_str("it is empty"),
            Unusable::Nul => f.write_str("it contains a NUL byte, which a variable cannot hold"),
            Unusable::Switch => f.write_str("its value is neither yes (1, true, yes, on) nor no"),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Advice::OtherVariable { look, variable } => write!(f, "it {look}, which {variable} takes"),
            Advice::OtherMethod { label, variable } => write!(f, "it begins like a value of {variable} ({label})"),
            Advice::OtherAgent { title, variable } => write!(f, "it is a login of {title}, which {variable} takes"),
            Advice::Form(look) => write!(f, "it {look}"),
        }
    }
}
