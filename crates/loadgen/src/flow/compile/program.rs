//! One compilation of a flow, with the environment values of its scenarios filled in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, header};

use crate::flow::body::Body;
use crate::flow::capture::Capture;
use crate::flow::check::Check;
use crate::flow::data::Data;
use crate::flow::error::{FlowError, Place};
use crate::flow::request::{Destination, Headers, Origins, RequestPlan};
use crate::flow::sign::Signer;
use crate::flow::socket::SocketPlan;
use crate::flow::spec::{CheckSpec, FlowSpec, Mode, RequestSpec};
use crate::flow::template::{Scope, Template};
use crate::flow::text::Escape;
use crate::options::Plan;

/// The longest time of a request when the flow says nothing: k6's default.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What users run.
#[derive(Debug, Default)]
pub(in crate::flow) struct Program {
    pub(in crate::flow) requests: Box<[RequestPlan]>,
    /// The sums of the weights up to each request; empty when all requests run in their order.
    pub(in crate::flow) weights: Box<[f64]>,
    pub(in crate::flow) socket: Option<SocketPlan>,
    pub(in crate::flow) data: Arc<[Data]>,
    /// The name of each captured value.
    pub(in crate::flow) captured: Vec<String>,
}

/// Data files, and the name and the columns of each.
pub(in crate::flow) struct DataFiles {
    files: Arc<[Data]>,
    names: Vec<(String, Vec<String>)>,
}

pub(in crate::flow) fn read_data(spec: &FlowSpec, folder: &Path, place: &Place) -> Result<DataFiles, FlowError> {
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for (name, path) in &spec.data {
        let (data, columns) =
            Data::read(&folder.join(path)).map_err(|problem| place.at(format_args!("data {name}")).invalid(problem))?;
        files.push(data);
        names.push((name.clone(), columns));
    }
    Ok(DataFiles { files: files.into(), names })
}

/// What is the same for all requests of a compilation.
struct Compiler<'a> {
    spec: &'a FlowSpec,
    plan: &'a Plan,
    folder: &'a Path,
    env: &'a BTreeMap<String, String>,
    data: &'a [(String, Vec<String>)],
}

impl Program {
    pub(in crate::flow) fn compile(
        spec: &FlowSpec,
        plan: &Plan,
        folder: &Path,
        env: &BTreeMap<String, String>,
        data: &DataFiles,
        origins: &mut Origins,
        place: &Place,
    ) -> Result<Self, FlowError> {
        if spec.requests.is_empty() && spec.websocket.is_none() {
            return Err(place.invalid("it does nothing: add [[requests]] or a [websocket]"));
        }
        if spec.mode == Mode::Weighted && spec.websocket.is_some() {
            return Err(place.invalid(
                "mode \"weighted\" draws one of the requests, so there is no websocket: make it a flow of its own",
            ));
        }
        let compiler = Compiler { spec, plan, folder, env, data: &data.names };
        let mut captured = Vec::new();
        let mut requests = Vec::new();
        for (number, request) in spec.requests.iter().enumerate() {
            let name = request.name.as_ref().or(request.path.as_ref()).or(request.url.as_ref());
            let name = name.cloned().unwrap_or_else(|| (number + 1).to_string());
            let place = place.at(format_args!("request {name}"));
            requests.push(compiler.request(name, request, origins, &mut captured, &place)?);
        }
        let weights = weights(spec, place)?;
        let socket = match &spec.websocket {
            None => None,
            Some(socket) => {
                let scope = compiler.scope(&captured);
                let place = place.at("websocket");
                let timeout = spec.timeout.map_or(TIMEOUT, Duration::from);
                Some(SocketPlan::compile(socket, spec, plan, timeout, origins, &scope, &place)?)
            }
        };
        Ok(Self { requests: requests.into(), weights, socket, data: data.files.clone(), captured })
    }

    /// The names of the values of the flow `setup` that it needs.
    pub(in crate::flow) fn setup_names(&self) -> impl Iterator<Item = &str> {
        let requests = self.requests.iter().flat_map(RequestPlan::setup_names);
        requests.chain(self.socket.iter().flat_map(SocketPlan::setup_names))
    }
}

