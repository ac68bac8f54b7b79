//! A tenant's own settings.

use plinth_core::{
    Fault, FieldError, NewEvent, Principal,
    api::{
        Patch,
        tenants::{Settings, UpdateSettings},
    },
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, Scope};
use sea_orm::{ColumnTrait, ConnectionTrait, sea_query::Query};
use serde_json::json;

use crate::{entities::tenants, fields::Checks, view};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("set up an authenticator app of your own first: POST /api/v1/auth/mfa/totp")]
    MfaNeededFirst,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::MfaNeededFirst => Conflict "mfa_needed_first",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

/// `tenant` is the row of the scope's own tenant, held.
pub async fn update(
    scope: Scope<'_>,
    principal: &Principal,
    tenant: &tenants::Model,
    change: UpdateSettings,
) -> Result<Settings, Error> {
    let before = view::settings(tenant)?;
    let mut checks = Checks::default();
    if let Patch::Value(locale) = &change.default_locale {
        checks.locale("/default_locale", locale);
    }
    if let Patch::Value(zone) = &change.time_zone
        && !is_time_zone(zone)
    {
        checks.refuse("/time_zone", "invalid_time_zone", "an IANA zone such as Europe/Vienna, or UTC");
    }
    checks.done().map_err(Error::Invalid)?;
    let demands = change.require_mfa == Patch::Value(true) && before.require_mfa != Some(true);
    let enrolled = principal.profile.user.as_ref().is_some_and(|user| user.mfa_enabled);
    // Otherwise this very request would be the last one that its maker may send.
    if demands && !enrolled {
        return Err(Error::MfaNeededFirst);
    }
    let mut settings = before.clone();
    change.default_locale.apply(&mut settings.default_locale);
    change.time_zone.apply(&mut settings.time_zone);
    change.require_mfa.apply(&mut settings.require_mfa);
    let text = view::write_json(&settings)?;
    if text != view::write_json(&before)? {
        save(scope, &text).await?;
        scope.emit(NewEvent::new(
            "tenant.settings_changed",
            format!("tenant/{}", scope.tenant()),
            &json!({ "settings": settings }),
        ));
        scope.invalidate(Invalidation::Tenant(scope.tenant()));
    }
    Ok(settings)
}

async fn save(scope: Scope<'_>, settings: &str) -> Result<(), StoreError> {
    let mut query = Query::update();
    query.table(tenants::Entity).value(tenants::Column::Settings, settings);
    query.and_where(tenants::Column::Id.eq(scope.tenant().uuid()));
    scope.execute(&query).await?;
    Ok(())
}

/// By its form: the list of zones changes several times a year, and whoever computes with a zone brings a list along.
fn is_time_zone(zone: &str) -> bool {
    let part = |part: &str| {
        part.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    let parts = zone.split('/').count();
    zone == "UTC" || (zone.len() <= 64 && (2..=3).contains(&parts) && zone.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::is_time_zone;

    #[test]
    fn zones_have_an_area_and_a_place() {
        for good in ["UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+5"] {
            assert!(is_time_zone(good), "{good}");
        }
        for bad in [
            "",
            "Vienna",
            "+02:00",
            "Europe/",
            "/Vienna",
            "Europe/Wien\n",
            "a/b/c/d",
            "../etc/passwd",
            "Europe/Vi enna",
        ] {
            assert!(!is_time_zone(bad), "{bad}");
        }
    }
}
