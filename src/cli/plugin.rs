//! The plugin `kubectl sluice`: from the command line to the verb.

use std::io::Write;

use jiff::Timestamp;

use crate::api;

use super::{
    adopt,
    args::{Cli, Plain, Set, Verb},
    backtest, completion, connect, convert,
    exit::{Exit, Failure},
    explain, get, history, judge, lint, plan, preflight, promote, release,
    send::{Order, send},
    session::{Session, Terminal},
    set, simulate, status, undo, version,
};

/// Runs the verb; what it shows goes to `out`.
pub async fn run(
    cli: &Cli,
    terminal: Terminal,
    clock: fn() -> Timestamp,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    match &cli.verb {
        Verb::Version => {
            out.write_all(version::text().as_bytes())?;
            return Ok(Exit::Done);
        }
        Verb::Judge(flags) => return judge::run(flags, out),
        Verb::Convert(flags) => return convert::run(flags, out),
        Verb::Completion(flags) => return completion::run(flags, out),
        Verb::Simulate(flags) => return simulate::run(flags, terminal, out).await,
        Verb::Backtest(flags) => {
            let namespace = cli.global.namespace.as_deref();
            return backtest::run(flags, namespace, terminal, clock(), out).await;
        }
        Verb::Lint(flags) => {
            let namespace = cli.global.namespace.as_deref();
            return lint::run(flags, namespace, terminal, clock(), out).await;
        }
        _ => {}
    }
    let connection = connect::connect(&cli.global).await?;
    let mut session = Session {
        client: connection.client,
        namespace: connection.namespace,
        user: connection.user,
        clock,
        terminal,
        out,
    };
    dispatch(&mut session, &cli.verb).await
}

/// Runs the verb against the cluster of the session.
pub async fn dispatch(session: &mut Session<'_>, verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Get(args) => get::run(session, args).await,
        Verb::Status(args) => status::run(session, args).await,
        Verb::Promote(args) => {
            let verb = promote::verb(args)?;
            send(session, &order(&args.plain, verb, "")).await
        }
        Verb::Abort(args) => {
            send(session, &order(&args.plain, api::Verb::Abort, &args.reason)).await
        }
        Verb::Retry(plain) => send(session, &order(plain, api::Verb::Retry, "")).await,
        Verb::Pause(plain) => send(session, &order(plain, api::Verb::Pause, "")).await,
        Verb::Resume(plain) => send(session, &order(plain, api::Verb::Resume, "")).await,
        Verb::Restart(plain) => send(session, &order(plain, api::Verb::Restart, "")).await,
        Verb::Undo(args) => undo::run(session, args).await,
        Verb::Set(Set::Image(args)) => set::run(session, args).await,
        Verb::History(args) => history::run(session, args).await,
        Verb::Judge(flags) => judge::run(flags, session.out),
        Verb::Convert(flags) => convert::run(flags, session.out),
        Verb::Preflight(flags) => preflight::run(session, flags).await,
        Verb::Adopt(flags) => adopt::run(session, flags).await,
        Verb::Release(flags) => release::run(session, flags).await,
        Verb::Completion(flags) => completion::run(flags, session.out),
        Verb::Simulate(flags) => simulate::run(flags, session.terminal, session.out).await,
        Verb::Explain(flags) => explain::run(session, flags).await,
        Verb::Plan(flags) => plan::run(session, flags).await,
        Verb::Backtest(flags) => {
            let (namespace, now) = (Some(session.namespace.as_str()), (session.clock)());
            backtest::run(flags, namespace, session.terminal, now, session.out).await
        }
        Verb::Lint(flags) => {
            let (namespace, now) = (Some(session.namespace.as_str()), (session.clock)());
            lint::run(flags, namespace, session.terminal, now, session.out).await
        }
        Verb::Version => {
            session.print(&version::text())?;
            Ok(Exit::Done)
        }
    }
}

fn order<'a>(plain: &'a Plain, verb: api::Verb, reason: &'a str) -> Order<'a> {
    Order { name: &plain.name, verb, reason, wait: plain.wait() }
}
