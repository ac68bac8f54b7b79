//! The parser against the standard's own examples, and against itself with every other way of cutting the bytes.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;

use super::{Frame, Oversized, Parser, ServerEvent};

fn parse(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut parser = Parser::new("", 1 << 16);
    let mut out = VecDeque::new();
    for piece in pieces {
        parser.feed(piece, &mut out).expect("small");
    }
    out.into()
}

fn event(id: &str, event: &str, data: &str, has_own_id: bool) -> Frame {
    Frame::Event { event: ServerEvent { id: id.into(), event: event.into(), data: data.into() }, has_own_id }
}

#[test]
fn the_examples_of_the_standard() {
    let stocks = parse(&[b"data: YHOO\ndata: +2\ndata: 10\n\n"]);
    assert_eq!(stocks, [event("", "message", "YHOO\n+2\n10", false)]);
    let four = parse(&[b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"]);
    assert_eq!(four, [event("1", "message", "first event", true), event("", "message", "second event", true)]);
    let blanks = parse(&[b"data\n\ndata\ndata\n\ndata:"]);
    assert_eq!(blanks, [event("", "message", "", false), event("", "message", "\n", false)]);
    let spaces = parse(&[b"data:test\n\ndata: test\n\ndata:  test\n\n"]);
    let expected = ["test", "test", " test"].map(|data| event("", "message", data, false));
    assert_eq!(spaces, expected);
}

#[test]
fn every_line_end_counts_once_wherever_it_is_cut() {
    let expected = [event("7", "order.created", "a\nb", true)];
    for end in ["\n", "\r", "\r\n"] {
        let text = ["event: order.created", "id: 7", "data: a", "data: b", "", ""].join(end);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(parse(&[text.as_bytes()]), expected, "{end:?}");
        assert_eq!(parse(&bytes), expected, "{end:?} byte by byte");
    }
    assert_eq!(parse(&[b"data: a\r\ndata: b\r\r\n"]), [event("", "message", "a\nb", false)]);
}

#[test]
fn only_a_mark_at_the_very_beginning_is_skipped() {
    let plain = [event("", "message", "a", false)];
    assert_eq!(parse(&[b"\xEF\xBB\xBFdata: a\n\n"]), plain);
    assert_eq!(parse(&[b"\xEF", b"\xBB", b"\xBF", b"data: a\n\n"]), plain);
    assert_eq!(parse(&[b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n"]), [], "the second mark makes another field name");
    assert_eq!(parse(&[b"\xEF", b"\xBB", b"data: a\n\ndata: a\n\n"]), plain, "half a mark is text");
}

#[test]
fn ids_stay_until_they_are_set_anew_and_move_without_an_event() {
    let frames = parse(&[b"id: 5\ndata: a\n\ndata: b\n\nid: 6\n\nid: 7\0\ndata: c\n\n"]);
    let expected = [
        event("5", "message", "a", true),
        event("5", "message", "b", false),
        Frame::Position("6".into()),
        event("6", "message", "c", false),
    ];
    assert_eq!(frames, expected);
    let mut resumed = VecDeque::new();
    Parser::new("41", 100).feed(b"data: gap\n\n", &mut resumed).expect("small");
    assert_eq!(Vec::from(resumed), [event("41", "message", "gap", false)]);
}

#[test]
fn retry_is_digits_only_and_unknown_fields_are_nothing() {
    let frames = parse(&[b"retry: 1500\nretry: 1.5\nretry: -1\nretry:\nretry: x\nData: a\nother: b\n\n"]);
    assert_eq!(frames, [Frame::Retry(Duration::from_millis(1500))]);
    let huge = parse(&[b"retry: 99999999999999999999999\n"]);
    assert_eq!(huge, [Frame::Retry(Duration::from_millis(u64::MAX))]);
}

#[test]
fn a_type_without_data_does_not_leak_into_the_next_event() {
    assert_eq!(parse(&[b"event: a\n\ndata: b\n\n"]), [event("", "message", "b", false)]);
}

#[test]
fn what_does_not_fit_is_refused_be_it_one_line_or_many() {
    let mut out = VecDeque::new();
    assert_eq!(Parser::new("", 8).feed(b"data: 456789", &mut out), Err(Oversized { limit: 8 }));
    let mut endless = Parser::new("", 8);
    assert_eq!(endless.feed(b"data:12\ndata:34\n", &mut out), Ok(()));
    assert_eq!(endless.feed(b"data:56\n", &mut out), Err(Oversized { limit: 8 }));
    assert!(out.is_empty());
}

/// A slow reading of the whole text at once, straight from the standard's steps.
fn reference(bytes: &[u8]) -> Vec<Frame> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop();
    let (mut id, mut own, mut kind, mut data) = (String::new(), false, String::new(), Vec::new());
    let mut frames = Vec::new();
    for line in lines {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (line, field) {
            ("", _) => {
                let name = if kind.is_empty() { "message" } else { &kind };
                match (data.is_empty(), own) {
                    (false, _) => frames.push(event(&id, name, &data.join("\n"), own)),
                    (true, true) => frames.push(Frame::Position(id.clone())),
                    (true, false) => {}
                }
                (own, kind, data) = (false, String::new(), Vec::new());
            }
            (_, "data") => data.push(value.to_owned()),
            (_, "event") => kind = value.to_owned(),
            (_, "id") if !value.contains('\0') => (id, own) = (value.to_owned(), true),
            (_, "retry") if !value.is_empty() && value.chars().all(|digit| digit.is_ascii_digit()) => {
                frames.push(Frame::Retry(Duration::from_millis(value.parse().unwrap_or(u64::MAX))));
            }
            _ => {}
        }
    }
    frames
}

fn piece_of_a_stream() -> impl Strategy<Value = Vec<u8>> {
    let words = ["data", "event", "id", "retry", ":", ": ", " ", "x", "ü", "12", "order.created", "\0", "\u{FEFF}"];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        4 => proptest::sample::select(vec!["\n", "\r", "\r\n", "\n\n"]).prop_map(|end| end.as_bytes().to_vec()),
        3 => "(data|event|id|retry)(: ?[a-z0-9]{0,4})?(\n|\r|\r\n){1,2}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        pieces in proptest::collection::vec(piece_of_a_stream(), 0..60),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let bytes = pieces.concat();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        places.sort_unstable();
        let cut: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let expected = reference(&bytes);
        prop_assert_eq!(parse(&cut), expected.clone());
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(parse(&singly), expected);
    }
}
