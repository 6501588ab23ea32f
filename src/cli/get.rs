//! `get`: the table of Rollouts, or one Rollout as a tree, JSON or YAML.

use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::{
    api::{GROUP, Rollout},
    world::Program,
};

use super::{
    age,
    args::{Get, Output},
    exit::{Exit, Failure},
    live,
    session::{Session, typed},
    snapshot, state,
    style::{self, Paint, Style},
    table::{self, Cell, cut},
    tree,
};

/// The longest message that the table shows without `-o wide`.
const MESSAGE_WIDTH: usize = 72;

/// Shows Rollouts.
pub async fn run(session: &mut Session<'_>, args: &Get) -> Result<Exit, Failure> {
    check(args)?;
    match (&args.name, args.output) {
        (Some(name), None) if args.watch => live::run(session, name).await,
        (Some(name), None) => {
            let snapshot = snapshot::read(session, name).await?;
            let text = tree::tree(&snapshot, (session.clock)(), session.terminal.style);
            session.print(&text)?;
            Ok(Exit::Done)
        }
        (Some(name), Some(output)) => {
            let object = session.fetch_raw(name).await?;
            let text = one(object, output)?;
            session.print(&text)?;
            Ok(Exit::Done)
        }
        (None, output) => list(session, args, output).await,
    }
}

/// Refuses flags that contradict each other.
fn check(args: &Get) -> Result<(), Failure> {
    let wrong = match (&args.name, args.output) {
        (Some(_), _) if args.all_namespaces => {
            Some("a Rollout by name is in one namespace: leave out -A, or the name")
        }
        (Some(_), _) if args.selector.is_some() => {
            Some("a name and a label selector exclude each other: leave one out")
        }
        (Some(_), Some(Output::Wide)) => Some(
            "-o wide is for the table; for one Rollout leave it out, or use -o json, yaml or name",
        ),
        (_, Some(_)) if args.watch => Some("--watch shows the tree: leave out -o"),
        (None, _) if args.watch => {
            Some("--watch follows one Rollout: `kubectl sluice get rollout NAME --watch`")
        }
        _ => None,
    };
    wrong.map_or(Ok(()), |text| Err(Failure::usage(text)))
}

async fn list(
    session: &mut Session<'_>,
    args: &Get,
    output: Option<Output>,
) -> Result<Exit, Failure> {
    let mut parameters = ListParams::default();
    if let Some(selector) = &args.selector {
        parameters = parameters.labels(selector);
    }
    let read = session.raw_rollouts(args.all_namespaces).list(&parameters).await;
    let mut objects = read.map_err(|error| Failure::api(&error, "list the Rollouts"))?.items;
    objects.sort_by_key(|object| (object.namespace(), object.name_any()));
    let text = match output {
        Some(Output::Json | Output::Yaml) => {
            let items: Vec<Value> =
                objects.into_iter().map(plain).collect::<Result<_, Failure>>()?;
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}});
            encode(&list, output == Some(Output::Json))?
        }
        Some(Output::Name) => objects.iter().map(reference).collect(),
        Some(Output::Wide) | None => {
            if objects.is_empty() {
                let text = if args.all_namespaces {
                    "No Rollouts found.".to_owned()
                } else {
                    format!("No Rollouts found in namespace {}.", session.namespace)
                };
                Session::note(&text)?;
                return Ok(Exit::Done);
            }
            let rows: Vec<Row> = objects.into_iter().map(Row::from).collect();
            let columns = Columns { namespace: args.all_namespaces, wide: output.is_some() };
            rows_as_table(&rows, columns, (session.clock)(), session.terminal.style)
        }
    };
    session.print(&text)?;
    Ok(Exit::Done)
}

fn one(object: DynamicObject, output: Output) -> Result<String, Failure> {
    match output {
        Output::Name | Output::Wide => Ok(reference(&object)),
        Output::Json | Output::Yaml => encode(&plain(object)?, output == Output::Json),
    }
}

fn reference(object: &DynamicObject) -> String {
    format!("rollout.{GROUP}/{}\n", object.name_any())
}

/// The object as stored, without the bookkeeping that kubectl leaves out too.
fn plain(mut object: DynamicObject) -> Result<Value, Failure> {
    object.metadata.managed_fields = None;
    let kind = object.types.get_or_insert_default();
    kind.api_version = format!("{GROUP}/v1alpha1");
    "Rollout".clone_into(&mut kind.kind);
    serde_json::to_value(object)
        .map_err(|error| Failure::plain(format!("cannot encode the Rollout: {error}")))
}

