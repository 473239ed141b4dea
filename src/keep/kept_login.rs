//! One login that is kept: the steps of a refresh, from the turn to the published login.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use crate::error::{Failure, in_words};
use crate::keep::command::RefreshCommand;
use crate::keep::copy::{Answer, RefreshCopy, Unfinished};
use crate::keep::message::About;
use crate::keep::schedule::Schedule;
use crate::log::Message;
use crate::login::{Digest, Login};
use crate::plan::warning;
use crate::process::children::Children;
use crate::process::task::Task;
use crate::state::Keeping;
use crate::sync::keepers_turn::Turn;
use crate::sync::session::SyncSession;

/// How long a granted turn may wait for the comparison with the stored login.
const COMPARE_LIMIT: Duration = Duration::from_secs(30);
/// How long the right to refresh is kept while a refreshed login cannot be published.
const SAVE_LIMIT: Duration = Duration::from_secs(60);
/// The time between two looks at the command of an earlier keeper.
const NEXT_LOOK: Duration = Duration::from_secs(1);
/// How long `--once` waits for another that refreshes.
const ONCE_PATIENCE: Duration = Duration::from_secs(120);

pub struct KeptLogin {
    pub agent: String,
    copy: RefreshCopy,
    command: RefreshCommand,
    schedule: Schedule,
    stage: Stage,
    /// The last step led to another stage, whose first step is due.
    has_moved: bool,
    /// There may be an unfinished refresh, of this keeper or an earlier one.
    may_be_unfinished: bool,
    /// How long before its login deadline a login is warned of.
    warn_within: Duration,
    /// A login must be there: it is the only one, or the operator named the agent.
    is_expected: bool,
    /// `--once`: what became of it.
    once: Option<Once>,
    missing: Missing,
    messages: Vec<Message>,
}

/// How a login is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long before its end the access token is refreshed.
    pub before: Duration,
    pub once: bool,
    /// How long before its login deadline a login is warned of.
    pub warn_within: Duration,
    /// A login must be there: it is the only one, or the operator named the agent.
    pub is_expected: bool,
}

#[derive(Debug, Clone, Copy)]
struct Once {
    until: Instant,
    is_ok: Option<bool>,
}

/// Whether there is no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    No,
    /// Working copy and store do not agree on one. One of them may be being written.
    Perhaps,
    /// After a comparison there is none, and a message said so.
    Yes,
}

enum Stage {
    /// Nothing is under way.
    Idle,
    /// The turn was requested.
    Asking,
    /// The turn is granted, and the stored login is being compared.
    Comparing { until: Instant },
    /// The command of an earlier keeper may still run.
    Waiting { until: Instant },
    /// The command runs.
    Running(Box<Task>),
    /// The refreshed login is being published.
    Saving { until: Instant, digest: Digest },
}

impl KeptLogin {
    pub fn new(agent: &str, copy: RefreshCopy, command: RefreshCommand, options: Options) -> KeptLogin {
        let Options { before, once, warn_within, is_expected } = options;
        let schedule = Schedule::new(before, command.limit());
        let once = once.then(|| Once { until: Instant::now() + ONCE_PATIENCE, is_ok: None });
        KeptLogin {
            agent: agent.to_owned(),
            copy,
            command,
            schedule,
            stage: Stage::Idle,
            has_moved: false,
            may_be_unfinished: true,
            warn_within,
            is_expected,
            once,
            missing: Missing::No,
            messages: Vec::new(),
        }
    }

    /// Whether a refresh must not be cut short: its command runs, or its login is not published.
    pub fn is_refreshing(&self) -> bool {
        matches!(self.stage, Stage::Running(_) | Stage::Saving { .. })
    }

    /// With `--once`: whether all went well, once it is known.
    pub fn is_done(&self) -> Option<bool> {
        self.once.and_then(|once| once.is_ok)
    }