impl Compiler<'_> {
    fn scope<'s>(&'s self, captured: &'s [String]) -> Scope<'s> {
        let weighted =
            "with mode \"weighted\" an iteration has one request, so nothing was captured before it: use setup.NAME";
        let no_captures = (self.spec.mode == Mode::Weighted).then_some(weighted);
        let captured = if no_captures.is_some() { &[] } else { captured };
        Scope { env: self.env, captured, no_captures, data: self.data }
    }

    fn request(
        &self,
        name: String,
        request: &RequestSpec,
        origins: &mut Origins,
        captured: &mut Vec<String>,
        place: &Place,
    ) -> Result<RequestPlan, FlowError> {
        let Self { spec, plan, .. } = self;
        let scope = self.scope(captured);
        let (path, url) = (request.path.as_deref(), request.url.as_deref());
        let destination = Destination::compile(path, url, &request.query, plan.target.as_ref(), origins, &scope);
        let destination = destination.map_err(|problem| place.invalid(problem))?;
        let mut headers =
            Headers::compile([&spec.headers, &request.headers], &scope).map_err(|problem| place.invalid(problem))?;
        if let Some(agent) = &plan.user_agent {
            let agent =
                HeaderValue::try_from(agent).map_err(|_| place.invalid("userAgent cannot be a header's value"))?;
            headers.or_insert(header::USER_AGENT, agent);
        }
        let body = Body::compile(request, self.folder, &scope).map_err(|problem| place.at("body").invalid(problem))?;
        let usual_method = if body.is_some() { Method::POST } else { Method::GET };
        let body = match body {
            Some((body, kind)) => {
                headers.or_insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                body
            }
            None => Body::Constant(bytes::Bytes::new()),
        };
        let signer = match request.sign.as_ref().or(spec.sign.as_ref()) {
            Some(sign) => Signer::compile(sign, &destination.origin, &scope)
                .map_err(|problem| place.at("sign").invalid(problem))?,
            None => None,
        };
        let tags = tags(&spec.tags, &request.tags, &scope, place)?;
        let checks = checks(&request.checks, &scope, place)?;
        let mut captures = Vec::new();
        for (name, capture) in &request.capture {
            let at = captured.iter().position(|known| known == name).unwrap_or(captured.len());
            if at == captured.len() {
                captured.push(name.clone());
            }
            let capture = Capture::compile(name, at, capture);
            captures.push(capture.map_err(|problem| place.at(format_args!("capture {name}")).invalid(problem))?);
        }
        Ok(RequestPlan {
            method: match &request.method {
                None => usual_method,
                Some(method) => method.to_ascii_uppercase().parse().map_err(|_| {
                    place.invalid(format_args!("{method:?} is no method: write GET, POST, PUT, PATCH, DELETE or HEAD"))
                })?,
            },
            destination,
            headers,
            body,
            signer,
            expected: request.expected.clone().unwrap_or_default(),
            timeout: request.timeout.or(spec.timeout).map_or(TIMEOUT, Duration::from),
            tags,
            group: group(&request.group),
            keep_body: checks.iter().any(Check::needs_body) || captures.iter().any(Capture::needs_body),
            checks,
            captures: captures.into(),
            pause: request.think_time.or(spec.think_time),
            name,
        })
    }
}

/// Compiles checks in the order of their names.
pub(in crate::flow) fn checks(
    specs: &BTreeMap<String, CheckSpec>,
    scope: &Scope<'_>,
    place: &Place,
) -> Result<Box<[Check]>, FlowError> {
    let compile = |(name, spec): (&String, &CheckSpec)| {
        Check::compile(name, spec, scope).map_err(|problem| place.at(format_args!("check {name:?}")).invalid(problem))
    };
    specs.iter().map(compile).collect()
}

/// The tags of a flow with those of a request, which hide them.
pub(in crate::flow) fn tags(
    flow: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
    scope: &Scope<'_>,
    place: &Place,
) -> Result<BTreeMap<String, String>, FlowError> {
    let tag = |(name, value): (&String, &String)| {
        let place = place.at(format_args!("tag {name}"));
        let template = Template::compile(value, Escape::None, scope).map_err(|problem| place.invalid(problem))?;
        let value = template.constant().ok_or_else(|| {
            place.invalid("a tag is the same in each request, or there would be too many: it may use {{env.NAME}} and no other template")
        })?;
        Ok((name.clone(), String::from_utf8_lossy(value).into_owned()))
    };
    flow.iter().chain(own).map(tag).collect()
}

/// The group as its tag has it: `::outer::inner`.
pub(in crate::flow) fn group(written: &str) -> String {
    match written {
        "" => String::new(),
        group if group.starts_with("::") => group.to_owned(),
        group => format!("::{group}"),
    }
}

fn weights(spec: &FlowSpec, place: &Place) -> Result<Box<[f64]>, FlowError> {
    if spec.mode == Mode::Sequence {
        return match spec.requests.iter().any(|request| request.weight.is_some()) {
            true => Err(place.invalid("weights count with mode = \"weighted\" only: add it, or leave the weights out")),
            false => Ok(Box::default()),
        };
    }
    let mut sum = 0.0;
    let mut sums = Vec::new();
    for request in &spec.requests {
        let weight = request.weight.unwrap_or(1.0);
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(place.invalid(format_args!("{weight} is no weight: write a number from 0")));
        }
        sum += weight;
        sums.push(sum);
    }
    if !(sum.is_finite() && sum > 0.0) {
        return Err(place.invalid("no request has a weight above 0, so none would ever be drawn"));
    }
    Ok(sums.into())
}
