//! Pure. Which candidate authenticates the agent, and why the others do not: exactly one method is in place.

use std::fmt;
use std::time::SystemTime;

use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::config::{AuthMode, Words};
use crate::facts::{Candidate, Session};
use crate::login::Source;
use crate::login::history::History;
use crate::login::merge::{LoginState, Outcome, reconcile};
use crate::state::Served;

/// What the choice depends on.
pub struct SelectionInput<'q, 'c> {
    /// What was found.
    pub candidates: &'q [Candidate<'c>],
    /// The methods of the definition, in its order.
    pub rules: &'q [MethodRule],
    /// The operator's mode.
    pub mode: AuthMode,
    /// The operator's preference.
    pub prefer: &'q [Method],
    /// Where earlier runs leave a login: in the working copy, or in the recovery copy.
    pub left_at: &'q [Source],
    /// What an earlier run remembers of the same place.
    pub remembered: Option<&'q Served>,
    /// The logins that were stored in the capture.
    pub captured: &'q History,
    /// By which clock something has ended.
    pub now: SystemTime,
}

/// The answer, by indexes of the candidates.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The candidate that authenticates the agent.
    pub chosen: Option<usize>,
    /// It has ended, and nothing better was found.
    pub has_ended: bool,
    /// The others, and why.
    pub ignored: Vec<Ignored>,
    /// The login that was left at the place is to be kept under `conflicts/`.
    pub keep_left: bool,
}

/// A candidate that was not chosen.
#[derive(Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Which.
    pub candidate: usize,
    /// Why.
    pub why: Why,
    /// Worth a warning; else a detail.
    pub is_warning: bool,
}

/// Why a candidate was not chosen; its text is the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is no credential: the reason.
    Unusable(String),
    /// It has ended, and what was chosen has not.
    Ended,
    /// The operator's mode does not let its method authenticate.
    Mode(AuthMode),
    /// The chosen candidate comes before it.
    Preferred(Source),
    /// The capture holds this login or a descendant of it.
    Superseded,
    /// The login that was left in the working copy descends from it.
    Refreshed,
    /// The login that was left in the working copy is the chosen one.
    Same,
    /// The login that was left in the working copy is an ancestor of the chosen one.
    Older,
    /// The login that was left in the working copy has nothing to do with the chosen one.
    Stranger,
}

impl Why {
    /// Whether the candidate could authenticate nobody, whatever else was found.
    pub fn is_useless(&self) -> bool {
        matches!(self, Why::Unusable(_) | Why::Ended)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Unusable(reason) => return write!(f, "not usable: {reason}"),
            Why::Mode(mode) => return write!(f, "the mode is {}", mode.word()),
            Why::Preferred(source) => return write!(f, "{source} is preferred"),
            Why::Ended => "it has expired, and cannot be refreshed",
            Why::Superseded => "the capture holds this login or one that was refreshed from it",
            Why::Refreshed => "the working copy of an earlier run was refreshed from it",
            Why::Same => "it is the same login",
            Why::Older => "it is older than what was chosen",
            Why::Stranger => "it was found in the place of the working copy",
        })
    }
}

/// Chooses.
pub fn choose(question: &SelectionInput<'_, '_>) -> Selection {
    let mut choice = Selection::default();
    let mut usable = Vec::new();
    for (index, candidate) in question.candidates.iter().enumerate() {
        match &candidate.found {
            // A login left by an earlier run that went bad is what that run warned of.
            Err(_) if question.is_left(candidate) => {}
            Err(reason) => choice.ignore(index, Why::Unusable(reason.clone()), true),
            Ok(_) if !allows(question.mode, candidate.rule.method) => {
                choice.ignore(index, Why::Mode(question.mode), true);
            }
            Ok(_) => usable.push(index),
        }
    }
    usable.sort_by_key(|index| question.candidates.get(*index).map(|candidate| question.rank(candidate)));
    let Some(first) = usable.first().copied() else {
        choice.keep_left = question.has_left_login();
        return choice;
    };
    let is_session = |index: &usize| question.session(*index).is_some();
    choice.chosen = Some(first);
    if is_session(&first) {
        let sessions: Vec<usize> = usable.iter().copied().filter(is_session).collect();
        question.choose_session(&sessions, &mut choice);
    } else {
        choice.keep_left = question.has_left_login();
    }
    let Some(chosen) = choice.chosen.and_then(|chosen| question.candidates.get(chosen)) else { return choice };
    choice.has_ended = chosen.has_ended(question.now);
    for index in usable {
        let is_known = choice.chosen == Some(index) || choice.ignored.iter().any(|aside| aside.candidate == index);
        let Some(candidate) = question.candidates.get(index).filter(|_| !is_known) else { continue };
        if let Some(is_warning) = question.is_worth_a_warning(candidate, chosen) {
            let has_lost = candidate.has_ended(question.now) && !choice.has_ended;
            let why = if has_lost { Why::Ended } else { Why::Preferred(chosen.source.clone()) };
            choice.ignore(index, why, is_warning);
        }
    }
    choice
}

impl Selection {
    fn ignore(&mut self, candidate: usize, why: Why, is_warning: bool) {
        self.ignored.push(Ignored { candidate, why, is_warning });
    }
}

impl SelectionInput<'_, '_> {
    fn session(&self, index: usize) -> Option<&Session> {
        self.candidates.get(index).and_then(Candidate::session)
    }

    fn is_left(&self, candidate: &Candidate<'_>) -> bool {
        self.left_at.contains(&candidate.source)
    }

