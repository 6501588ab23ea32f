//! Whether a request is Slack's: its signature, its time, and that it comes for the first time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use super::super::hmac;

/// How old, or ahead of our clock, a request may be, in seconds.
pub const LONGEST: i64 = 300;

/// Signatures that are remembered at once; more clicks in ten minutes are refused.
const MOST: usize = 10_000;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No timestamp, or no signature.
    #[error("a header is missing or unreadable")]
    Headers,
    /// The signature is not that of the body.
    #[error("the signature is wrong")]
    Signature,
    /// It is too old, or of the future.
    #[error("its time is more than five minutes from ours")]
    Time,
    /// It came before.
    #[error("it came before")]
    Replay,
}

/// The signatures of the last minutes.
#[derive(Debug, Default)]
pub struct Seen(Mutex<BTreeMap<String, i64>>);

impl Seen {
    /// Whether a signature comes for the first time.
    fn first(&self, signature: &str, now: i64) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Twice as long as a request is valid: its time may be ahead of ours.
        seen.retain(|_, at| *at >= now - 2 * LONGEST);
        seen.len() < MOST && seen.insert(signature.to_owned(), now).is_none()
    }
}

/// The signature of a body at a time, as Slack makes it.
pub fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let parts: [&[u8]; 4] = [b"v0:", timestamp.as_bytes(), b":", body];
    format!("v0={}", hmac::sign(secret.as_bytes(), &parts))
}

/// When Slack sent a request.
///
/// # Errors
/// It is not Slack's, or came before.
pub fn verify(
    secret: &str,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
    seen: &Seen,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let (Some(timestamp), Some(signature)) = (timestamp, signature) else {
        return Err(Error::Headers);
    };
    let at: i64 = timestamp.parse().map_err(|_| Error::Headers)?;
    if !hmac::same(&sign(secret, timestamp, body), signature) {
        return Err(Error::Signature);
    }
    let now = now.as_second();
    if at.checked_sub(now).is_none_or(|apart| apart.unsigned_abs() > LONGEST.unsigned_abs()) {
        return Err(Error::Time);
    }
    let at = Timestamp::from_second(at).map_err(|_| Error::Time)?;
    if seen.first(signature, now) { Ok(at) } else { Err(Error::Replay) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's page "Verifying requests from Slack".
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIME: &str = "1531420618";
    const BODY: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands\
        %2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn checked(signature: &str, body: &[u8], now: i64) -> Result<Timestamp, Error> {
        verify(SECRET, Some(TIME), Some(signature), body, &Seen::default(), at(now))
    }

    #[test]
    fn slacks_own_example_is_slacks() {
        assert_eq!(sign(SECRET, TIME, BODY), SIGNATURE);
        assert_eq!(checked(SIGNATURE, BODY, 1_531_420_618), Ok(at(1_531_420_618)));
    }

    #[test]
    fn another_body_key_or_signature_is_refused() {
        let now = 1_531_420_618;
        assert_eq!(checked(SIGNATURE, b"token=other", now), Err(Error::Signature));
        let forged = sign("another", TIME, BODY);
        for signature in [forged.as_str(), "", "v0=", &SIGNATURE[..20], &SIGNATURE[3..]] {
            assert_eq!(checked(signature, BODY, now), Err(Error::Signature), "{signature}");
        }
        let seen = Seen::default();
        for (time, signature) in [(None, Some(SIGNATURE)), (Some(TIME), None)] {
            assert_eq!(verify(SECRET, time, signature, BODY, &seen, at(now)), Err(Error::Headers));
        }
    }

    #[test]
    fn five_minutes_are_the_limit_both_ways() {
        let sent = 1_531_420_618;
        for (now, expected) in [
            (sent + 300, Ok(at(sent))),
            (sent + 301, Err(Error::Time)),
            (sent - 300, Ok(at(sent))),
            (sent - 301, Err(Error::Time)),
        ] {
            assert_eq!(checked(SIGNATURE, BODY, now), expected, "{now}");
        }
        let far = i64::MIN.to_string();
        let signature = sign(SECRET, &far, BODY);
        let seen = Seen::default();
        let answer = verify(SECRET, Some(&far), Some(&signature), BODY, &seen, at(sent));
        assert_eq!(answer, Err(Error::Time));
    }

    #[test]
    fn what_came_before_is_refused_for_as_long_as_it_is_valid() {
        let (seen, sent) = (Seen::default(), 1_531_420_618);
        let again = |now| verify(SECRET, Some(TIME), Some(SIGNATURE), BODY, &seen, at(now));
        assert!(again(sent - 300).is_ok());
        for now in [sent - 300, sent, sent + 300] {
            assert_eq!(again(now), Err(Error::Replay), "{now}");
        }
    }
}
