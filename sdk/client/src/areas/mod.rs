//! The areas of the API by name, one file each.
//!
//! Every method gives a [`RequestBuilder`] that can still be changed (`if_match`, `dry_run`, an
//! `idempotency_key`) and is sent by awaiting it.

mod api_keys;
mod auth;
mod impersonations;
mod invitations;
mod me;
mod members;
mod operations;
mod organizations;
mod roles;
mod service_accounts;
mod settings;
mod tenants;
mod users;

pub use api_keys::ApiKeys;
pub use auth::Auth;
pub use impersonations::Impersonations;
pub use invitations::Invitations;
pub use me::Me;
pub use members::Members;
pub use operations::Operations;
pub use organizations::Organizations;
pub use roles::Roles;
pub use service_accounts::ServiceAccounts;
pub use settings::Settings;
pub use tenants::Tenants;
pub use users::Users;

use http::Method;
use plinth_api::{Page, TenantId};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Client, Query, RequestBuilder,
    request::{Empty, Json},
};

/// A call that answers with a `T`.
pub type Call<T> = RequestBuilder<Json<T>>;

/// The calls that most areas have.
trait Verbs {
    fn read<T: DeserializeOwned>(&self, path: &str) -> Call<T>;
    fn list<T: DeserializeOwned>(&self, path: &str, query: impl Into<Query>) -> Call<Page<T>>;
    fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Call<T>;
    fn act<T: DeserializeOwned>(&self, path: &str) -> Call<T>;
    fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Call<T>;
    fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Call<T>;
    fn delete(&self, path: &str) -> RequestBuilder<Empty>;
}

impl Verbs for Client {
    fn read<T: DeserializeOwned>(&self, path: &str) -> Call<T> {
        self.request(Method::GET, path).typed()
    }

    fn list<T: DeserializeOwned>(&self, path: &str, query: impl Into<Query>) -> Call<Page<T>> {
        self.page(path, query)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Call<T> {
        self.request(Method::POST, path).body(body).typed()
    }

    fn act<T: DeserializeOwned>(&self, path: &str) -> Call<T> {
        self.request(Method::POST, path).typed()
    }

    fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Call<T> {
        self.request(Method::PATCH, path).body(body).typed()
    }

    fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Call<T> {
        self.request(Method::PUT, path).body(body).typed()
    }

    fn delete(&self, path: &str) -> RequestBuilder<Empty> {
        self.request(Method::DELETE, path).empty()
    }
}

impl Client {
    pub fn auth(&self) -> Auth<'_> {
        Auth(self)
    }

    pub fn me(&self) -> Me<'_> {
        Me(self)
    }

    pub fn tenants(&self) -> Tenants<'_> {
        Tenants(self)
    }

    pub fn members(&self, tenant: TenantId) -> Members<'_> {
        Members(self, tenant)
    }

    pub fn invitations(&self) -> Invitations<'_> {
        Invitations(self)
    }

    pub fn roles(&self) -> Roles<'_> {
        Roles(self)
    }

    pub fn organizations(&self) -> Organizations<'_> {
        Organizations(self)
    }

    pub fn settings(&self) -> Settings<'_> {
        Settings(self)
    }

    pub fn users(&self) -> Users<'_> {
        Users(self)
    }

    pub fn service_accounts(&self) -> ServiceAccounts<'_> {
        ServiceAccounts(self)
    }

    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(self)
    }

    pub fn impersonations(&self) -> Impersonations<'_> {
        Impersonations(self)
    }

    pub fn operations(&self) -> Operations<'_> {
        Operations(self)
    }
}