    /// How it gets on, for `healthcheck`. `None` until the login was looked at.
    pub fn keeping(&self) -> Option<Keeping> {
        match self.missing {
            Missing::Yes if self.is_expected => Some(Keeping::Missing),
            Missing::Yes => Some(Keeping::Unused),
            Missing::No | Missing::Perhaps => self.schedule.keeping(),
        }
    }

    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// The descriptors of the command.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let task = if let Stage::Running(task) = &self.stage { Some(task) } else { None };
        task.into_iter().flat_map(|task| task.fds())
    }

    /// When the next step is due without an event.
    pub fn deadline(&self) -> Option<Instant> {
        if self.has_moved {
            return Some(Instant::now());
        }
        match &self.stage {
            Stage::Idle => {
                let left = self.next()?.duration_since(SystemTime::now()).unwrap_or_default();
                self.is_done().is_none().then(|| Instant::now() + left)
            }
            Stage::Asking => None,
            Stage::Comparing { until } | Stage::Waiting { until } | Stage::Saving { until, .. } => Some(*until),
            Stage::Running(task) => Some(task.deadline()),
        }
    }

    /// Does what is due. Never waits. The caller has reaped before, and the session has made its step.
    /// `may_begin`: no stop has begun.
    pub fn step(&mut self, session: &mut SyncSession, may_begin: bool, children: &mut Children) {
        let now = Instant::now();
        let before = std::mem::discriminant(&self.stage);
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle if !may_begin || self.is_done().is_some() => {}
            Stage::Idle => self.look(session, now),
            Stage::Running(task) => self.step_command(task, session, now, children),
            Stage::Saving { until, digest } => self.step_saving(until, digest, session, now),
            _ if !may_begin => session.end_turn(now),
            Stage::Asking => self.step_turn(session, now),
            Stage::Comparing { until } => self.step_comparison(until, session, now, children),
            Stage::Waiting { until } if now < until => self.stage = Stage::Waiting { until },
            Stage::Waiting { .. } => self.step_comparison(now + COMPARE_LIMIT, session, now, children),
        }
        self.has_moved = std::mem::discriminant(&self.stage) != before;
    }

    /// Plans the next refresh, and requests the turn if it is due.
    fn look(&mut self, session: &mut SyncSession, now: Instant) {
        self.may_be_unfinished = self.may_be_unfinished && self.copy.unfinished().is_some();
        let agreed = session.agreed_login();
        if let Some((login, _)) = &agreed {
            self.missing = Missing::No;
            self.plan(login, session);
        } else if session.is_settled(now) && !self.may_be_unfinished {
            self.say_missing(session, now);
        }
        if self.next().is_some_and(|next| next <= SystemTime::now()) {
            session.request_turn(now);
            self.stage = Stage::Asking;
            self.step_turn(session, now);
        } else if agreed.is_some() && session.is_settled(now) && !self.schedule.is_overdue(SystemTime::now()) {
            self.done(true);
        }
    }

    /// When the next step is due: at once for an unfinished refresh, unless that was just tried.
    fn next(&self) -> Option<SystemTime> {
        if self.may_be_unfinished {
            return Some(self.schedule.not_before().unwrap_or(SystemTime::UNIX_EPOCH));
        }
        self.schedule.due()
    }

    fn plan(&mut self, login: &Login, session: &SyncSession) {
        let now = SystemTime::now();
        let Some(due) = self.schedule.observe(login, now, random()) else { return };
        self.messages.push(about(&self.agent, session).planned(due, now));
        let end = login.ends_at(now);
        let near = end.and_then(|end| warning::deadline(&self.agent, &session.location(), end, now, self.warn_within));
        self.messages.extend(near);
    }

    fn say_missing(&mut self, session: &mut SyncSession, now: Instant) {
        match self.missing {
            Missing::No => {
                self.missing = Missing::Perhaps;
                return session.request_sync(now);
            }
            Missing::Perhaps => self.missing = Missing::Yes,
            Missing::Yes => return,
        }
        self.schedule.forget();
        self.done(!self.is_expected);
        self.messages.push(about(&self.agent, session).missing(self.is_expected, self.once.is_none()));
    }

    fn step_turn(&mut self, session: &mut SyncSession, now: Instant) {
        self.stage = match session.turn() {
            Turn::Awaited => Stage::Asking,
            Turn::Granted => {
                session.request_sync(now);
                Stage::Comparing { until: now + COMPARE_LIMIT }
            }
            Turn::Refused => {
                session.end_turn(now);
                self.schedule.postponed(SystemTime::now());
                if self.once.is_some_and(|once| now >= once.until) {
                    let why = "another container or agent has the right to refresh it for too long";
                    self.report(session, Failure::new(why), now);
                }
                Stage::Idle
            }
            Turn::Failed(why) => {
                self.report(session, Failure::new(format!("cannot get the right to refresh it: {why}")), now);
                Stage::Idle
            }
        };
    }

    fn step_comparison(&mut self, until: Instant, session: &mut SyncSession, now: Instant, children: &mut Children) {
        if !session.is_settled(now) {
            self.stage = Stage::Comparing { until };
            if now >= until {
                self.report(session, Failure::new("the stored login could not be compared"), now);
            }
            return;
        }
        if self.may_be_unfinished {
            self.stage = Stage::Comparing { until };
            self.resolve(session, now);
            if self.may_be_unfinished {
                return;
            }
        }
        self.stage = Stage::Idle;
        let Some((login, bytes)) = session.agreed_login() else { return session.end_turn(now) };
        self.plan(&login, session);
        if !self.schedule.is_due(SystemTime::now()) {
            // Another was faster.
            return session.end_turn(now);
        }
        match self.begin(&login, &bytes, children) {
            Ok(task) => {
                self.may_be_unfinished = true;
                self.stage = Stage::Running(Box::new(task));
            }
            Err(failure) => self.fail(session, failure, now),
        }
    }

    fn begin(&mut self, login: &Login, bytes: &Zeroizing<Vec<u8>>, children: &mut Children) -> Result<Task, Failure> {
        let lock = self.copy.begin(login, bytes);
        let lock = lock.map_err(|why| Failure::new(format!("cannot make a copy of it: {why}")))?;
        self.command.start(&self.copy.working_copy().dir, lock.as_ref(), children).inspect_err(|_| {
            // The mark of a command that did not start does no harm.
            let _ = self.copy.end();
        })
    }

    /// Waits for the command. Only the login file tells what it did: a command that refreshed may fail for other
    /// reasons, and succeed without having refreshed.
    fn step_command(&mut self, mut task: Box<Task>, session: &mut SyncSession, now: Instant, children: &mut Children) {
        let ended = match task.step(now, children) {
            Ok(None) => {
                self.stage = Stage::Running(task);
                return;
            }
            Ok(Some(_)) => {
                let failure = Failure::new(format!("{} ended without a refresh", self.command.name()));
                let last = task.last_words();
                if last.is_empty() { failure } else { failure.hint(format!("the command wrote: {last}")) }
            }
            Err(failure) => failure,
        };
        match self.copy.answer() {
            Answer::Refreshed { login, bytes } => self.save(&login, &bytes, session, now),
            Answer::None => self.fail(session, ended, now),
            Answer::LoggedOut => self.refused(session, now),
            Answer::Damaged { why, bytes } => {
                if let Some(bytes) = bytes {
                    self.keep_unpublished(session, &bytes);
                }
                let name = self.command.name();
                let failure = Failure::new(format!("the file that {name} left is not a usable login: {why}"));
                self.fail(session, Failure { hint: ended.hint, ..failure }, now);
            }
            Answer::Unreadable(why) => {
                // It may be the new login.
                self.fail_unresolved(session, &format!("the file that the command left cannot be read: {why}"), now);
            }
        }
    }

    /// Deals with a refresh that was begun and whose result is not stored.
    fn resolve(&mut self, session: &mut SyncSession, now: Instant) {
        let Some(Unfinished { of, age, may_run, result }) = self.copy.unfinished() else {
            return self.discard(session);
        };
        let stored = session.stored().state.login().map(|login| login.digest);
        match result {
            // The command may still wait for the answer, or be writing the file.
            Answer::None | Answer::LoggedOut | Answer::Damaged { .. } if may_run && age < self.command.limit() => {
                self.stage = Stage::Waiting { until: now + self.command.limit().saturating_sub(age).min(NEXT_LOOK) };
            }
            Answer::Refreshed { login, bytes } if stored == Some(of) => self.save(&login, &bytes, session, now),
            Answer::Refreshed { login, bytes } => match session.was_stored(login.digest) {
                Some(true) => self.discard(session),
                Some(false) => {
                    self.keep_unpublished(session, &bytes);
                    self.discard(session);
                }
                None => self.fail_unresolved(session, "the record of the store cannot be read", now),
            },
            Answer::Damaged { bytes: Some(bytes), .. } => {
                self.keep_unpublished(session, &bytes);
                self.discard(session);
            }
            Answer::LoggedOut if stored == Some(of) && self.schedule.due().is_some() => self.refused(session, now),
            Answer::None | Answer::LoggedOut | Answer::Damaged { .. } => self.discard(session),
            Answer::Unreadable(why) => self.fail_unresolved(session, &why, now),
        }
    }

    /// Publishes the refreshed login.
    fn save(&mut self, login: &Login, bytes: &[u8], session: &mut SyncSession, now: Instant) {
        match session.put_refreshed(bytes, now) {
            Ok(()) => self.stage = Stage::Saving { until: now + SAVE_LIMIT, digest: login.digest },
            Err(why) => {
                let place = self.copy.working_copy().path.display();
                let why = format!("the refreshed login cannot be written: {why}; it exists only in {place}");
                self.fail_unresolved(session, &why, now);
            }
        }
    }

    fn step_saving(&mut self, until: Instant, digest: Digest, session: &mut SyncSession, now: Instant) {
        let stored = session.stored().state.login().map(|login| login.digest);
        if session.is_settled(now) && stored == Some(digest) {
            self.discard(session);
            session.end_turn(now);
            self.messages.push(about(&self.agent, session).refreshed());
            return;
        }
        if now < until {
            self.stage = Stage::Saving { until, digest };
        } else {
            self.fail_unresolved(session, "the refreshed login could not be published yet", now);
        }
    }

    fn keep_unpublished(&mut self, session: &SyncSession, login: &[u8]) {
        let kept = session.keep_unpublished(login);
        self.messages.push(about(&self.agent, session).set_aside(kept));
    }

    /// Ends an unfinished refresh. If the copy cannot be removed, the next start finds that it is stored.
    fn discard(&mut self, session: &SyncSession) {
        if let Err(error) = self.copy.end() {
            self.messages.push(about(&self.agent, session).not_cleaned_up(&in_words(&error)));
        }
        self.may_be_unfinished = false;
    }

    /// The vendor refused, and the agent blanked its login.
    fn refused(&mut self, session: &mut SyncSession, now: Instant) {
        self.stage = Stage::Idle;
        self.discard(session);
        session.end_turn(now);
        self.schedule.refused();
        self.done(false);
        self.messages.push(about(&self.agent, session).refused());
    }

    /// A refresh failed, and changed nothing.
    fn fail(&mut self, session: &mut SyncSession, failure: Failure, now: Instant) {
        self.discard(session);
        self.report(session, failure, now);
    }

    /// A refresh failed, and its result is looked at again.
    fn fail_unresolved(&mut self, session: &mut SyncSession, why: &str, now: Instant) {
        self.report(session, Failure::new(why), now);
    }

    fn report(&mut self, session: &mut SyncSession, failure: Failure, now: Instant) {
        self.stage = Stage::Idle;
        session.end_turn(now);
        let expires_at = session.stored().state.login().and_then(|login| login.expires_at);
        let retry = self.schedule.failed(expires_at, SystemTime::now());
        self.done(false);
        let retry = self.once.is_none().then_some(retry);
        self.messages.push(about(&self.agent, session).failed(failure, retry));
    }

    fn done(&mut self, is_ok: bool) {
        if let Some(once) = &mut self.once {
            once.is_ok.get_or_insert(is_ok);
        }
    }
}

fn about(agent: &str, session: &SyncSession) -> About {
    About { agent: agent.to_owned(), at: session.location() }
}

/// A random number from 0 to 1.
fn random() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}
