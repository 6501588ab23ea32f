//! Requests: paths, queries and bodies in, answers out.
//!
//! [`handle`] is the whole API server as a function; [`Server`] puts it behind a `kube::Client`, or a
//! socket for a real kubectl.

mod delete;
mod discovery;
mod events;
mod evict;
mod listing;
mod openapi;
mod path;
mod query;
mod read;
mod reviews;
mod scale;
pub mod selector;
mod service;
mod table;
mod watch;
mod write;

use serde_json::Value;

use super::{Refusal, Resource, Store};
use path::Target;
pub use query::Query;
pub use service::{Fault, Hook, RequestSummary, Server};
pub use watch::Watch;

/// A request, as far as answers depend on it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path, decoded.
    pub path: String,
    /// The query.
    pub query: Query,
    /// Content type of the body.
    pub content_type: String,
    /// What the client takes.
    pub accept: String,
    /// Who asks.
    pub user: String,
    /// The client's own name.
    pub user_agent: String,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// One JSON value.
    Json {
        /// HTTP status.
        status: u16,
        /// The value.
        body: Value,
        /// Sentences that kubectl shows.
        warnings: Vec<String>,
    },
    /// Plain text.
    Text {
        /// HTTP status.
        status: u16,
        /// The text.
        text: String,
    },
    /// A stream of changes.
    Watch(Box<Watch>),
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self::Json { status: 200, body, warnings: Vec::new() }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Json { status: refusal.code, body: refusal.body(), warnings: Vec::new() }
    }
}

/// What a request is about.
pub(super) struct Context<'a> {
    request: &'a Request,
    resource: &'static Resource,
    /// The version that the path names.
    version: &'a str,
    /// Empty for all, or for what is in none.
    namespace: &'a str,
    name: &'a str,
    subresource: Option<&'a str>,
}

impl Context<'_> {
    /// The field manager: the one that the request names, else the client.
    fn manager(&self) -> &str {
        let named = self.request.query.get("fieldManager").filter(|name| !name.is_empty());
        named.unwrap_or_else(|| self.request.client())
    }

    fn api_version(&self) -> String {
        self.resource.api_version_at(self.version)
    }

    fn key(&self) -> super::Key {
        (self.namespace.to_owned(), self.name.to_owned())
    }

    /// The object as the path's version shows it.
    fn shown(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["apiVersion"] = self.api_version().into();
        object
    }

    fn is_dry(&self) -> bool {
        self.request.query.get("dryRun").is_some_and(|value| value == "All")
    }
}

impl Request {
    /// The client's name without its version.
    pub fn client(&self) -> &str {
        let name = self.user_agent.split('/').next().unwrap_or_default();
        if name.is_empty() { "unknown" } else { name }
    }

    /// What is asked for, in the API server's words.
    pub fn verb(&self) -> &'static str {
        let many = match path::parse(&self.path) {
            Some(Target { name, .. }) => name.is_empty(),
            None => false,
        };
        match self.method.as_str() {
            "GET" if self.query.is_set("watch") => "watch",
            "GET" if many => "list",
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if many => "deletecollection",
            _ => "delete",
        }
    }
}

/// Carries out a request.
pub fn handle(store: &mut Store, request: &Request) -> Answer {
    let about_itself = discovery::answer(request)
        .or_else(|| openapi::answer(request))
        .or_else(|| reviews::answer(request))
        .or_else(|| events::answer(store, request));
    if let Some(answer) = about_itself {
        return answer;
    }
    let Some(target) = path::parse(&request.path) else {
        return Answer::Text { status: 404, text: "404 page not found\n".to_owned() };
    };
    let Some(resource) = target.resource else { return unknown_resource().into() };
    let context = Context {
        request,
        resource,
        version: target.version,
        namespace: target.namespace,
        name: target.name,
        subresource: target.subresource,
    };
    let known = match target.subresource {
        None => true,
        Some("status") => resource.status,
        Some("scale") => resource.scale,
        Some("eviction") => resource.kind == "Pod",
        Some("finalize") => resource.kind == "Namespace",
        Some(_) => false,
    };
    if !known {
        return unknown_resource().into();
    }
    carry_out(store, &context).unwrap_or_else(Answer::from)
}

fn carry_out(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    if let Some(dry) = context.request.query.get("dryRun").filter(|dry| !dry.is_empty())
        && dry != "All"
    {
        let why = format!("Unsupported value: [\"{dry}\"]: supported values: \"All\"");
        let kind = match context.request.method.as_str() {
            "POST" => "CreateOptions",
            "PUT" => "UpdateOptions",
            "PATCH" => "PatchOptions",
            _ => "DeleteOptions",
        };
        return Err(Refusal::options(kind, "dryRun", "FieldValueNotSupported", &why));
    }
    if context.is_dry() {
        let mut scratch = store.scratch();
        let mut answer = requested(&mut scratch, context)?;
        store.skip_names_of(&scratch);
        // Nothing was stored, so there is no new version.
        if let Answer::Json { body, .. } = &mut answer
            && let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
            && metadata.contains_key("uid")
        {
            metadata.remove("resourceVersion");
            if let Ok(present) = read::present(store, context) {
                let version = present["metadata"]["resourceVersion"].clone();
                metadata.insert("resourceVersion".to_owned(), version);
            }
        }
        return Ok(answer);
    }
    requested(store, context)
}

fn requested(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    let single = !context.name.is_empty();
    match (context.request.method.as_str(), context.subresource, single) {
        ("GET", _, _) if context.request.query.is_set("watch") => watch::start(context),
        ("GET", Some("scale"), true) => scale::read(store, context).map(Answer::ok),
        ("POST", Some("eviction"), true) => evict::evict(store, context),
        (_, Some("eviction"), _) => Err(not_allowed()),
        ("GET", ..) => {
            let body =
                if single { read::get(store, context) } else { listing::list(store, context) };
            let table = table::is_wanted(&context.request.accept);
            let now = store.time().now();
            body.map(|body| if table { table::of(context, &body, now) } else { body })
                .map(Answer::ok)
        }
        ("POST", None, false) => write::create(store, context),
        ("PUT", Some("scale"), true) => scale::replace(store, context).map(Answer::ok),
        ("PUT", _, true) => write::replace(store, context),
        ("PATCH", _, true) => write::patch(store, context),
        ("DELETE", None, true) => delete::one(store, context),
        ("DELETE", None, false) => delete::many(store, context).map(Answer::ok),
        _ => Err(not_allowed()),
    }
}

fn not_allowed() -> Refusal {
    let message = "the server does not allow this method on the requested resource";
    Refusal::new(405, "MethodNotAllowed", message).with_empty_details()
}

fn unknown_resource() -> Refusal {
    Refusal::new(404, "NotFound", "the server could not find the requested resource")
        .with_empty_details()
}

#[cfg(test)]
mod tests;
