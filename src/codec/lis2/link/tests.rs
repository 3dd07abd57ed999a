//! Both ends of a line talking to each other, and an instrument that does everything instruments do.

use proptest::prelude::*;

use super::*;
use crate::codec::lis2::frame::{ETB, ETX, STX};

const MESSAGE: &[u8] = b"H|\\^&|||XN-550\rP|1||9990000018\rO|1|S1||^^^WBC\rR|1|^^^WBC|5.1\rL|1|N\r";
const SECOND: Duration = Duration::from_secs(1);

fn drain(conversation: &mut Conversation) -> Vec<Action> {
    std::iter::from_fn(|| conversation.next_action()).collect()
}

fn written(actions: &[Action]) -> Vec<u8> {
    let bytes = actions.iter().filter_map(|action| match action {
        Action::Write(bytes) => Some(bytes.to_vec()),
        _ => None,
    });
    bytes.collect::<Vec<_>>().concat()
}

fn host() -> Conversation {
    Conversation::new(Role::Host, 1 << 20)
}

/// A host that has been asked for the line and has given it.
fn receiving() -> Conversation {
    let mut host = host();
    host.receive(&[ENQ], Duration::ZERO);
    assert_eq!(written(&drain(&mut host)), [ACK]);
    host
}

/// Lets an instrument send a message to a host; returns what the host handed out.
fn transfer(framing: Framing, verdicts: &[Verdict]) -> (Vec<Bytes>, Vec<Action>) {
    let (mut instrument, mut host) = (Conversation::new(Role::Instrument, 1 << 20), host());
    let (mut messages, mut ends, mut verdicts) = (Vec::new(), Vec::new(), verdicts.iter());
    assert!(instrument.send(MESSAGE, framing, Duration::ZERO));
    assert!(!instrument.send(MESSAGE, framing, Duration::ZERO), "one at a time");
    for _ in 0..200 {
        for action in drain(&mut instrument) {
            match action {
                Action::Write(bytes) => host.receive(&bytes, Duration::ZERO),
                other => ends.push(other),
            }
        }
        for action in drain(&mut host) {
            match action {
                Action::Write(bytes) => instrument.receive(&bytes, Duration::ZERO),
                Action::Message(bytes) => {
                    messages.push(bytes);
                    host.decide(*verdicts.next().unwrap_or(&Verdict::Taken), Duration::ZERO);
                }
                other => ends.push(other),
            }
        }
    }
    (messages, ends)
}

#[test]
fn every_habit_of_framing_brings_the_same_message() {
    for framing in [Framing::RecordAFrame, Framing::MessageAFrame, Framing::NumbersRestart] {
        let (messages, ends) = transfer(framing, &[]);
        assert_eq!(messages, [Bytes::from_static(MESSAGE)], "{framing:?}");
        assert_eq!(ends, [Action::Sent], "{framing:?}");
    }
}

#[test]
fn a_message_that_is_not_durable_is_refused_and_comes_again() {
    for framing in [Framing::RecordAFrame, Framing::MessageAFrame, Framing::NumbersRestart] {
        let (messages, ends) = transfer(framing, &[Verdict::Later, Verdict::Later, Verdict::Taken]);
        assert_eq!(messages, [MESSAGE; 3].map(Bytes::from_static), "{framing:?}");
        assert_eq!(ends, [Action::Sent], "{framing:?}");
        let (messages, ends) = transfer(framing, &[Verdict::Later; 20]);
        assert_eq!(messages.len(), 6, "six attempts at its last frame");
        assert!(matches!(ends[..], [Action::NotSent(_), ..]), "{ends:?}");
    }
}

#[test]
fn nothing_is_acknowledged_before_the_verdict() {
    let mut host = receiving();
    let mut frame = BytesMut::new();
    encode(1, MESSAGE, true, &mut frame);
    host.receive(&frame, Duration::ZERO);
    let actions = drain(&mut host);
    assert_eq!(actions, [Action::Message(Bytes::from_static(MESSAGE))]);
    // Noise, or an instrument that cannot wait, changes nothing.
    host.receive(&[ENQ, b'x'], SECOND);
    host.tick(SECOND * 100);
    assert!(drain(&mut host).is_empty());
    host.decide(Verdict::Taken, SECOND);
    assert_eq!(written(&drain(&mut host)), [ACK], "the new enquiry's: the frame's would be taken for it");
}

