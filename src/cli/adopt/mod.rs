//! `adopt`: a running Deployment under Sluice, guarded.
//!
//! What is in the way is found before anything is written: `obstacles` judges what was read at
//! once. Then a canary Service is created where one is wanted and missing, and the Rollout, which
//! takes pods, Services and routes over without a dip.

pub mod draft;
mod obstacles;
pub(super) mod scene;
mod shape;

use clap::{Args, ValueEnum};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{
    args::rollout_name,
    exit::{Exit, Failure},
    get::encode,
    manifests::faults,
    send::MANAGER,
    session::Session,
    state,
    watch::{self, Wait},
};
use crate::{
    api::{Duration, Rollout},
    sim::api::resource,
};

/// Flags of `adopt`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// The Deployment
    #[arg(value_parser = deployment_name)]
    pub deployment: String,
    /// Name of the Rollout; default: that of the Deployment
    #[arg(long, value_name = "NAME", value_parser = rollout_name)]
    pub name: Option<String>,
    /// How releases shall go
    #[arg(long, value_enum, value_name = "STRATEGY", default_value = "rolling")]
    pub strategy: Strategy,
    /// The Service of the stable (active) pods; default: the only one that selects the pods
    #[arg(long, value_name = "SERVICE")]
    pub stable_service: Option<String>,
    /// The Service of the canary (preview) pods; one that is missing is made like the stable one.
    /// Default: the stable one's name with -canary or -preview
    #[arg(long, value_name = "SERVICE")]
    pub canary_service: Option<String>,
    /// The VirtualService that splits between the two; default: the only one that does
    #[arg(long, value_name = "NAME")]
    pub virtual_service: Option<String>,
    /// File with the steps of a canary, as spec.strategy.canary.steps has them; - for standard input
    #[arg(long, value_name = "FILE")]
    pub steps: Option<std::path::PathBuf>,
    /// client: prints what would be created, and creates nothing
    #[arg(long, value_enum, value_name = "WHERE", default_value = "none")]
    pub dry_run: DryRun,
    /// Prints what is created
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Shown>,
    /// How long to wait until the Rollout has taken over
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub wait_timeout: Duration,
    /// Does not wait
    #[arg(long, conflicts_with = "wait_timeout")]
    pub no_wait: bool,
}

/// How releases shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// Pods are replaced a few at a time
    Rolling,
    /// A growing share of the traffic
    Canary,
    /// All traffic at once
    BlueGreen,
}

/// The formats of `adopt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    /// YAML
    Yaml,
    /// One List in JSON
    Json,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// All is written
    None,
    /// Nothing is written
    Client,
}

fn deployment_name(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some(("deployment" | "deployments" | "deploy" | "deployment.apps", name)) => name,
        Some((kind, _)) => {
            return Err(format!("`{kind}` is no Deployment; write deployment/NAME or just NAME"));
        }
        None => text,
    };
    rollout_name(name).map_err(|error| error.replace("Rollout's", "Deployment's"))
}

/// Looks, says what is in the way, or creates and waits.
pub async fn run(session: &mut Session<'_>, flags: &Flags) -> Result<Exit, Failure> {
    let steps = flags.steps.as_ref().map(|file| steps(file)).transpose()?;
    let scene = scene::read(session, &flags.deployment).await?;
    let name = flags.name.clone().unwrap_or_else(|| flags.deployment.clone());
    let chosen = shape::choose(&scene, flags, steps)
        .map_err(|text| Failure::plain(format!("{}: {text}", flags.deployment)))?;
    let rollout = draft::rollout(&scene.deployment, &name, scene.replicas(), &chosen.shape);
    let mut found = obstacles::obstacles(&scene, &name, &chosen);
    found.extend(faults("the Rollout", std::slice::from_ref(&rollout)));
    if !found.is_empty() {
        let text = format!(
            "{}: cannot be adopted yet, and nothing was written: {}",
            flags.deployment,
            found.join("\nerror: ")
        );
        return Err(Failure::plain(text));
    }
    let objects: Vec<Value> = chosen.service.iter().cloned().chain([rollout]).collect();
    let as_json = flags.output == Some(Shown::Json);
    if flags.dry_run == DryRun::Client {
        session.print(&shown(&objects, as_json)?)?;
        return Ok(Exit::Done);
    }
    for object in &objects {
        create(session, object).await?;
    }
    match flags.output {
        Some(_) => session.print(&shown(&objects, as_json)?)?,
        None => told(session, flags, &objects, &name)?,
    }
    if flags.no_wait {
        return Ok(Exit::Done);
    }
    wait(session, flags, &name).await
}

