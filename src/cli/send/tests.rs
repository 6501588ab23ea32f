use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{self, Poll},
};

use clap::Parser;
use http::{Method, Request, Response};
use kube::client::{Body, Client};

use super::*;
use crate::cli::{
    args::Cli,
    fixtures::{aborted, healthy, now, paused},
    plugin,
    session::Terminal,
};

/// An API server with one Rollout, and a controller that answers at once or not at all.
struct Fake {
    rollout: Value,
    accepts: Option<bool>,
    conflicts: usize,
    knows_the_user: bool,
    answers_get_lost: bool,
    calls: Vec<(String, Value)>,
}

#[derive(Clone)]
struct Server(Arc<Mutex<Fake>>);

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, kube::Error>> + Send>>;

impl tower::Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let server = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let query = head.uri.query().unwrap_or_default();
            if query.contains("watch=") {
                return pending().await;
            }
            let body = body.collect_bytes().await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let lists = query.contains("fieldSelector");
            let (code, answer) =
                server.lock().unwrap().answer(&head.method, head.uri.path(), lists, &body);
            let bytes = serde_json::to_vec(&answer).unwrap();
            Ok(Response::builder().status(code).body(Body::from(bytes)).unwrap())
        })
    }
}

impl Fake {
    fn answer(&mut self, method: &Method, path: &str, lists: bool, body: &Value) -> (u16, Value) {
        let what = if path.ends_with("selfsubjectreviews") { "who" } else { "rollout" };
        let call = if lists { "LIST".to_owned() } else { format!("{method} {what}") };
        self.calls.push((call, body.clone()));
        match (method, what) {
            (&Method::POST, _) if self.knows_the_user => (
                201,
                json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "status": {"userInfo": {"username": "alice@example"}}}),
            ),
            (&Method::PATCH, _) if self.conflicts > 0 => {
                if self.answers_get_lost {
                    json_patch::merge(&mut self.rollout, body);
                    self.control(true);
                }
                self.conflicts -= 1;
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "message": "modified", "code": 409});
                (409, status)
            }
            (&Method::PATCH, _) => {
                json_patch::merge(&mut self.rollout, body);
                let written = self.rollout.clone();
                if let Some(accepted) = self.accepts {
                    self.control(accepted);
                }
                (200, written)
            }
            (&Method::GET, _) if lists => (
                200,
                json!({"kind": "RolloutList", "apiVersion": "sluice.dev/v1alpha1", "metadata": {"resourceVersion": "90"}, "items": [self.rollout]}),
            ),
            (&Method::GET, _) => (200, self.rollout.clone()),
            _ => (
                403,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "forbidden", "code": 403}),
            ),
        }
    }

    /// What the controller does with the annotation.
    fn control(&mut self, accepted: bool) {
        let Some(text) = self.rollout["metadata"]["annotations"][COMMAND_ANNOTATION].as_str()
        else {
            self.rollout["status"]["observedGeneration"] = json!(99);
            return;
        };
        let command: Value = serde_json::from_str(text).unwrap();
        self.rollout["metadata"]["annotations"] = json!({});
        self.rollout["status"]["lastCommand"] = json!({
            "id": command["id"], "verb": command["verb"], "by": command["by"],
            "accepted": accepted, "message": "the answer", "at": "2026-11-21T03:00:00Z",
        });
    }
}

struct Run {
    result: Result<Exit, Failure>,
    shown: String,
    calls: Vec<(String, Value)>,
}

impl Run {
    fn patches(&self) -> Vec<&Value> {
        let patches = self.calls.iter().filter(|(call, _)| call == "PATCH rollout");
        patches.map(|(_, body)| body).collect()
    }

    /// The command in the only patch.
    fn command(&self) -> Command {
        assert_eq!(self.patches().len(), 1);
        let text = &self.patches()[0]["metadata"]["annotations"][COMMAND_ANNOTATION];
        serde_json::from_str(text.as_str().unwrap()).unwrap()
    }

    fn failure(&self) -> &Failure {
        self.result.as_ref().unwrap_err()
    }
}

