//! Pure. Chooses the candidate that authenticates the agent, and says why the others are ignored. Exactly one method is
//! used.

use std::fmt;
use std::time::SystemTime;

use crate::agent::Definition;
use crate::agent::definition::{Method, MethodRule};
use crate::config::{AuthMode, Words};
use crate::facts::{Candidate, Session};
use crate::login::history::History;
use crate::login::merge::{LoginState, Outcome, reconcile};
use crate::login::{Source, Unusable};
use crate::state::Served;

/// What the selection depends on.
pub struct SelectionInput<'q, 'c> {
    pub candidates: &'q [Candidate<'c>],
    /// The methods of the definition, in its order.
    pub rules: &'q [MethodRule],
    pub mode: AuthMode,
    pub prefer: &'q [Method],
    /// The sources that an earlier run may have left: the working copy and the recovery copy.
    pub earlier_sources: &'q [Source],
    /// The state that the previous run kept of this working copy.
    pub remembered: Option<&'q Served>,
    pub stored: StoredHistories<'q>,
    pub now: SystemTime,
}

/// The versions of a login that were stored between containers.
#[derive(Clone, Copy)]
pub struct StoredHistories<'q> {
    /// In the capture, or the store behind a helper.
    pub captured: &'q History,
    /// In the mount at the config directory.
    pub mounted: &'q History,
}

/// The result. Candidates are identified by their index.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The candidate that authenticates the agent.
    pub chosen: Option<usize>,
    /// The chosen candidate has expired, and nothing better was found.
    pub has_ended: bool,
    pub ignored: Vec<Ignored>,
    /// The login that was found in the working copy must be moved to `conflicts/`.
    pub keeps_found_login: bool,
}

/// A candidate that was not chosen.
#[derive(Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its index.
    pub candidate: usize,

    pub why: IgnoreReason,
    /// A warning reports it; otherwise only a detail message does.
    pub is_warning: bool,
}

/// Why a candidate was not chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IgnoreReason {
    /// It is not a usable credential, for this reason.
    Unusable(Unusable),
    /// It has expired, and the chosen candidate has not.
    Ended,
    /// `--auth` excludes its method.
    Mode(AuthMode),
    /// The chosen candidate comes before it.
    Preferred(Source),
    /// The capture holds this login or one that was refreshed from it.
    Superseded,
    /// The mount at the config directory does.
    SupersededInMount,
    /// The login in the working copy was refreshed from it.
    Refreshed,
    /// The login in the working copy is the chosen one.
    Same,
    /// The chosen login was refreshed from the one in the working copy.
    Older,
    /// The login in the working copy is unrelated to the chosen one.
    Unrelated,
}

impl IgnoreReason {
    /// Whether the candidate is unusable by itself, and not only less preferred.
    pub fn is_useless(&self) -> bool {
        matches!(self, IgnoreReason::Unusable(_) | IgnoreReason::Ended)
    }
}

impl fmt::Display for IgnoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IgnoreReason::Unusable(reason) => return write!(f, "not usable: {reason}"),
            IgnoreReason::Mode(mode) => return write!(f, "the mode is {}", mode.word()),
            IgnoreReason::Preferred(source) => return write!(f, "{source} is preferred"),
            IgnoreReason::Ended => "it has expired, and cannot be refreshed",
            IgnoreReason::Superseded => "the capture holds this login or one that was refreshed from it",
            IgnoreReason::SupersededInMount => "the mount holds this login or one that was refreshed from it",
            IgnoreReason::Refreshed => "the working copy of an earlier run was refreshed from it",
            IgnoreReason::Same => "it is the same login",
            IgnoreReason::Older => "it is older than what was chosen",
            IgnoreReason::Unrelated => "it is another login that was found in the working copy",
        })
    }
}