#[test]
fn an_answer_that_is_too_late_is_not_given() {
    for (verdict, answer) in [(Verdict::Taken, ACK), (Verdict::Later, NAK)] {
        let mut frame = BytesMut::new();
        encode(1, MESSAGE, true, &mut frame);
        for (seconds, expected) in [(13, vec![answer]), (14, vec![])] {
            let mut host = receiving();
            host.receive(&frame, SECOND);
            drain(&mut host);
            host.decide(verdict, SECOND * (1 + seconds));
            assert_eq!(written(&drain(&mut host)), expected, "{seconds} s");
        }
        // The sender has given up the frame already: the next answer is its enquiry's.
        let mut host = receiving();
        host.receive(&frame, Duration::ZERO);
        host.receive(&[EOT, ENQ], SECOND);
        drain(&mut host);
        host.decide(verdict, SECOND);
        assert_eq!(written(&drain(&mut host)), [ACK]);
        host.receive(&frame, SECOND);
        let actions = drain(&mut host);
        assert_eq!(actions, [Action::Message(Bytes::from_static(MESSAGE))], "and it is taken in again");
    }
}

#[test]
fn a_frame_that_began_anew_is_answered_once() {
    let mut host = receiving();
    let mut frame = BytesMut::new();
    encode(1, b"H|\\^&\r", true, &mut frame);
    host.receive(&[&frame[..5], &frame[..]].concat(), Duration::ZERO);
    assert_eq!(written(&drain(&mut host)), [ACK], "two answers would leave the sender one ahead for good");
}

#[test]
fn records_that_end_without_a_line_end_are_records_all_the_same() {
    let mut host = receiving();
    let records = MESSAGE.split(|byte| *byte == b'\r').filter(|record| !record.is_empty());
    for (number, record) in (1..).zip(records) {
        let mut frame = BytesMut::new();
        encode(number, record, true, &mut frame);
        host.receive(&frame, Duration::ZERO);
    }
    let whole = drain(&mut host).into_iter().find_map(|action| match action {
        Action::Message(bytes) => Some(bytes),
        _ => None,
    });
    assert_eq!(whole.as_deref(), MESSAGE.strip_suffix(b"\r"));
}

#[test]
fn what_follows_something_too_long_is_no_messages_beginning() {
    let mut host = Conversation::new(Role::Host, 30);
    host.receive(&[ENQ], Duration::ZERO);
    drain(&mut host);
    for (text, answer) in
        [(&b"H|\\^&\r"[..], ACK), (&[b'R'; 40], NAK), (b"R|1|^^^WBC|5\r", NAK), (b"L|1|N\r", NAK)]
    {
        let mut frame = BytesMut::new();
        encode(1, text, true, &mut frame);
        host.receive(&frame, Duration::ZERO);
        let actions = drain(&mut host);
        assert!(!actions.iter().any(|action| matches!(action, Action::Message(_))), "{actions:?}");
        assert_eq!(written(&actions), [answer]);
    }
}

#[test]
fn frames_to_an_old_instrument_are_short() {
    let mut host = host();
    host.limit_sent_frames(10);
    host.send(MESSAGE, Framing::MessageAFrame, Duration::ZERO);
    host.receive(&[ACK], Duration::ZERO);
    let frame = written(&drain(&mut host));
    assert_eq!(frame, b"\x05\x021H|\\^&|||XN\x1706\r\n", "{}", frame.escape_ascii());
}

#[test]
fn a_repeated_frame_is_acknowledged_and_not_taken_twice() {
    let mut host = receiving();
    let (first, rest) = MESSAGE.split_at(MESSAGE.iter().position(|byte| *byte == b'\r').unwrap() + 1);
    for _ in 0..2 {
        let mut frame = BytesMut::new();
        encode(1, first, true, &mut frame);
        host.receive(&frame, Duration::ZERO);
        assert_eq!(written(&drain(&mut host)), [ACK]);
    }
    let mut frame = BytesMut::new();
    encode(2, rest, true, &mut frame);
    host.receive(&frame, Duration::ZERO);
    assert_eq!(drain(&mut host), [Action::Message(Bytes::from_static(MESSAGE))]);
}