/// A value as text.
pub(super) fn encode(value: &Value, as_json: bool) -> Result<String, Failure> {
    let text = if as_json {
        serde_json::to_string_pretty(value).map_err(|error| error.to_string())
    } else {
        serde_yaml::to_string(value).map_err(|error| error.to_string())
    };
    let text =
        text.map_err(|error| Failure::plain(format!("cannot encode the output: {error}")))?;
    Ok(format!("{}\n", text.trim_end()))
}

/// A line of the table: one malformed Rollout must not hide the others.
pub enum Row {
    /// A Rollout.
    Read(Box<Rollout>),
    /// A Rollout that this version cannot read, and why.
    Unread(Box<DynamicObject>, String),
}

impl From<DynamicObject> for Row {
    fn from(object: DynamicObject) -> Self {
        match typed(object.clone()) {
            Ok(rollout) => Self::Read(Box::new(rollout)),
            Err(failure) => Self::Unread(Box::new(object), failure.text),
        }
    }
}

/// Which columns the table has beside the usual ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns {
    /// NAMESPACE.
    pub namespace: bool,
    /// STRATEGY, STABLE, CURRENT, IMAGES, and the whole message.
    pub wide: bool,
}

/// The table.
pub fn rows_as_table(rows: &[Row], columns: Columns, now: Timestamp, style: Style) -> String {
    let mut heads = vec!["NAME", "PHASE", "STEP", "WEIGHT", "DESIRED", "READY", "MESSAGE", "AGE"];
    if columns.namespace {
        heads.insert(0, "NAMESPACE");
    }
    if columns.wide {
        heads.extend(["STRATEGY", "STABLE", "CURRENT", "IMAGES"]);
    }
    let heads = heads.into_iter().map(|head| Cell::new(Paint::Dim, head));
    let mut cells = vec![heads.collect()];
    cells.extend(rows.iter().map(|row| row_cells(row, columns, now)));
    table::render(&cells, style)
}

fn row_cells(row: &Row, columns: Columns, now: Timestamp) -> Vec<Cell> {
    let (metadata, mut cells) = match row {
        Row::Read(rollout) => (&rollout.metadata, rollout_cells(rollout, columns, now)),
        Row::Unread(object, why) => {
            let unknown = ["Unknown", "-", "-", "-", "-"].map(Cell::from);
            let mut cells = vec![Cell::new(Paint::Bold, object.name_any())];
            cells.extend(unknown);
            cells.push(Cell::new(Paint::Bad, message(why, columns)));
            cells.push(age::of(object.metadata.creation_timestamp.as_ref(), now).into());
            (&object.metadata, cells)
        }
    };
    if columns.namespace {
        cells.insert(0, metadata.namespace.clone().unwrap_or_default().into());
    }
    cells
}

fn message(text: &str, columns: Columns) -> String {
    cut(text, if columns.wide { usize::MAX } else { MESSAGE_WIDTH })
}

fn rollout_cells(rollout: &Rollout, columns: Columns, now: Timestamp) -> Vec<Cell> {
    let status = rollout.status.clone().unwrap_or_default();
    let program = Program::new(&rollout.spec);
    let dash = || "-".to_owned();
    let mut cells: Vec<Cell> = vec![
        Cell::new(Paint::Bold, rollout.name_any()),
        Cell::new(style::phase(status.phase), state::phase(rollout)),
        status.step.filter(|step| step.of > 0).map_or_else(dash, |step| step.text).into(),
        status.weights.map_or_else(dash, |weights| weight(&program, weights.canary)).into(),
        rollout.spec.replicas.to_string().into(),
        status.ready_replicas.to_string().into(),
        message(&state::message(rollout), columns).into(),
        age::of(rollout.metadata.creation_timestamp.as_ref(), now).into(),
    ];
    if columns.wide {
        cells.push(program.strategy.field().into());
        cells.push(status.stable_revision.unwrap_or_else(dash).into());
        cells.push(status.current_revision.unwrap_or_else(dash).into());
        cells.push(state::images(rollout).join(",").into());
    }
    cells
}

/// The canary's weight in percent, or of what the weights sum to.
fn weight(program: &Program, canary: i32) -> String {
    match program.total() {
        100 => canary.to_string(),
        total => format!("{canary}/{total}"),
    }
}

#[cfg(test)]
mod tests;