/// Runs a command line against `rollout`.
async fn run(line: &str, rollout: &Rollout, change: impl FnOnce(&mut Fake)) -> Run {
    let mut fake = Fake {
        rollout: serde_json::to_value(rollout).unwrap(),
        accepts: Some(true),
        conflicts: 0,
        knows_the_user: true,
        answers_get_lost: false,
        calls: Vec::new(),
    };
    change(&mut fake);
    let server = Server(Arc::new(Mutex::new(fake)));
    let mut out = Vec::new();
    let mut session = Session {
        client: Client::new(server.clone(), "shop"),
        namespace: "shop".into(),
        user: "alice-in-kubeconfig".into(),
        clock: now,
        terminal: Terminal::default(),
        out: &mut out,
    };
    let cli = Cli::try_parse_from(format!("x {line}").split(' ')).unwrap();
    let result = plugin::dispatch(&mut session, &cli.verb).await;
    let calls = server.0.lock().unwrap().calls.clone();
    let shown = String::from_utf8(out).unwrap();
    Run { result, shown, calls }
}

fn unchanged(_: &mut Fake) {}

#[tokio::test(start_paused = true)]
async fn an_abort_is_one_patch_without_a_precondition() {
    let run = run("abort checkout --reason errors", &paused(), unchanged).await;
    assert_eq!(run.result, Ok(Exit::Done));
    assert_eq!(run.shown, "checkout: abort: the answer\n");
    let command = run.command();
    let wanted = Command {
        verb: Verb::Abort,
        revision: "7f9c".into(),
        by: "alice@example".into(),
        id: command.id.clone(),
        reason: "errors".into(),
    };
    assert_eq!(command, wanted);
    let text = serde_json::to_string(&command).unwrap();
    let body = json!({"metadata": {"annotations": {COMMAND_ANNOTATION: text}}});
    assert_eq!(run.patches(), [&body]);
}

#[tokio::test(start_paused = true)]
async fn a_promote_has_a_precondition_and_clears_spec_paused() {
    let mut held = paused();
    held.spec.paused = true;
    let run = run("promote checkout", &held, unchanged).await;
    assert_eq!(run.result, Ok(Exit::Done));
    assert_eq!(run.command().verb, Verb::Promote);
    assert_eq!(run.patches()[0]["metadata"]["resourceVersion"], "71");
    assert_eq!(run.patches()[0]["spec"], json!({"paused": false}));
}

#[tokio::test(start_paused = true)]
async fn skip_and_restart_are_commands_like_the_others() {
    let skip = run("promote checkout --skip-current-step", &paused(), unchanged).await;
    assert_eq!(skip.command().verb, Verb::SkipStep);
    assert_eq!(skip.shown, "checkout: promote --skip-current-step: the answer\n");
    let restart = run("restart checkout", &healthy(), unchanged).await;
    assert_eq!(restart.command().verb, Verb::Restart);
    assert_eq!(restart.command().revision, "5d4c");
}

#[tokio::test(start_paused = true)]
async fn flags_that_contradict_each_other_write_nothing() {
    let both = run("promote checkout --full --skip-current-step", &paused(), unchanged).await;
    assert_eq!(both.failure().exit, Exit::Usage);
    assert!(both.failure().text.contains("leave one of them out"), "{}", both.failure());
    assert!(both.calls.is_empty(), "{:?}", both.calls);
}