#[test]
fn damage_is_refused_and_a_missing_frame_too() {
    let mut host = receiving();
    let mut frame = BytesMut::new();
    encode(1, b"H|\\^&\r", true, &mut frame);
    for place in 1..frame.len() - 2 {
        let mut damaged = frame.to_vec();
        // A bit of the text, the number, the terminator or the checksum: never one of the control characters.
        damaged[place] = if damaged[place] == b'~' { b'}' } else { b'~' };
        if damaged[place] == frame[place] || frame[place] == ETX {
            continue;
        }
        host.receive(&damaged, Duration::ZERO);
        assert_eq!(written(&drain(&mut host)), [NAK], "byte {place}");
    }
    let mut skipped = BytesMut::new();
    encode(3, b"H|\\^&\r", true, &mut skipped);
    host.receive(&skipped, Duration::ZERO);
    assert_eq!(written(&drain(&mut host)), [NAK], "frame 3 where 1 should be");
    host.receive(&frame, Duration::ZERO);
    assert_eq!(written(&drain(&mut host)), [ACK]);
}

#[test]
fn what_is_torn_is_said_and_never_silently_dropped() {
    let begun = || {
        let mut host = receiving();
        let mut frame = BytesMut::new();
        encode(1, b"H|\\^&\r", true, &mut frame);
        host.receive(&frame, Duration::ZERO);
        drain(&mut host);
        host
    };
    let torn = |mut host: Conversation| {
        let actions = drain(&mut host);
        actions.iter().any(|action| matches!(action, Action::Torn(bytes, _) if &bytes[..] == b"H|\\^&\r"))
    };
    let mut silent = begun();
    assert_eq!(silent.deadline(), Some(FRAME_WITHIN));
    silent.tick(FRAME_WITHIN);
    assert!(torn(silent));
    let mut ended = begun();
    ended.receive(&[EOT], SECOND);
    assert!(torn(ended));
    let mut anew = begun();
    anew.receive(&[ENQ], SECOND);
    assert!(torn(anew));
    let mut gone = begun();
    gone.hang_up();
    assert!(torn(gone));
}

#[test]
fn of_two_that_enquire_at_once_the_instrument_goes_first() {
    let (mut instrument, mut host) = (Conversation::new(Role::Instrument, 1 << 20), host());
    instrument.send(MESSAGE, Framing::RecordAFrame, Duration::ZERO);
    host.send(MESSAGE, Framing::RecordAFrame, Duration::ZERO);
    let (from_instrument, from_host) = (written(&drain(&mut instrument)), written(&drain(&mut host)));
    assert_eq!((&from_instrument[..], &from_host[..]), (&[ENQ][..], &[ENQ][..]));
    instrument.receive(&from_host, Duration::ZERO);
    host.receive(&from_instrument, Duration::ZERO);
    assert!(
        drain(&mut instrument).is_empty() && drain(&mut host).is_empty(),
        "a crossed enquiry is not answered"
    );
    assert_eq!((instrument.deadline(), host.deadline()), (Some(SECOND), Some(SECOND * 20)));
    instrument.tick(SECOND);
    host.receive(&written(&drain(&mut instrument)), SECOND);
    assert_eq!(written(&drain(&mut host)), [ACK], "the host has become the receiver");
    assert!(host.outgoing.is_some(), "and sends when the instrument has ended");
}

