//! The same input gives the same story, byte by byte, with many Rollouts at once.

#[path = "support/fleet.rs"]
mod fleet;

/// Plays in this test; `make bench` plays a hundred.
const PLAYS: usize = 3;

#[test]
fn the_same_seed_gives_the_same_transcript() {
    let first = fleet::transcript(8, 7);
    assert!(first.contains("outcome Promoted"), "{first}");
    for play in 1..PLAYS {
        let again = fleet::transcript(8, 7);
        assert!(first == again, "play {play} tells another story:\n{again}");
    }
}

#[test]
fn another_seed_gives_other_requests() {
    assert_ne!(fleet::transcript(1, 7), fleet::transcript(1, 8));
}
