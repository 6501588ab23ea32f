//! What to do next, case by case.

use jiff::{SignedDuration, Timestamp};

use super::{
    next::{Memo, Next, SETTLE, Saved, next},
    outbox::GONE,
};
use crate::api::{Fact, FactKind, Notification};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entry(message: &str, pending: usize, end: &str) -> Notification {
    let fact = Fact { kind: FactKind::Step, at: at(0), text: "a step".into() };
    Notification {
        to: "slack:releases".into(),
        release: "r/0/1".into(),
        message: message.into(),
        sent: 0,
        pending: vec![fact; pending],
        end: end.into(),
    }
}

fn memo(certain: bool, shown: Option<&str>) -> Memo {
    Memo { shown: shown.map(str::to_owned), ..Memo::new("r/0/1", certain, at(100)) }
}

#[test]
fn whoever_made_the_entry_posts_at_once_and_others_look_first() {
    let new = entry("", 1, "");
    assert_eq!(next(&new, "x", &memo(true, None), at(100)), Next::PostMessage);
    let settled = at(100).checked_add(SETTLE).unwrap();
    assert_eq!(next(&new, "x", &memo(false, None), at(100)), Next::Wait(settled));
    assert_eq!(next(&new, "x", &memo(false, None), settled), Next::FindMessage);
    let stands = entry("C1/1.0", 1, "");
    assert_eq!(next(&stands, "x", &memo(true, Some("x")), at(100)), Next::Reply);
    assert_eq!(next(&stands, "x", &memo(false, Some("x")), at(100)), Next::Wait(settled));
    assert_eq!(next(&stands, "x", &memo(false, Some("x")), settled), Next::FindReply);
}

#[test]
fn the_message_is_edited_before_its_thread_goes_on_but_not_all_the_time() {
    let stands = entry("C1/1.0", 1, "");
    assert_eq!(next(&stands, "new", &memo(true, Some("old")), at(100)), Next::Edit);
    assert_eq!(next(&stands, "new", &memo(true, None), at(100)), Next::Edit, "after a restart");
    let edited = Memo { edited: Some(at(99)), ..memo(true, Some("old")) };
    assert_eq!(next(&stands, "new", &edited, at(100)), Next::Reply, "edited a second ago");
    assert_eq!(next(&entry("C1/1.0", 0, ""), "new", &edited, at(100)), Next::Wait(at(102)));
    assert_eq!(next(&entry("C1/1.0", 0, "new"), "new", &edited, at(100)), Next::Edit, "the end");
}

#[test]
fn an_entry_is_over_when_all_is_said() {
    let shown = memo(true, Some("end"));
    assert_eq!(next(&entry("C1/1.0", 0, ""), "end", &shown, at(100)), Next::Rest);
    assert_eq!(next(&entry("C1/1.0", 1, "end"), "end", &shown, at(100)), Next::Reply);
    let over = Next::Save(Saved::Over);
    assert_eq!(next(&entry("C1/1.0", 0, "end"), "end", &shown, at(100)), over);
    assert_eq!(next(&entry(GONE, 3, ""), "x", &shown, at(100)), Next::Rest);
    assert_eq!(next(&entry(GONE, 3, "end"), "end", &shown, at(100)), over);
}

#[test]
fn what_was_said_is_written_before_anything_else_is_said() {
    let told = Memo { unsaved: Some(Saved::Told(1)), ..memo(true, Some("old")) };
    let told = Memo { not_before: Some(at(200)), ..told };
    assert_eq!(next(&entry("C1/1.0", 2, ""), "new", &told, at(100)), Next::Save(Saved::Told(1)));
}

#[test]
fn after_a_failure_there_is_a_pause() {
    let failed = Memo { not_before: Some(at(103)), ..memo(true, None) };
    assert_eq!(next(&entry("", 1, ""), "x", &failed, at(100)), Next::Wait(at(103)));
    assert_eq!(next(&entry("", 1, ""), "x", &failed, at(103)), Next::PostMessage);
    let mut doubting = memo(true, None);
    doubting.doubt(at(100));
    let settled = at(100).checked_add(SETTLE).unwrap();
    assert_eq!(next(&entry("", 1, ""), "x", &doubting, at(105)), Next::Wait(settled));
    assert!(SETTLE > SignedDuration::try_from(super::http::TIMEOUT).unwrap());
}
