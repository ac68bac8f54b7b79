//! The table.

use std::collections::BTreeMap;

use plinth_tests::Kernel;

use crate::operations::{Operation, operations};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Anybody,
    /// Whoever is signed in; the operation itself says what of theirs they see.
    SignedIn,
    Holding(&'static str),
    /// Held by people of the platform only.
    Operator(&'static str),
}

use Access::{Anybody, Holding, Operator as OfPlatform, SignedIn};

#[rustfmt::skip]
pub const TABLE: &[(&str, &str, Access)] = &[
    ("GET",    "/.well-known/jwks.json",                      Anybody),
    ("GET",    "/api/v1/api-keys",                            Holding("api_keys:read")),
    ("POST",   "/api/v1/api-keys",                            Holding("api_keys:write")),
    ("DELETE", "/api/v1/api-keys/{id}",                       Holding("api_keys:write")),
    ("GET",    "/api/v1/api-keys/{id}",                       Holding("api_keys:read")),
    ("PATCH",  "/api/v1/api-keys/{id}",                       Holding("api_keys:write")),
    ("POST",   "/api/v1/api-keys/{id}/rotate",                Holding("api_keys:write")),
    // A key may always look at its own usage; others need api_keys:read.
    ("GET",    "/api/v1/api-keys/{id}/usage",                 SignedIn),
    ("GET",    "/api/v1/auth/identities",                     SignedIn),
    ("DELETE", "/api/v1/auth/identities/{id}",                SignedIn),
    ("POST",   "/api/v1/auth/login",                          Anybody),
    ("POST",   "/api/v1/auth/logout",                         SignedIn),
    ("POST",   "/api/v1/auth/magic-link",                     Anybody),
    ("POST",   "/api/v1/auth/magic-link/redeem",              Anybody),
    ("POST",   "/api/v1/auth/mfa/recovery-codes",             SignedIn),
    ("DELETE", "/api/v1/auth/mfa/totp",                       SignedIn),
    ("POST",   "/api/v1/auth/mfa/totp",                       SignedIn),
    ("POST",   "/api/v1/auth/mfa/totp/confirm",               SignedIn),
    ("GET",    "/api/v1/auth/oauth",                          Anybody),
    ("POST",   "/api/v1/auth/oauth/{provider}/callback",      Anybody),
    ("POST",   "/api/v1/auth/oauth/{provider}/start",         Anybody),
    ("POST",   "/api/v1/auth/password/change",                SignedIn),
    ("POST",   "/api/v1/auth/password/forgot",                Anybody),
    ("POST",   "/api/v1/auth/password/reset",                 Anybody),
    ("POST",   "/api/v1/auth/refresh",                        Anybody),
    ("POST",   "/api/v1/auth/register",                       Anybody),
    ("DELETE", "/api/v1/auth/sessions",                       SignedIn),
    ("GET",    "/api/v1/auth/sessions",                       SignedIn),
    ("DELETE", "/api/v1/auth/sessions/{id}",                  SignedIn),
    ("POST",   "/api/v1/auth/switch-tenant",                  SignedIn),
    ("POST",   "/api/v1/auth/verify-email",                   Anybody),
    ("POST",   "/api/v1/auth/verify-email/resend",            SignedIn),
    ("GET",    "/api/v1/impersonations",                      OfPlatform("impersonations:read")),
    ("POST",   "/api/v1/impersonations",                      OfPlatform("impersonations:write")),
    // Operators end it, and so does whoever acts through it.
    ("DELETE", "/api/v1/impersonations/{session}",            SignedIn),
    ("GET",    "/api/v1/invitations",                         Holding("members:read")),
    ("POST",   "/api/v1/invitations",                         Holding("members:write")),
    ("POST",   "/api/v1/invitations/accept",                  Anybody),
    ("DELETE", "/api/v1/invitations/{id}",                    Holding("members:write")),
    ("GET",    "/api/v1/invitations/{id}",                    Holding("members:read")),
    ("POST",   "/api/v1/invitations/{id}/resend",             Holding("members:write")),
    ("GET",    "/api/v1/me",                                  SignedIn),
    ("PATCH",  "/api/v1/me",                                  SignedIn),
    ("GET",    "/api/v1/openapi.json",                        Anybody),
    ("GET",    "/api/v1/organizations",                       Holding("organizations:read")),
    ("POST",   "/api/v1/organizations",                       Holding("organizations:write")),
    ("DELETE", "/api/v1/organizations/{id}",                  Holding("organizations:write")),
    ("GET",    "/api/v1/organizations/{id}",                  Holding("organizations:read")),
    ("PATCH",  "/api/v1/organizations/{id}",                  Holding("organizations:write")),
    ("GET",    "/api/v1/organizations/{id}/members",          Holding("organizations:read")),
    // The managers of an organisation handle its members; others need organizations:write.
    ("DELETE", "/api/v1/organizations/{id}/members/{user}",   Holding("organizations:read")),
    ("PUT",    "/api/v1/organizations/{id}/members/{user}",   Holding("organizations:read")),
    ("GET",    "/api/v1/permissions",                         SignedIn),
    ("GET",    "/api/v1/roles",                               Holding("roles:read")),
    ("POST",   "/api/v1/roles",                               Holding("roles:write")),
    ("DELETE", "/api/v1/roles/{key}",                         Holding("roles:write")),
    ("GET",    "/api/v1/roles/{key}",                         Holding("roles:read")),
    ("PATCH",  "/api/v1/roles/{key}",                         Holding("roles:write")),
    ("GET",    "/api/v1/service-accounts",                    Holding("service_accounts:read")),
    ("POST",   "/api/v1/service-accounts",                    Holding("service_accounts:write")),
    ("DELETE", "/api/v1/service-accounts/{id}",               Holding("service_accounts:write")),
    ("GET",    "/api/v1/service-accounts/{id}",               Holding("service_accounts:read")),
    ("PATCH",  "/api/v1/service-accounts/{id}",               Holding("service_accounts:write")),
    ("GET",    "/api/v1/settings",                            Holding("tenant:read")),
    ("PATCH",  "/api/v1/settings",                            Holding("tenant:write")),
    // One's own tenants, or all of them for operators.
    ("GET",    "/api/v1/tenants",                             SignedIn),
    ("POST",   "/api/v1/tenants",                             SignedIn),
    ("GET",    "/api/v1/tenants/{id}",                        SignedIn),
    ("PATCH",  "/api/v1/tenants/{id}",                        Holding("tenant:write")),
    ("POST",   "/api/v1/tenants/{id}/erase",                  Holding("tenant:erase")),
    ("GET",    "/api/v1/tenants/{id}/export",                 Holding("tenant:export")),
    ("GET",    "/api/v1/tenants/{id}/members",                Holding("members:read")),
    // Everybody may leave; to remove others takes members:write.
    ("DELETE", "/api/v1/tenants/{id}/members/{user}",         SignedIn),
    ("GET",    "/api/v1/tenants/{id}/members/{user}",         Holding("members:read")),
    ("PATCH",  "/api/v1/tenants/{id}/members/{user}",         Holding("members:write")),
    ("POST",   "/api/v1/tenants/{id}/restore",                Holding("tenant:erase")),
    ("POST",   "/api/v1/tenants/{id}/resume",                 OfPlatform("tenants:suspend")),
    ("POST",   "/api/v1/tenants/{id}/suspend",                OfPlatform("tenants:suspend")),
    ("GET",    "/api/v1/users",                               Holding("members:read")),
    ("GET",    "/api/v1/users/{id}",                          Holding("members:read")),
    ("GET",    "/healthz",                                    Anybody),
    ("GET",    "/metrics",                                    Anybody),
    ("GET",    "/readyz",                                     Anybody),
];

fn of_document(operation: &Operation) -> String {
    match (&operation.permission, operation.public) {
        (None, true) => "anybody".into(),
        (None, false) => "signed in".into(),
        (Some(permission), false) if operation.operator => format!("operator holding {permission}"),
        (Some(permission), false) => format!("holding {permission}"),
        (Some(_), true) => "public and with a permission at once".into(),
    }
}

fn of_table(access: Access) -> String {
    match access {
        Anybody => "anybody".into(),
        SignedIn => "signed in".into(),
        Holding(permission) => format!("holding {permission}"),
        OfPlatform(permission) => format!("operator holding {permission}"),
    }
}

/// The row of an operation.
pub fn access(operation: &Operation) -> Access {
    let row = TABLE.iter().find(|(method, path, _)| *method == operation.method && *path == operation.path);
    row.unwrap_or_else(|| panic!("{} has no row in the authorisation table", operation.name())).2
}

#[tokio::test]
async fn the_table_and_the_document_agree() {
    let kernel = Kernel::start();
    let document: BTreeMap<String, String> =
        operations(&kernel).await.iter().map(|operation| (operation.name(), of_document(operation))).collect();
    let table: BTreeMap<String, String> =
        TABLE.iter().map(|(method, path, access)| (format!("{method} {path}"), of_table(*access))).collect();
    assert_eq!(table.len(), TABLE.len(), "a row is there twice");
    let missing: Vec<_> = document.iter().filter(|(name, _)| !table.contains_key(*name)).collect();
    assert!(missing.is_empty(), "operations without a row: {missing:#?}");
    let gone: Vec<_> = table.keys().filter(|name| !document.contains_key(*name)).collect();
    assert!(gone.is_empty(), "rows without an operation: {gone:#?}");
    let different: Vec<_> = document.iter().filter(|(name, access)| table[*name] != **access).collect();
    assert!(different.is_empty(), "the document says something else: {different:#?}");
}