#[tokio::test(start_paused = true)]
async fn a_cleared_pause_is_a_success_though_no_step_waits() {
    let mut held = paused();
    held.spec.paused = true;
    let run = run("promote checkout", &held, |fake| {
        fake.accepts = Some(false);
    })
    .await;
    assert_eq!(run.result, Ok(Exit::Done));
    assert_eq!(run.shown, "checkout: spec.paused is cleared; beyond that: the answer\n");
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_or_refused_writes_nothing() {
    for (line, rollout, exit) in [
        ("promote checkout", healthy(), Exit::Done),
        ("promote checkout --full", healthy(), Exit::Done),
        ("abort checkout", healthy(), Exit::Done),
        ("promote checkout", aborted(), Exit::Failed),
        ("retry checkout", paused(), Exit::Failed),
        ("resume checkout", paused(), Exit::Failed),
    ] {
        let run = run(line, &rollout, unchanged).await;
        let found = run.result.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
        assert_eq!(found, exit, "{line}");
        assert_eq!(run.calls.len(), 1, "{line}: {:?}", run.calls);
    }
}

#[tokio::test(start_paused = true)]
async fn resume_between_releases_changes_the_spec_alone() {
    let mut held = healthy();
    held.spec.paused = true;
    let run = run("resume checkout", &held, unchanged).await;
    assert_eq!(run.shown, "checkout: spec.paused is cleared\n");
    let body = json!({"metadata": {"resourceVersion": "71"}, "spec": {"paused": false}});
    assert_eq!(run.patches(), [&body]);
}

#[tokio::test(start_paused = true)]
async fn conflicts_are_tried_again_but_not_for_ever() {
    let once = run("promote checkout", &paused(), |fake| {
        fake.conflicts = 1;
    })
    .await;
    assert_eq!(once.result, Ok(Exit::Done));
    assert_eq!(once.patches().len(), 2);
    let always = run("promote checkout", &paused(), |fake| {
        fake.conflicts = 100;
    })
    .await;
    assert!(always.failure().text.contains("nothing was written"), "{:?}", always.result);
    assert_eq!(always.patches().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_not_written_again() {
    let lost = |fake: &mut Fake| (fake.conflicts, fake.answers_get_lost) = (1, true);
    let run = run("promote checkout", &paused(), lost).await;
    assert_eq!(run.result, Ok(Exit::Done));
    assert_eq!(run.patches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_controller_is_a_failure() {
    let run = run("promote checkout", &paused(), |fake| {
        fake.accepts = Some(false);
    })
    .await;
    let wanted = Failure::plain("checkout: the controller refused `promote`: the answer");
    assert_eq!(run.failure(), &wanted);
}

#[tokio::test(start_paused = true)]
async fn without_a_controller_the_command_waits_and_the_person_is_told() {
    let run = run("abort checkout", &paused(), |fake| {
        fake.accepts = None;
    })
    .await;
    let failure = run.failure();
    assert_eq!(failure.exit, Exit::TimedOut);
    assert!(failure.text.contains("within 30s: the controller does not seem to run"), "{failure}");
    assert!(failure.text.contains("still waits"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn no_wait_does_not_look_again() {
    let run = run("abort checkout --no-wait", &paused(), |fake| {
        fake.accepts = None;
    })
    .await;
    assert_eq!(run.result, Ok(Exit::Done));
    assert!(run.calls.iter().all(|(call, _)| call != "LIST"), "{:?}", run.calls);
}

#[tokio::test(start_paused = true)]
async fn without_the_servers_word_the_kubeconfig_names_the_user() {
    let run = run("abort checkout", &paused(), |fake| {
        fake.knows_the_user = false;
    })
    .await;
    assert_eq!(run.command().by, "alice-in-kubeconfig");
}

#[test]
fn what_became_of_a_command() {
    let mine = Ticket::Command("1".into());
    let with = |id: &str| {
        let mut rollout = paused();
        let command = json!({"verb": "abort", "revision": "7f9c", "by": "bob", "id": id});
        let annotation = [(COMMAND_ANNOTATION.to_owned(), command.to_string())];
        rollout.metadata.annotations = Some(annotation.into());
        rollout
    };
    assert_eq!(outcome(&with("1"), &mine), Outcome::Waits);
    assert!(matches!(outcome(&with("2"), &mine), Outcome::Replaced(_)));
    assert_eq!(outcome(&paused(), &mine), Outcome::Gone);
    assert_eq!(outcome(&paused(), &Ticket::Spec(5)), Outcome::Waits);
    assert_eq!(outcome(&paused(), &Ticket::Spec(4)), Outcome::SpecSeen);
}
