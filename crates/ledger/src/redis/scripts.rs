//! The Lua scripts, each with what it shares with others in front of it.

/// A script and the name that the server knows it by.
pub(super) struct Script {
    pub(super) code: &'static str,
    pub(super) hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self { code, hash }
    }
}

/// All scripts, hashed once.
pub(super) struct Scripts {
    pub(super) add_batch: Script,
    pub(super) add_connection: Script,
    pub(super) append: Script,
    pub(super) attend: Script,
    pub(super) cancel: Script,
    pub(super) change_opt_out: Script,
    pub(super) claim: Script,
    pub(super) close_queue: Script,
    pub(super) delete_connection: Script,
    pub(super) join_part: Script,
    pub(super) lease: Script,
    pub(super) limit: Script,
    pub(super) mark_published: Script,
    pub(super) merge: Script,
    pub(super) open_queue: Script,
    pub(super) publish_state: Script,
    pub(super) queues: Script,
    pub(super) register_batch: Script,
    pub(super) reopen: Script,
    pub(super) set_limit: Script,
    pub(super) set_state: Script,
    pub(super) settle: Script,
    pub(super) throttled: Script,
    pub(super) write_rows: Script,
}

macro_rules! script {
    ($($file:literal),+) => { Script::new(concat!($(include_str!(concat!("lua/", $file, ".lua"))),+)) };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            add_batch: script!("clock", "add_batch"),
            add_connection: script!("add_connection"),
            append: script!("append"),
            attend: script!("clock", "attend"),
            cancel: script!("bytes", "row", "columns", "cancel"),
            change_opt_out: script!("change_opt_out"),
            claim: script!("bytes", "row", "columns", "claim"),
            close_queue: script!("clock", "version", "close_queue"),
            delete_connection: script!("delete_connection"),
            join_part: script!("join_part"),
            lease: script!("clock", "cell", "lease"),
            limit: script!("clock", "cell", "limit"),
            mark_published: script!("mark_published"),
            merge: script!("bytes", "row", "columns", "parts", "said", "merge"),
            open_queue: script!("clock", "version", "open_queue"),
            publish_state: script!("clock", "version", "publish_state"),
            queues: script!("clock", "version", "queues"),
            register_batch: script!("register_batch"),
            reopen: script!("bytes", "row", "columns", "reopen"),
            set_limit: script!("clock", "cell", "set_limit"),
            set_state: script!("set_state"),
            settle: script!("bytes", "row", "columns", "parts", "said", "settle"),
            throttled: script!("clock", "cell", "throttled"),
            write_rows: script!("write_rows"),
        }
    }
}
