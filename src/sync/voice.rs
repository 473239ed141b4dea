//! Pure. What a link has to say: each thing once, until it is news again.

use crate::report::Message;

/// Messages on their way out.
#[derive(Debug, Default)]
pub struct Voice {
    outbox: Vec<Message>,
    said: Vec<String>,
}

impl Voice {
    /// Says it.
    pub fn say(&mut self, message: Message) {
        self.outbox.push(message);
    }

    /// Says it, unless it was said.
    pub fn once(&mut self, message: Message) {
        if !self.said.contains(&message.text) {
            self.said.push(message.text.clone());
            self.outbox.push(message);
        }
    }

    /// All is well: what was wrong before is news when it happens again.
    pub fn all_is_well(&mut self) {
        self.said.clear();
    }

    /// What there is to say since the last call.
    pub fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.outbox)
    }
}