#[test]
fn an_enquiry_nobody_answers_is_given_up_and_a_busy_receiver_is_asked_again() {
    let mut instrument = Conversation::new(Role::Instrument, 1 << 20);
    instrument.send(MESSAGE, Framing::RecordAFrame, Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut enquiries = 0;
    let mut ended = false;
    while let (false, Some(deadline)) = (ended, instrument.deadline()) {
        for action in drain(&mut instrument) {
            enquiries += usize::from(matches!(&action, Action::Write(bytes) if bytes[..] == [ENQ]));
            ended |= matches!(action, Action::NotSent(_));
        }
        assert!(now <= deadline);
        now = deadline;
        instrument.tick(now);
    }
    assert_eq!(enquiries, 6);
    let mut busy = Conversation::new(Role::Instrument, 1 << 20);
    busy.send(MESSAGE, Framing::RecordAFrame, Duration::ZERO);
    drain(&mut busy);
    busy.receive(&[NAK], SECOND);
    assert_eq!(busy.deadline(), Some(SECOND * 11), "ten seconds later");
}

#[test]
fn a_frame_refused_six_times_ends_the_transfer() {
    let mut instrument = Conversation::new(Role::Instrument, 1 << 20);
    instrument.send(MESSAGE, Framing::RecordAFrame, Duration::ZERO);
    instrument.receive(&[ACK], Duration::ZERO);
    for _ in 0..6 {
        instrument.receive(&[NAK], Duration::ZERO);
    }
    let actions = drain(&mut instrument);
    let frames = actions.iter().filter(|action| matches!(action, Action::Write(bytes) if bytes[0] == STX));
    assert_eq!(frames.count(), 6);
    assert!(matches!(actions.last(), Some(Action::NotSent(_))));
    let mut unanswered = Conversation::new(Role::Instrument, 1 << 20);
    unanswered.send(MESSAGE, Framing::RecordAFrame, Duration::ZERO);
    unanswered.receive(&[ACK], Duration::ZERO);
    unanswered.tick(ANSWER_WITHIN);
    assert!(matches!(drain(&mut unanswered).last(), Some(Action::NotSent(_))));
}

#[test]
fn frames_beyond_the_limit_and_messages_beyond_ours_are_refused_in_bounded_memory() {
    let mut host = Conversation::new(Role::Host, 1000);
    host.receive(&[ENQ], Duration::ZERO);
    host.receive(&[STX, b'1'], Duration::ZERO);
    host.receive(&vec![b'x'; 1 << 20], Duration::ZERO);
    assert!(written(&drain(&mut host)).contains(&NAK));
    host.receive(&[ENQ], Duration::ZERO);
    drain(&mut host);
    let mut frame = BytesMut::new();
    encode(1, &vec![b'x'; 2000], false, &mut frame);
    assert_eq!(frame[frame.len() - 5], ETB);
    host.receive(&frame, Duration::ZERO);
    assert_eq!(written(&drain(&mut host)), [NAK]);
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_same_comes_out(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 1_usize..40,
    ) {
        let mut stream = vec![ENQ];
        for frame in frames(MESSAGE, Framing::RecordAFrame, 240) {
            stream.extend_from_slice(&frame);
        }
        stream.push(EOT);
        stream.extend_from_slice(&noise);
        let run = |pieces: usize| {
            let mut host = Conversation::new(Role::Host, 1 << 16);
            let mut actions = Vec::new();
            for piece in stream.chunks(pieces) {
                host.receive(piece, Duration::ZERO);
                loop {
                    let Some(action) = host.next_action() else { break };
                    let decide = matches!(action, Action::Message(_));
                    actions.push(action);
                    if decide {
                        host.decide(Verdict::Taken, Duration::ZERO);
                    }
                }
            }
            host.hang_up();
            actions.extend(drain(&mut host));
            // What is answered depends on whether the sender waited for it; what is received does not.
            actions.retain(|action| !matches!(action, Action::Write(_)));
            actions
        };
        prop_assert_eq!(run(stream.len()), run(cut));
    }
}

/// Lets an instrument send its message until it is accepted, over a line that loses bytes, in simulated time.
fn over_a_losing_line(seed: u64) -> Vec<Bytes> {
    let mut entropy = crate::sys::entropy::Entropy::from_seed(seed);
    let mut lossy =
        |bytes: &Bytes| -> Vec<u8> { bytes.iter().copied().filter(|_| entropy.below(100) != 0).collect() };
    let (mut instrument, mut host) = (Conversation::new(Role::Instrument, 1 << 20), host());
    let (mut now, mut messages) = (Duration::ZERO, Vec::new());
    instrument.send(MESSAGE, Framing::RecordAFrame, now);
    for _ in 0..100_000 {
        let mut quiet = true;
        while let Some(action) = instrument.next_action() {
            quiet = false;
            match action {
                Action::Write(bytes) => host.receive(&lossy(&bytes), now),
                Action::Sent => return messages,
                Action::NotSent(_) => drop(instrument.send(MESSAGE, Framing::RecordAFrame, now)),
                other => panic!("{other:?}"),
            }
        }
        while let Some(action) = host.next_action() {
            quiet = false;
            match action {
                Action::Write(bytes) => instrument.receive(&lossy(&bytes), now),
                Action::Message(bytes) => {
                    messages.push(bytes);
                    host.decide(Verdict::Taken, now);
                }
                Action::Torn(..) => {}
                other => panic!("{other:?}"),
            }
        }
        if quiet {
            now = [instrument.deadline(), host.deadline()].into_iter().flatten().min().expect("a deadline");
            instrument.tick(now);
            host.tick(now);
        }
    }
    panic!("seed {seed}: no end")
}

#[test]
fn over_a_line_that_loses_bytes_the_message_arrives_whole_or_again() {
    for seed in 0..300 {
        let messages = over_a_losing_line(seed);
        assert!(!messages.is_empty(), "seed {seed}: sent, and never taken");
        assert!(
            messages.iter().all(|message| message[..] == *MESSAGE),
            "seed {seed}: something else was taken"
        );
    }
}
