//! `plan -e all`: the plans of all environments, one after another, as one document.

use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Judged, PlanArgs, exit_code, text};
use crate::error::{Class, Error, Result, with_causes};
use crate::listed::counted;
use crate::output::{self, Format};
use crate::plan::Plan;
use crate::plan::document::PlanDocument;
use crate::plan::markdown::{self, Section};
use crate::project_file::{ALL, ProjectFile};
use crate::reconcile::DEFAULT_SET;
use crate::reconcile::events::Failure;

/// The plans of all environments.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "MeshAgent plans of several environments")]
pub struct PlansDocument {
    /// The version of this document's form.
    pub version: u32,
    /// The environments, in the order of the project file.
    pub environments: Vec<PlannedDocument>,
}

/// The plan of one environment, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannedDocument {
    /// The environment.
    pub environment: String,
    /// The plan, if one was made.
    pub plan: Option<PlanDocument>,
    /// Why there is none, or why it is refused.
    pub failure: Option<Failure>,
}

/// One environment with what became of its plan.
struct Planned {
    environment: String,
    set: String,
    plan: Option<Plan>,
    failure: Option<Error>,
}

/// Plans all environments. That one has no plan keeps no other from being planned.
pub(super) async fn plan(args: PlanArgs) -> Result<ExitCode> {
    if args.out.is_some() {
        return Err(Error::usage("--out saves the plan of one environment")
            .hint("name one environment with -e"));
    }
    if args.output == Format::Html {
        return Err(Error::usage("a plan of all environments is text, Markdown or JSON")
            .hint("name one environment with -e for HTML"));
    }
    let file = ProjectFile::here(ALL)?;
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Error::usage(format!("{} has no environments", file.path.display()))
            .hint("write them below `environments:`"));
    }
    let mut all = Vec::new();
    for name in names {
        let planned = one(&args, &file, name).await;
        if args.output == Format::Text {
            planned.print(&args, all.is_empty())?;
        }
        all.push(planned);
    }
    match args.output {
        Format::Json => output::json(&document(&args, &all))?,
        Format::Markdown => {
            let sections: Vec<Section<'_>> = all.iter().map(Planned::section).collect();
            output::data(&markdown::render_all(&sections, output::is_verbose()));
        }
        Format::Text | Format::Html => {}
    }
    let is_pending = all.iter().filter_map(|it| it.plan.as_ref()).find(|plan| plan.is_pending());
    let code = is_pending.map_or(ExitCode::SUCCESS, |plan| exit_code(plan, args.exit_code));
    // The worst of them: that nothing is known is worse than that something is refused.
    let classes = all.iter().filter_map(|it| Some(it.failure.as_ref()?.class));
    let Some(class) = classes.min_by_key(|class| *class == Class::Refused) else {
        return Ok(code);
    };
    // A plan that is refused was made, and is shown.
    let failed = all.iter().filter(|it| it.failure.is_some());
    let (refused, unplanned): (Vec<&Planned>, Vec<&Planned>) =
        failed.partition(|it| it.plan.is_some());
    let told = |of: Vec<&Planned>, done: &str| {
        let were = if of.len() == 1 { "was" } else { "were" };
        let names: Vec<&str> = of.iter().map(|it| it.environment.as_str()).collect();
        let count = counted(of.len(), "environment");
        (!of.is_empty()).then(|| format!("{count} {were} {done}: {}", names.join(", ")))
    };
    let told = [told(unplanned, "not planned"), told(refused, "refused")];
    Err(Error::new(class, told.into_iter().flatten().collect::<Vec<_>>().join("; ")))
}

/// Plans one environment.
async fn one(args: &PlanArgs, file: &ProjectFile, name: String) -> Planned {
    let mut args = args.clone();
    args.planning.platform.environment = Some(name.clone());
    let judged = async {
        let environment = file.environment(Some(&name))?;
        args.rules = args.rules.clone().or_of(Some(&environment));
        args.planning = args.planning.clone().of(environment)?;
        args.rules.expect()?;
        args.judged().await
    };
    let judged = judged.await;
    let set = args.planning.set.name().unwrap_or(DEFAULT_SET).to_owned();
    let (plan, failure) = match judged {
        Ok(Judged { planned, verdict }) => {
            let plan = args.shown(planned.plan);
            let failure = super::refuse(&plan).and(verdict).err();
            (Some(plan), failure)
        }
        Err(error) => (None, Some(error)),
    };
    Planned { environment: name, set, plan, failure }
}

impl Planned {
    fn print(&self, args: &PlanArgs, is_first: bool) -> Result<()> {
        if !is_first {
            output::data("\n");
        }
        match (&self.plan, &self.failure) {
            (Some(plan), _) => output::data(&text::render_in(plan, args.detail())),
            (None, _) => output::data(&format!("No plan in environment `{}`\n", self.environment)),
        }
        if let Some(error) = &self.failure {
            output::error(error);
        }
        Ok(())
    }

    fn section(&self) -> Section<'_> {
        let why = || self.failure.as_ref().map(told).unwrap_or_default();
        Section {
            environment: &self.environment,
            set: &self.set,
            plan: self.plan.as_ref().ok_or_else(why),
        }
    }
}

/// An error as lines: what failed, what is wrong in detail, and what to do about it.
fn told(error: &Error) -> Vec<String> {
    let hinted = |text: String, hint: &Option<String>| match hint {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    };
    let problems = error.problems.iter().map(|it| hinted(it.to_string(), &it.hint));
    std::iter::once(hinted(with_causes(error), &error.hint)).chain(problems).collect()
}

fn document(args: &PlanArgs, all: &[Planned]) -> PlansDocument {
    let plan = |plan: &Plan| match args.suggest_ignore {
        true => PlanDocument::suggesting(plan),
        false => PlanDocument::of(plan),
    };
    let environments = all.iter().map(|planned| PlannedDocument {
        environment: planned.environment.clone(),
        plan: planned.plan.as_ref().map(plan),
        failure: planned.failure.as_ref().map(Failure::of),
    });
    PlansDocument { version: 1, environments: environments.collect() }
}
