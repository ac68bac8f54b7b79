//! The OpenAPI 3.1 document, made from what the endpoints say of themselves.

use std::collections::BTreeMap;

use http::Method;
use plinth_core::{Kind, api};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    answer::PARTIAL,
    endpoint::{Access, ListWords, Operation, SchemaOf},
};

const INTRODUCTION: &str = "Plinth's REST API. Errors are problem documents (RFC 9457) with a stable `code`. Every change takes an \
`Idempotency-Key`. Lists are read by cursor. Objects carry an `ETag`; changes honour `If-Match`.";

pub fn document(operations: &[Operation]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(operation, &mut schemas);
        paths.entry(operation.path).or_default().insert(operation.method.as_str().to_lowercase(), described);
    }
    schemas.replies.subschema_for::<api::Problem>();
    let mut tags: Vec<&str> = operations.iter().map(|operation| operation.tag).collect();
    tags.dedup();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Plinth",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token, or an API key that begins with plk_.",
                },
            },
        },
    });
    schemas.finish(&mut document);
    document
}

/// Requests and answers have schemas of their own: a field that may be left out of a request is always there in an answer.
struct Schemas {
    requests: SchemaGenerator,
    replies: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            replies: settings().for_serialize().into_generator(),
        }
    }

    /// A type that is part of requests and of answers, and looks different there, has its request's form under another name.
    fn finish(mut self, document: &mut Value) {
        let mut all = self.replies.take_definitions(true);
        let mut requests = self.requests.take_definitions(true);
        let differing: Vec<String> = requests
            .iter()
            .filter(|(name, schema)| all.get(*name).is_some_and(|other| other != *schema))
            .map(|(name, _)| name.clone())
            .collect();
        for schema in requests.values_mut() {
            rename_references(schema, &differing);
        }
        for operation in document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut()) {
            for operation in operation.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
                rename_references(&mut operation["requestBody"], &differing);
                rename_references(&mut operation["parameters"], &differing);
                if operation["requestBody"].is_null() {
                    operation.as_object_mut().map(|operation| operation.remove("requestBody"));
                }
            }
        }
        for (name, schema) in requests {
            let name = if differing.contains(&name) { format!("{name}Input") } else { name };
            all.insert(name, schema);
        }
        document["components"]["schemas"] = Value::Object(all);
    }

    fn request(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.requests).to_value()
    }

    fn reply(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.replies).to_value()
    }
}

fn rename_references(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(target) if name == "$ref" => {
                        if names.iter().any(|name| target.strip_prefix("#/components/schemas/") == Some(name)) {
                            target.push_str("Input");
                        }
                    }
                    other => rename_references(other, names),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename_references(value, names)),
        _ => {}
    }
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters(operation, schemas),
        "responses": responses(operation, schemas),
        "security": if operation.access == Access::Anybody { json!([]) } else { json!([{ "bearer": [] }]) },
    });
    if !operation.description.is_empty() {
        described["description"] = operation.description.into();
    }
    if let Access::Holding(permission) = operation.access {
        described["x-permission"] = permission.name.into();
        if permission.operator {
            described["x-operator"] = true.into();
        }
    }
    if let Some((schema, required)) = operation.body {
        described["requestBody"] =
            json!({ "required": required, "content": { "application/json": { "schema": schemas.request(schema) } } });
    }
    described
}

/// `post /api/v1/api-keys/{id}/rotate` is `post_api_keys_id_rotate`.
fn operation_id(operation: &Operation) -> String {
    let path = operation.path.trim_start_matches("/api/v1").trim_start_matches('/');
    let words: String = path.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    let words: Vec<&str> = words.split('_').filter(|word| !word.is_empty()).collect();
    format!("{}_{}", operation.method.as_str().to_lowercase(), words.join("_"))
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let mut parameters = path_parameters(operation, schemas);
    if let Some(query) = operation.query {
        let asked = schemas.request(query);
        let required = asked["required"].as_array().cloned().unwrap_or_default();
        for (name, schema) in asked["properties"].as_object().into_iter().flatten() {
            let required = required.iter().any(|required| required == name);
            parameters.push(json!({ "name": name, "in": "query", "required": required, "schema": schema }));
        }
    }
    if let Some(words) = operation.listing {
        parameters.extend(list_parameters(words));
    }
    if changes(&operation.method) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Repeating a request with the same key gives the first answer again instead of doing the work twice.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }
    if [Method::PATCH, Method::DELETE].contains(&operation.method) && operation.access != Access::Anybody {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The ETag of the object that the change was decided on.",
            "schema": { "type": "string" },
        }));
    }
    parameters
}

