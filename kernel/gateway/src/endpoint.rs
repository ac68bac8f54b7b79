//! An endpoint: its path, its handler, and everything that can be known of it from the handler's own types.
//!
//! The permission, the parameters, the body, the answer and the errors in the OpenAPI document come from the signature of
//! the handler, so they cannot disagree with it. Only the words for people are written by hand.

use axum::{
    Router,
    extract::State,
    handler::Handler,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use http::{HeaderMap, Method};
use plinth_core::{Kind, Permission, PermissionInfo};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    answer::{Done, Reply},
    desk::{Caller, Person, Visitor},
    edge::Special,
    input::{Body, Path, Query},
    listing::{ListSpec, Listing},
    refuse::Refuses,
};

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Anybody,
    SignedIn,
    Holding(PermissionInfo),
}

/// What is known of an endpoint.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) path_params: Option<SchemaOf>,
    pub(crate) query: Option<SchemaOf>,
    pub(crate) listing: Option<ListWords>,
    pub(crate) body: Option<(SchemaOf, bool)>,
    pub(crate) reply: Option<(u16, Option<SchemaOf>)>,
    pub(crate) media: &'static str,
    pub(crate) cases: Vec<(Kind, &'static str)>,
    pub(crate) special: Special,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListWords {
    pub sorts: &'static [&'static str],
    pub filters: &'static [&'static str],
    pub search: bool,
}

pub struct Endpoint<S> {
    operation: Operation,
    router: MethodRouter<S>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {$(
        pub fn $name<S, H, T>(path: &'static str, handler: H) -> Endpoint<S>
        where
            H: Handler<T, S> + Signature<T>,
            T: 'static,
            S: Clone + Send + Sync + 'static,
        {
            Endpoint { operation: operation::<H, T>(Method::$method, path), router: on(MethodFilter::$method, handler) }
        }
    )*};
}

methods! {
    get GET;
    post POST;
    put PUT;
    patch PATCH;
    delete DELETE;
}

fn operation<H: Signature<T>, T>(method: Method, path: &'static str) -> Operation {
    let mut operation = Operation {
        method,
        path,
        access: Access::Anybody,
        tag: "",
        summary: "",
        description: "",
        path_params: None,
        query: None,
        listing: None,
        body: None,
        reply: None,
        media: "application/json",
        cases: Vec::new(),
        special: Special::default(),
    };
    H::describe(&mut operation);
    operation
}

impl<S: Clone + Send + Sync + 'static> Endpoint<S> {
    /// One line, in the imperative.
    #[must_use]
    pub fn summary(mut self, text: &'static str) -> Self {
        self.operation.summary = text;
        self
    }

    /// What a caller must know beyond the summary.
    #[must_use]
    pub fn description(mut self, text: &'static str) -> Self {
        self.operation.description = text;
        self
    }

    /// Takes a password or a token from a mail: counted by the stricter limit, by address.
    #[must_use]
    pub fn takes_credentials(mut self) -> Self {
        self.operation.special.sign_in = true;
        self
    }

    /// Handles Idempotency-Key itself.
    #[must_use]
    pub fn own_idempotency(mut self) -> Self {
        self.operation.special.own_idempotency = true;
        self
    }

    /// Answers with something else than JSON.
    #[must_use]
    pub fn media(mut self, media: &'static str) -> Self {
        self.operation.media = media;
        self
    }
}

/// Everything that is mounted: the router and what is known of its endpoints.
#[derive(Default)]
pub struct Mounted {
    pub(crate) router: Router,
    pub(crate) operations: Vec<Operation>,
}