/// Chooses the candidate that authenticates the agent.
pub fn choose(input: &SelectionInput<'_, '_>) -> Selection {
    let mut selection = Selection::default();
    let mut usable = Vec::new();
    for (index, candidate) in input.candidates.iter().enumerate() {
        match &candidate.found {
            // The earlier run has already warned about a login that it left unusable.
            Err(_) if input.is_from_earlier_run(candidate) => {}
            Err(reason) => selection.ignore(index, IgnoreReason::Unusable(reason.clone()), true),
            // What an earlier run of this container left is replaced.
            Ok(_) if input.mode == AuthMode::Follow && input.is_from_earlier_run(candidate) => {}
            Ok(_) if !allows(input.mode, candidate.rule.method) || !input.may_be_followed(candidate) => {
                selection.ignore(index, IgnoreReason::Mode(input.mode), true);
            }
            Ok(_) => usable.push(index),
        }
    }
    usable.sort_by_key(|index| input.candidates.get(*index).map(|candidate| input.rank(candidate)));
    let Some(first) = usable.first().copied() else {
        selection.keeps_found_login = input.has_found_login();
        return selection;
    };
    let is_session = |index: &usize| input.session(*index).is_some();
    selection.chosen = Some(first);
    if is_session(&first) {
        let sessions: Vec<usize> = usable.iter().copied().filter(is_session).collect();
        input.choose_session(&sessions, &mut selection);
    } else {
        selection.keeps_found_login = input.has_found_login();
    }
    let Some(chosen) = selection.chosen.and_then(|chosen| input.candidates.get(chosen)) else { return selection };
    selection.has_ended = chosen.has_ended(input.now);
    for index in usable {
        let is_decided =
            selection.chosen == Some(index) || selection.ignored.iter().any(|ignored| ignored.candidate == index);
        let Some(candidate) = input.candidates.get(index) else { continue };
        if is_decided {
            continue;
        }
        if let Some(is_warning) = input.is_worth_a_warning(candidate, chosen) {
            let has_lost = candidate.has_ended(input.now) && !selection.has_ended;
            let why = if has_lost { IgnoreReason::Ended } else { IgnoreReason::Preferred(chosen.source.clone()) };
            selection.ignore(index, why, is_warning);
        }
    }
    selection
}

impl Selection {
    fn ignore(&mut self, candidate: usize, why: IgnoreReason, is_warning: bool) {
        self.ignored.push(Ignored { candidate, why, is_warning });
    }
}

impl SelectionInput<'_, '_> {
    fn session(&self, index: usize) -> Option<&Session> {
        self.candidates.get(index).and_then(Candidate::session)
    }

    fn is_from_earlier_run(&self, candidate: &Candidate<'_>) -> bool {
        self.earlier_sources.contains(&candidate.source)
    }

    /// Whether the working copy holds a login, which would be lost if it were only removed.
    fn has_found_login(&self) -> bool {
        self.candidates.iter().any(|candidate| self.is_from_earlier_run(candidate) && candidate.session().is_some())
    }

    /// The sort key. Expired candidates come last: they are better than nothing only if the clock is wrong.
    fn rank(&self, candidate: &Candidate<'_>) -> (bool, usize, usize, usize) {
        let preferred =
            self.prefer.iter().position(|method| *method == candidate.rule.method).unwrap_or(self.prefer.len());
        let source_rank = match &candidate.source {
            Source::Env(_) | Source::File(_) | Source::Command(_) | Source::Secret(_) => 0,
            Source::Mount(_) => 1,
            Source::Capture(_) | Source::Store(_) => 2,
            Source::Home(_) => 3,
        };
        (candidate.has_ended(self.now), preferred, position(self.rules, candidate.rule), source_rank)
    }

    /// Whether somebody refreshes the login where it comes from. A follower cannot refresh any other.
    fn may_be_followed(&self, candidate: &Candidate<'_>) -> bool {
        self.mode != AuthMode::Follow || candidate.source.is_store() || matches!(candidate.source, Source::Mount(_))
    }

    /// Whether ignoring a usable candidate deserves a warning. `None` if it accompanies the chosen one and is not
    /// ignored.
    fn is_worth_a_warning(&self, candidate: &Candidate<'_>, chosen: &Candidate<'_>) -> Option<bool> {
        if candidate.rule.variable.as_ref().is_some_and(|variable| chosen.rule.with.contains(variable)) {
            return None;
        }
        let is_kept =
            candidate.rule.shared || candidate.rule.setting.as_ref().is_some_and(|setting| !setting.overrides);
        Some(!(is_kept && agent_prefers(self.rules, self.mode, chosen.rule, candidate.rule)))
    }