fn path_parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let Some(schema) = operation.path_params else { return Vec::new() };
    let schema = schemas.request(schema);
    let names = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let several = schema["prefixItems"].as_array().cloned();
    names
        .enumerate()
        .map(|(index, name)| {
            let schema = several.as_ref().and_then(|all| all.get(index)).unwrap_or(&schema);
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect()
}

fn list_parameters(words: ListWords) -> Vec<Value> {
    let sorts: Vec<String> = words.sorts.iter().flat_map(|sort| [(*sort).to_owned(), format!("-{sort}")]).collect();
    let mut all = vec![
        ("limit", "Rows of the page.", json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 })),
        ("after", "Read on behind this cursor (`next` of a page).", json!({ "type": "string" })),
        ("before", "Read back from this cursor (`prev` of a page).", json!({ "type": "string" })),
        ("anchor", "Begin at this end of the list.", json!({ "enum": ["first", "last"] })),
        ("sort", "The order; with a leading - the other way round.", json!({ "enum": sorts })),
        ("ids", "Only these, separated by commas.", json!({ "type": "string" })),
        ("fields", "Only these fields of each row, separated by commas.", json!({ "type": "string" })),
    ];
    if words.search {
        all.push(("q", "Only what this text occurs in.", json!({ "type": "string" })));
    }
    all.extend(words.filters.iter().map(|filter| (*filter, "Only rows with this value.", json!({ "type": "string" }))));
    all.into_iter()
        .map(|(name, about, schema)| json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema }))
        .collect()
}

pub(crate) fn changes(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    if let Some((status, schema)) = operation.reply {
        let mut response = json!({ "description": if status == 204 { "Done" } else { "As asked" } });
        if let Some(schema) = schema {
            response["content"] = json!({ operation.media: { "schema": schemas.reply(schema) } });
            if operation.listing.is_some() {
                response["content"][PARTIAL] = json!({ "schema": partial_page() });
            }
        }
        responses.insert(status.to_string(), response);
    }
    for (kind, codes) in cases(operation) {
        let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        responses.insert(
            kind.to_string(),
            json!({
                "description": codes.join(", "),
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            }),
        );
    }
    Value::Object(responses)
}

/// What `fields` makes of a page.
fn partial_page() -> Value {
    json!({
        "description": "The page when `fields` was given: rows have these fields only.",
        "type": "object",
        "required": ["data", "has_more"],
        "properties": { "data": { "type": "array", "items": { "type": "object" } }, "has_more": { "type": "boolean" } },
    })
}

/// The codes by status: what the layers may say of any request like this one, and what the handler adds.
fn cases(operation: &Operation) -> BTreeMap<u16, Vec<&'static str>> {
    let mut all: Vec<(Kind, &'static str)> =
        vec![(Kind::RateLimited, "rate_limited"), (Kind::Internal, "internal"), (Kind::Unavailable, "unavailable")];
    if operation.access != Access::Anybody {
        all.extend([
            (Kind::Unauthenticated, "authentication_needed"),
            (Kind::Unauthenticated, "token_invalid"),
            (Kind::Unauthenticated, "token_expired"),
            (Kind::Unauthenticated, "token_revoked"),
            (Kind::Forbidden, "tenant_suspended"),
            (Kind::NotFound, "not_found"),
        ]);
    }
    if matches!(operation.access, Access::Holding(_)) {
        all.push((Kind::Forbidden, "permission_missing"));
    }
    if operation.body.is_some() {
        all.extend([
            (Kind::Malformed, "malformed_json"),
            (Kind::TooLarge, "body_too_large"),
            (Kind::UnsupportedMedia, "unsupported_media_type"),
            (Kind::Invalid, "invalid"),
        ]);
    }
    if changes(&operation.method) {
        all.extend([
            (Kind::Conflict, "in_progress"),
            (Kind::Invalid, "idempotency_mismatch"),
            (Kind::Malformed, "body_incomplete"),
            (Kind::TooLarge, "body_too_large"),
        ]);
    }
    all.extend(&operation.cases);
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for (kind, code) in all {
        let codes = by_status.entry(kind.status()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    by_status
}
