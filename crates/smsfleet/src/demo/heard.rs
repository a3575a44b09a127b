//! What the rest of the platform hears: a survey service that listens to `sms.replies`, and a
//! directory service that listens for opt-outs.

use std::sync::{Arc, Mutex, PoisonError};

use bus::{Bus, Consumer, Topic};
use message::{
    event::{Event, Keyword, ReplyEvent},
    opt_out::OptOutKind,
};
use serde::Serialize;

/// What was heard so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Replies that are an opt-out.
    pub stop: u64,
    /// Replies that are an opt-in.
    pub start: u64,
    /// Replies that ask for help.
    pub help: u64,
    /// Every other reply.
    pub text: u64,
    /// Replies of all kinds that found the message they answer.
    pub matched: u64,
    /// Numbers that opted out.
    pub opted_out: u64,
    /// Numbers that opted in again.
    pub opted_in: u64,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    heard: Arc<Mutex<Heard>>,
    tasks: tokio::task::JoinSet<()>,
}

impl Listener {
    /// Listens from now on.
    pub async fn start(bus: &dyn Bus) -> anyhow::Result<Self> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let replies = bus.subscribe(Topic::Replies, "#").await?;
        let events = bus.subscribe(Topic::Events, "#").await?;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(listen(replies, heard.clone(), reply));
        tasks.spawn(listen(events, heard.clone(), event));
        Ok(Self { heard, tasks })
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many listeners are left: a lost one would make the figures lie.
    pub fn is_whole(&self) -> bool {
        self.tasks.len() == 2
    }
}

async fn listen(mut from: Consumer, heard: Arc<Mutex<Heard>>, note: fn(&mut Heard, &[u8])) {
    while let Ok(delivery) = from.next().await {
        note(
            &mut heard.lock().unwrap_or_else(PoisonError::into_inner),
            &delivery.body,
        );
        delivery.ack().await;
    }
}

fn reply(heard: &mut Heard, body: &[u8]) {
    let Ok(reply) = serde_json::from_slice::<ReplyEvent>(body) else {
        return;
    };
    heard.matched += u64::from(reply.in_reply_to.is_some());
    match reply.keyword {
        Keyword::OptOut => heard.stop += 1,
        Keyword::OptIn => heard.start += 1,
        Keyword::Help => heard.help += 1,
        Keyword::None => heard.text += 1,
    }
}

fn event(heard: &mut Heard, body: &[u8]) {
    match serde_json::from_slice(body) {
        Ok(Event::OptOut(event)) => match event.change.kind {
            OptOutKind::OptOut => heard.opted_out += 1,
            OptOutKind::OptIn => heard.opted_in += 1,
        },
        Ok(Event::Status(_) | Event::Refused(_)) | Err(_) => {}
    }
}