fn shown(objects: &[Value], as_json: bool) -> Result<String, Failure> {
    if as_json {
        return encode(&json!({"apiVersion": "v1", "kind": "List", "items": objects}), true);
    }
    let texts: Result<Vec<String>, Failure> =
        objects.iter().map(|object| encode(object, false)).collect();
    Ok(texts?.join("---\n"))
}

fn told(
    session: &mut Session<'_>,
    flags: &Flags,
    objects: &[Value],
    name: &str,
) -> Result<(), Failure> {
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        let own = object["metadata"]["name"].as_str().unwrap_or_default();
        session.say(&format!("{name}: created {kind} {own}"))?;
    }
    session.say(&format!(
        "{name}: takes the pods of Deployment {} over; a release starts from now on by a change of its template",
        flags.deployment
    ))
}

/// The steps of a file: a list, or the `steps:` of one.
fn steps(file: &std::path::Path) -> Result<Vec<Value>, Failure> {
    let sources = super::manifests::sources(&[file.to_owned()]).map_err(Failure::plain)?;
    let text = sources.first().map(|source| source.text.as_str()).unwrap_or_default();
    let read: Value = serde_yaml::from_str(text)
        .map_err(|error| Failure::plain(format!("--steps: {}: {error}", file.display())))?;
    let list = if read.is_array() { read } else { read["steps"].clone() };
    list.as_array().cloned().ok_or_else(|| {
        Failure::plain(format!(
            "--steps: {}: found no list, allowed are steps such as `- setWeight: 5`",
            file.display()
        ))
    })
}

async fn create(session: &Session<'_>, object: &Value) -> Result<(), Failure> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let known = if kind == "Service" { &resource::SERVICE } else { &resource::ROLLOUT };
    let api = session.objects(known, &session.namespace);
    let typed: DynamicObject = serde_json::from_value(object.clone())
        .map_err(|error| Failure::plain(format!("cannot encode the {kind}: {error}")))?;
    let parameters =
        PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let api: Api<DynamicObject> = api;
    let created = api.create(&parameters, &typed).await;
    created.map(drop).map_err(|error| Failure::api(&error, &format!("create the {kind}")))
}

/// Shows how it goes, until the Rollout is healthy.
async fn wait(session: &mut Session<'_>, flags: &Flags, name: &str) -> Result<Exit, Failure> {
    let end = |rollout: Option<&Rollout>, line: &str| {
        let Some(rollout) = rollout else {
            let text = format!("the Rollout `{name}` was deleted while it took over");
            return Some(Err(Failure::new(Exit::NotFound, text)));
        };
        match state::exit_code(rollout) {
            Exit::Done => Some(Ok(Exit::Done)),
            exit @ (Exit::Degraded | Exit::Aborted) => {
                let text = format!("{line}; `kubectl sluice release {name}` gives it back");
                Some(Err(Failure::new(exit, text)))
            }
            _ => None,
        }
    };
    let wait = Wait {
        limit: flags.wait_timeout,
        late: "has not taken over",
        shown: &|_| flags.output.is_none(),
        end: &end,
    };
    watch::until(session, name, &wait).await
}