    /// Whether a login is at the place of the working copy, which is lost if it is only removed.
    fn has_left_login(&self) -> bool {
        self.candidates.iter().any(|candidate| self.is_left(candidate) && candidate.session().is_some())
    }

    /// What has ended comes last: it is better than nothing only where our clock is wrong.
    fn rank(&self, candidate: &Candidate<'_>) -> (bool, usize, usize, usize) {
        let preferred =
            self.prefer.iter().position(|method| *method == candidate.rule.method).unwrap_or(self.prefer.len());
        let place = match &candidate.source {
            Source::Env(_) | Source::File(_) | Source::Command(_) | Source::Secret(_) => 0,
            Source::Mount(_) => 1,
            Source::Capture(_) | Source::Store(_) => 2,
            Source::Home(_) => 3,
        };
        (candidate.has_ended(self.now), preferred, position(self.rules, candidate.rule), place)
    }

    /// How a candidate that is of use is ignored for the chosen one; not at all when it goes with it.
    fn is_worth_a_warning(&self, candidate: &Candidate<'_>, chosen: &Candidate<'_>) -> Option<bool> {
        if candidate.rule.variable.as_ref().is_some_and(|variable| chosen.rule.with.contains(variable)) {
            return None;
        }
        let stays = candidate.rule.shared || candidate.rule.setting.as_ref().is_some_and(|setting| !setting.overrides);
        Some(!(stays && agent_prefers(self.rules, self.mode, chosen.rule, candidate.rule)))
    }

    /// Among sessions the first wins, but an ancestor never: what was refreshed from it is newer.
    fn choose_session(&self, sessions: &[usize], choice: &mut Selection) {
        let by = |test: &dyn Fn(&Candidate<'_>) -> bool| {
            sessions.iter().copied().find(|index| self.candidates.get(*index).is_some_and(test))
        };
        let Some(mut chosen) = sessions.first().copied() else { return };
        let captured = by(&|candidate| candidate.source.is_store());
        if let (Some(given), Some(stored)) = (self.session(chosen), captured.filter(|stored| *stored != chosen))
            && self.captured.contains(given.login.digest)
        {
            choice.ignore(chosen, Why::Superseded, true);
            chosen = stored;
        }
        choice.chosen = Some(chosen);
        let Some(left) = by(&|candidate| self.is_left(candidate)).filter(|left| *left != chosen) else { return };
        let (Some(ours), Some(theirs)) = (self.session(left), self.session(chosen)) else { return };
        let is_new = self.candidates.get(chosen).is_some_and(|candidate| candidate.source.is_explicit());
        match self.continues(ours, theirs, is_new) {
            Continuation::Same => choice.ignore(left, Why::Same, false),
            Continuation::Newer => {
                choice.ignore(chosen, Why::Refreshed, is_new);
                choice.chosen = Some(left);
            }
            Continuation::Older => choice.ignore(left, Why::Older, false),
            Continuation::Stranger => {
                choice.ignore(left, Why::Stranger, true);
                choice.keep_left = true;
            }
        }
    }

    /// How the login that was left relates to the chosen one. `is_new`: the operator gave it for this start, so that it
    /// wins unless it is known.
    fn continues(&self, left: &Session, chosen: &Session, is_new: bool) -> Continuation {
        if left.login.digest == chosen.login.digest {
            return Continuation::Same;
        }
        let none = History::default();
        let remembered = self.remembered.map_or(&none, |served| &served.history);
        let line = if remembered.is_empty() { self.captured } else { remembered };
        let knows_chosen = line.contains(chosen.login.digest);
        if (is_new && !knows_chosen) || (remembered.is_empty() && !line.contains(left.login.digest)) {
            return Continuation::Stranger;
        }
        let base = self.remembered.and_then(Served::merge_base);
        let (ours, theirs) = (LoginState::Valid(left.login.clone()), LoginState::Valid(chosen.login.clone()));
        match reconcile(base, &ours, &theirs, line) {
            Outcome::Publish { .. } => Continuation::Newer,
            Outcome::Adopt { keep_other: false } => Continuation::Older,
            Outcome::Unchanged => Continuation::Same,
            _ => Continuation::Stranger,
        }
    }
}

enum Continuation {
    Same,
    Newer,
    Older,
    Stranger,
}

/// Where a rule stands in the order of its definition.
fn position(rules: &[MethodRule], rule: &MethodRule) -> usize {
    rules.iter().position(|known| std::ptr::eq(known, rule)).unwrap_or(rules.len())
}

/// Whether the agent by itself takes `chosen` where it is given `other` too, so that the other may stay: it does as the
/// order of its definition says, and a mode of the operator's may choose against that order.
pub(super) fn agent_prefers(rules: &[MethodRule], mode: AuthMode, chosen: &MethodRule, other: &MethodRule) -> bool {
    mode == AuthMode::Auto && position(rules, chosen) < position(rules, other)
}

/// Whether a mode lets this method authenticate.
pub fn allows(mode: AuthMode, method: Method) -> bool {
    match mode {
        AuthMode::Auto => true,
        AuthMode::Sync | AuthMode::Copy => method == Method::Session,
        AuthMode::Token => matches!(method, Method::OauthToken | Method::AuthToken),
        AuthMode::ApiKey => method == Method::ApiKey,
        AuthMode::Ignore => false,
    }
}

/// The methods of a definition, in words.
pub fn words(definition: &Definition) -> String {
    let has = |method: &Method| definition.methods.iter().any(|rule| rule.method == *method);
    let words: Vec<&str> = Method::ALL.iter().filter(|method| has(method)).map(|method| method.word()).collect();
    words.join(", ")
}
