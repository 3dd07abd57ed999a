//! The strip under the header of the staff's pages: how the hub's links are, in words and shapes.

use crate::flow::{
    status::{LinkState, LinkStrip},
    words::{counted, duration},
};

use super::view::Mark;

/// The strip.
pub(super) struct Strip {
    pub mark: Mark,
    /// One sentence.
    pub words: String,
    /// The centre, then each local system.
    pub systems: Vec<StripLink>,
}

/// One link.
pub(super) struct StripLink {
    pub mark: Mark,
    pub name: String,
    pub words: String,
}

/// How links are shown.
pub(super) fn of(links: &LinkStrip) -> Strip {
    let down: Vec<&str> = links
        .systems
        .iter()
        .filter(|(_, state, ..)| *state == LinkState::Down)
        .map(|(name, ..)| name.as_str())
        .collect();
    let centre_away = links.centre != LinkState::Up;
    let mut said = Vec::new();
    if centre_away {
        let since = duration(links.now.since(links.since));
        let waiting = if links.queued == 0 {
            String::new()
        } else {
            format!(", and {} will be sent when it is back", entries(links.queued))
        };
        said.push(format!("No connection to the centre for {since}: work goes on here{waiting}"));
    }
    match down.as_slice() {
        [] => {}
        [one] => said.push(format!("{one} does not answer")),
        several => said.push(format!("{} do not answer", several.join(", "))),
    }
    let (mark, words) = match (centre_away, said.is_empty()) {
        (_, true) => (Mark::good(""), "All links work".to_owned()),
        _ => (Mark::attention(""), said.join(". ")),
    };
    let since = duration(links.now.since(links.since));
    let centre = StripLink {
        mark: if centre_away { Mark::attention("") } else { Mark::good("") },
        name: "Centre".to_owned(),
        words: format!(
            "{} for {since}; {} on the way",
            if centre_away { "not connected" } else { "connected" },
            entries(links.queued)
        ),
    };
    let systems = links.systems.iter().map(|(name, state, since, last)| {
        let (mark, word) = match state {
            LinkState::Up => (Mark::good(""), "connected"),
            LinkState::Waiting => (Mark::waiting(""), "ready, not connected"),
            LinkState::Down => (Mark::bad(""), "does not answer"),
        };
        let newest = match last {
            Some(last) => format!("; newest message {} ago", duration(links.now.since(*last))),
            None => String::new(),
        };
        let words = format!("{word} for {}{newest}", duration(links.now.since(*since)));
        StripLink { mark, name: name.clone(), words }
    });
    Strip { mark, words, systems: std::iter::once(centre).chain(systems).collect() }
}

fn entries(count: u64) -> String {
    if count == 0 { "nothing".to_owned() } else { counted(count, "message", "messages") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn links(centre: LinkState, rio: LinkState) -> LinkStrip {
        LinkStrip {
            now: Timestamp(600_000),
            centre,
            since: Timestamp(0),
            queued: 3,
            systems: vec![
                ("pas".to_owned(), LinkState::Up, Timestamp(0), Some(Timestamp(599_000))),
                ("rio".to_owned(), rio, Timestamp(0), None),
            ],
        }
    }

    #[test]
    fn one_sentence_says_what_does_not_work_and_that_work_goes_on() {
        assert_eq!(of(&links(LinkState::Up, LinkState::Waiting)).words, "All links work");
        assert_eq!(of(&links(LinkState::Up, LinkState::Down)).words, "rio does not answer");
        let away = of(&links(LinkState::Down, LinkState::Down));
        assert!(away.words.starts_with("No connection to the centre for 10 min"), "{}", away.words);
        assert!(away.words.contains("3 messages will be sent when it is back"), "{}", away.words);
        assert!(away.words.ends_with("rio does not answer"));
        let marks: Vec<&str> = away.systems.iter().map(|one| one.mark.icon).collect();
        assert_eq!(marks, ["attention", "good", "bad"], "shapes differ, not colours alone");
    }

    #[test]
    fn each_link_has_its_state_and_age_in_words() {
        let strip = of(&links(LinkState::Up, LinkState::Waiting));
        let words: Vec<String> =
            strip.systems.iter().map(|one| format!("{} {}", one.name, one.words)).collect();
        assert_eq!(words[0], "Centre connected for 10 min; 3 messages on the way");
        assert_eq!(words[1], "pas connected for 10 min; newest message 1 s ago");
        assert_eq!(words[2], "rio ready, not connected for 10 min");
    }
}