impl Mounted {
    /// Mounts the endpoints of a room under the heading `tag`.
    pub fn add<S: Clone + Send + Sync + 'static>(&mut self, tag: &'static str, state: &S, endpoints: Vec<Endpoint<S>>) {
        let mut router = Router::new();
        for endpoint in endpoints {
            let Endpoint { mut operation, router: handler } = endpoint;
            operation.tag = tag;
            router = router.route(operation.path, handler);
            self.operations.push(operation);
        }
        let before = std::mem::take(&mut self.router);
        self.router = before.merge(router.with_state(state.clone()));
    }

    /// Every permission that an endpoint asks for, once.
    pub fn vocabulary(&self) -> Vec<PermissionInfo> {
        let mut words: Vec<PermissionInfo> = self
            .operations
            .iter()
            .filter_map(|operation| if let Access::Holding(word) = operation.access { Some(word) } else { None })
            .collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

/// What an argument of a handler says of the endpoint.
pub trait Describes {
    fn describe(operation: &mut Operation);
}

/// What the answer of a handler says of the endpoint.
pub trait Answers {
    fn describe(operation: &mut Operation);
}

/// What the whole signature of a handler says.
pub trait Signature<T> {
    fn describe(operation: &mut Operation);
}

macro_rules! signatures {
    ($($argument:ident)*) => {
        impl<F, Fut, Out, M, $($argument,)*> Signature<(M, $($argument,)*)> for F
        where
            F: Fn($($argument,)*) -> Fut,
            Fut: Future<Output = Out>,
            Out: Answers,
            $($argument: Describes,)*
        {
            fn describe(operation: &mut Operation) {
                $($argument::describe(operation);)*
                Out::describe(operation);
            }
        }
    };
}

impl<F, Fut, Out> Signature<((),)> for F
where
    F: Fn() -> Fut,
    Fut: Future<Output = Out>,
    Out: Answers,
{
    fn describe(operation: &mut Operation) {
        Out::describe(operation);
    }
}

signatures!(A1);
signatures!(A1 A2);
signatures!(A1 A2 A3);
signatures!(A1 A2 A3 A4);
signatures!(A1 A2 A3 A4 A5);
signatures!(A1 A2 A3 A4 A5 A6);

impl Describes for Visitor {
    fn describe(_: &mut Operation) {}
}

impl Describes for Person {
    fn describe(operation: &mut Operation) {
        operation.access = Access::SignedIn;
    }
}

impl<P: Permission> Describes for Caller<P> {
    fn describe(operation: &mut Operation) {
        operation.access = Access::Holding(PermissionInfo::of::<P>());
    }
}

impl<S> Describes for State<S> {
    fn describe(_: &mut Operation) {}
}

impl Describes for HeaderMap {
    fn describe(_: &mut Operation) {}
}

impl<T: JsonSchema> Describes for Body<T> {
    fn describe(operation: &mut Operation) {
        operation.body = Some((|schemas| schemas.subschema_for::<T>(), true));
    }
}

impl<T: JsonSchema> Describes for Option<Body<T>> {
    fn describe(operation: &mut Operation) {
        operation.body = Some((|schemas| schemas.subschema_for::<T>(), false));
    }
}

impl<T: JsonSchema> Describes for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.path_params = Some(|schemas| schemas.subschema_for::<T>());
        operation.cases.push((Kind::NotFound, "not_found"));
    }
}

impl<T: JsonSchema> Describes for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.query = Some(|schemas| T::json_schema(schemas));
        operation.cases.push((Kind::Invalid, "invalid"));
    }
}

impl<L: ListSpec> Describes for Listing<L> {
    fn describe(operation: &mut Operation) {
        operation.listing = Some(ListWords { sorts: L::SORTS, filters: L::FILTERS, search: L::SEARCH });
        operation.cases.push((Kind::Invalid, "invalid"));
    }
}

fn reply<R: Reply>(operation: &mut Operation) {
    let schema: SchemaOf = |schemas| schemas.subschema_for::<R::Body>();
    operation.reply = Some((R::STATUS, (!R::EMPTY).then_some(schema)));
}

impl<R: Reply, E: Refuses> Answers for Result<R, E> {
    fn describe(operation: &mut Operation) {
        reply::<R>(operation);
        operation.cases.extend(E::CASES);
    }
}

impl<R: Reply, E: Refuses> Answers for Result<Done<R>, E> {
    fn describe(operation: &mut Operation) {
        reply::<R>(operation);
        operation.cases.extend(E::CASES);
    }
}

/// An answer whose shape no schema tells.
impl Answers for Response {
    fn describe(operation: &mut Operation) {
        operation.reply = Some((200, None));
    }
}