    /// Among sessions the first wins, unless another was refreshed from it and is therefore newer.
    fn choose_session(&self, sessions: &[usize], selection: &mut Selection) {
        let find = |test: &dyn Fn(&Candidate<'_>) -> bool| {
            sessions.iter().copied().find(|index| self.candidates.get(*index).is_some_and(test))
        };
        let Some(mut chosen) = sessions.first().copied() else { return };
        let stores = [
            (self.stored.captured, find(&|candidate| candidate.source.is_store()), IgnoreReason::Superseded),
            (self.stored.mounted, find(&is_mount), IgnoreReason::SupersededInMount),
        ];
        for (history, stored, why) in stores {
            if let (Some(given), Some(stored)) = (self.session(chosen), stored.filter(|stored| *stored != chosen))
                && history.contains(given.login.digest)
            {
                selection.ignore(chosen, why, true);
                chosen = stored;
                break;
            }
        }
        selection.chosen = Some(chosen);
        let Some(earlier) = find(&|candidate| self.is_from_earlier_run(candidate)) else { return };
        if earlier == chosen {
            return;
        }
        let (Some(earlier_session), Some(chosen_session)) = (self.session(earlier), self.session(chosen)) else {
            return;
        };
        let is_new = self.candidates.get(chosen).is_some_and(|candidate| candidate.source.is_explicit());
        match self.relation(earlier_session, chosen_session, is_new) {
            Relation::Same => selection.ignore(earlier, IgnoreReason::Same, false),
            Relation::Newer => {
                selection.ignore(chosen, IgnoreReason::Refreshed, is_new);
                selection.chosen = Some(earlier);
            }
            Relation::Older => selection.ignore(earlier, IgnoreReason::Older, false),
            Relation::Unrelated => {
                selection.ignore(earlier, IgnoreReason::Unrelated, true);
                selection.keeps_found_login = true;
            }
        }
    }

    /// How the login of an earlier run relates to the chosen one. `is_new`: the operator gave the chosen one for this
    /// start, so it wins unless the history contains it.
    fn relation(&self, earlier: &Session, chosen: &Session, is_new: bool) -> Relation {
        if earlier.login.digest == chosen.login.digest {
            return Relation::Same;
        }
        let no_history = History::default();
        let remembered = self.remembered.map_or(&no_history, |served| &served.history);
        let stored = if self.stored.captured.is_empty() { self.stored.mounted } else { self.stored.captured };
        let history = if remembered.is_empty() { stored } else { remembered };
        let knows_chosen = history.contains(chosen.login.digest);
        if (is_new && !knows_chosen) || (remembered.is_empty() && !history.contains(earlier.login.digest)) {
            return Relation::Unrelated;
        }
        let base = self.remembered.and_then(|served| served.base);
        let (ours, theirs) = (LoginState::Valid(earlier.login.clone()), LoginState::Valid(chosen.login.clone()));
        match reconcile(base, &ours, &theirs, history) {
            Outcome::Publish { .. } => Relation::Newer,
            Outcome::Adopt { keep_other: false } => Relation::Older,
            Outcome::Unchanged => Relation::Same,
            _ => Relation::Unrelated,
        }
    }
}

fn is_mount(candidate: &Candidate<'_>) -> bool {
    matches!(candidate.source, Source::Mount(_))
}

/// How the login of an earlier run relates to the chosen one.
enum Relation {
    Same,
    Newer,
    Older,
    Unrelated,
}

/// The position of a rule in the order of its definition.
fn position(rules: &[MethodRule], rule: &MethodRule) -> usize {
    rules.iter().position(|known| std::ptr::eq(known, rule)).unwrap_or(rules.len())
}

/// Whether the agent uses `chosen` if it is given both, so that `other` may stay. Agents follow the order of their
/// definition; a mode may choose against that order.
pub(super) fn agent_prefers(rules: &[MethodRule], mode: AuthMode, chosen: &MethodRule, other: &MethodRule) -> bool {
    mode == AuthMode::Auto && position(rules, chosen) < position(rules, other)
}

/// Whether a mode permits this method.
pub fn allows(mode: AuthMode, method: Method) -> bool {
    match mode {
        AuthMode::Auto => true,
        AuthMode::Sync | AuthMode::Copy | AuthMode::Follow => method == Method::Session,
        AuthMode::Token => matches!(method, Method::OauthToken | Method::AuthToken),
        AuthMode::ApiKey => method == Method::ApiKey,
        AuthMode::Ignore => false,
    }
}

/// The words for the methods of a definition.
pub fn words(definition: &Definition) -> String {
    let has = |method: &Method| definition.methods.iter().any(|rule| rule.method == *method);
    let words: Vec<&str> = Method::VALUES.iter().filter(|method| has(method)).map(|method| method.word()).collect();
    words.join(", ")
}
