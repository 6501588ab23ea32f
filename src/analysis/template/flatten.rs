//! Template composition, flattened.
//!
//! In: references to templates, and the templates that there are. Out: every template that they
//! lead to, each in its place and once; or the circle or gap that was met.

use std::collections::BTreeSet;

use super::{Library, ResolveError, check_size};
use crate::api::{AnalysisTemplateSpec, TemplateRef};

/// Most templates in one run, composed ones included.
const MAX_TEMPLATES: usize = 50;

/// A template in its place.
pub(super) struct Part<'a> {
    /// `templates[1].templates[0]`.
    pub(super) path: String,
    pub(super) spec: &'a AnalysisTemplateSpec,
    /// Index behind the last part that it composes, directly or not.
    pub(super) end: usize,
}

/// All templates, outer before inner, each once.
pub(super) fn flatten<'a>(
    templates: &'a [TemplateRef],
    library: &'a Library,
) -> Result<Vec<Part<'a>>, ResolveError> {
    let mut walk = Walk { library, parts: Vec::new(), seen: BTreeSet::new(), chain: Vec::new() };
    walk.references(templates, "")?;
    Ok(walk.parts)
}

struct Walk<'a> {
    library: &'a Library<'a>,
    parts: Vec<Part<'a>>,
    seen: BTreeSet<&'a TemplateRef>,
    chain: Vec<&'a TemplateRef>,
}

impl<'a> Walk<'a> {
    fn references(&mut self, templates: &'a [TemplateRef], base: &str) -> Result<(), ResolveError> {
        for (index, reference) in templates.iter().enumerate() {
            let path = format!("{base}templates[{index}]");
            if self.chain.contains(&reference) {
                let chain = self.chain.iter().copied().chain([reference]);
                return Err(ResolveError::Circle {
                    field: path,
                    chain: chain.map(title).collect(),
                });
            }
            if !self.seen.insert(reference) {
                continue;
            }
            let (kind, library) = if reference.cluster_scope {
                ("ClusterAnalysisTemplate", self.library.cluster_templates)
            } else {
                ("AnalysisTemplate", self.library.templates)
            };
            let Some(spec) = library.get(&reference.template_name) else {
                return Err(ResolveError::MissingTemplate {
                    field: path,
                    kind,
                    name: reference.template_name.clone(),
                    chain: self.chain.iter().copied().map(title).collect(),
                });
            };
            check_size("templates", self.parts.len() + 1, MAX_TEMPLATES)?;
            let at = self.parts.len();
            self.parts.push(Part { path: path.clone(), spec, end: at + 1 });
            self.chain.push(reference);
            self.references(&spec.templates, &format!("{path}."))?;
            self.chain.pop();
            let end = self.parts.len();
            if let Some(part) = self.parts.get_mut(at) {
                part.end = end;
            }
        }
        Ok(())
    }
}

fn title(reference: &TemplateRef) -> String {
    let scope = if reference.cluster_scope { "cluster " } else { "" };
    format!("{scope}\"{}\"", reference.template_name)
}
