//! Giving way: background threads that must not slow down what people wait for.

/// How far a background thread steps back (nice(2)): about a thirtieth of a busy foreground thread's share.
const BACKGROUND: i32 = 15;

/// Makes the calling thread give way to all others. Where that is not allowed it works on as before.
pub fn give_way() {
    // On Linux this is about the calling thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, BACKGROUND) {
        tracing::debug!(%error, "a background thread keeps its priority");
    }
}
