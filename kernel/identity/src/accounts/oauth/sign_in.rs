//! The second half: from the provider's code to a session here.

use plinth_core::{
    IdentityId, NewEvent, SYSTEM_TENANT, TenantId, UserId,
    api::auth::{OauthCallback, SignedIn},
    ports::Mail,
};
use plinth_store::{Error as StoreError, SystemTx, mail};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{
    Error,
    attempt::{self, Proof, Ticket, Waiting, Wish},
    decide::{Decision, decide},
    second_factor::{self, Verdict},
};
use crate::{
    Identity, ProviderConfig,
    accounts::{
        login::choose_tenant,
        register::{create_tenant, create_user, join, send_verification},
    },
    entities::{linked_identities, tenants, users},
    oidc::Callback,
    permissions::OWNER,
    sessions::{self, Device},
    view,
};

/// A sign-in that the provider has vouched for.
pub struct SignIn<'a> {
    ticket: Ticket<'a>,
    provider: &'a ProviderConfig,
    totp: Option<&'a str>,
    wish: Wish,
    proof: Proof,
    /// The proof waited for a code and is used up by this.
    kept: bool,
}

/// Redeems the code at the provider, so no transaction may be open. What waited for a code needs no provider any more.
pub async fn verify<'a>(
    identity: &Identity,
    provider: &'a ProviderConfig,
    ticket: Ticket<'a>,
    request: &'a OauthCallback,
    waiting: Waiting,
) -> Result<SignIn<'a>, Error> {
    let totp = request.totp.as_deref();
    let (wish, nonce, pkce_verifier) = match waiting {
        Waiting::ForCode { wish, proof } => return Ok(SignIn { ticket, provider, totp, wish, proof, kept: true }),
        Waiting::ForProvider { wish, nonce, verifier } => (wish, nonce, verifier),
    };
    let callback = Callback {
        code: ticket.code,
        iss: request.iss.as_deref(),
        nonce: &nonce,
        pkce_verifier: &pkce_verifier,
        redirect_uri: &wish.redirect_uri,
    };
    let found = identity.oidc().finish(&provider.provider, &callback, identity.world().now().seconds()).await;
    let proof = found.map_err(|error| Error::of_provider(ticket.provider, error))?.into();
    Ok(SignIn { ticket, provider, totp, wish, proof, kept: false })
}

/// What a sign-in comes to. A refusal changes something too: it must be committed.
pub enum Outcome {
    SignedIn(Box<SignedIn>),
    Refused(Error),
}

pub async fn sign_in(identity: &Identity, tx: &SystemTx, asked: SignIn<'_>, device: Device) -> Result<Outcome, Error> {
    let SignIn { ticket, provider, totp, wish, proof, kept } = asked;
    let decision = decide(identity, tx, provider, &proof, &wish).await?;
    let method = format!("oauth:{}", ticket.provider);
    let mut methods = vec![method.as_str()];
    if let Decision::Known(user) | Decision::Link(user) = &decision {
        match second_factor::check(identity, tx, user, totp).await? {
            Verdict::NotSetUp => {}
            Verdict::Passed => methods.push("totp"),
            Verdict::Refused(error) => {
                attempt::keep_proof(tx, ticket, &proof, wish).await?;
                return Ok(Outcome::Refused(error));
            }
        }
    }
    if kept && !attempt::spend_proof(tx, ticket).await? {
        return Err(Error::StateInvalid);
    }
    let (user, tenant) = match decision {
        Decision::Known(user) => (*user, None),
        Decision::Link(user) => {
            link(tx, ticket.provider, &user, &proof).await?;
            tell_of_link(tx, provider, &user).await?;
            (*user, None)
        }
        Decision::Create { email } => create(identity, tx, ticket.provider, provider, &email, &proof, wish).await?,
    };
    let id = UserId::from_uuid(user.id);
    let tenant = match tenant {
        Some(tenant) => Some(tenant),
        None => choose_tenant(tx, id, None).await?,
    };
    let home = tenant.as_ref().map(|tenant| TenantId::from_uuid(tenant.id));
    let opened = sessions::open(identity, tx, id, home, &methods, device).await?;
    let told = json!({ "user": id, "session": opened.session, "methods": methods });
    tx.in_tenant(home.unwrap_or(SYSTEM_TENANT)).emit(NewEvent::new("user.signed_in", format!("user/{id}"), &told));
    let tenant = tenant.as_ref().map(view::tenant).transpose()?;
    Ok(Outcome::SignedIn(Box::new(SignedIn { user: view::user(&user), tenant, tokens: opened.tokens })))
}

/// A person without a password, and the tenant they asked for.
async fn create(
    identity: &Identity,
    tx: &SystemTx,
    name: &str,
    provider: &ProviderConfig,
    email: &str,
    proof: &Proof,
    wish: Wish,
) -> Result<(users::Model, Option<tenants::Model>), Error> {
    let (id, mut user) = create_user(tx, email, &display_name(proof, email), None).await?;
    if provider.trust_email && proof.email_verified {
        user.email_verified_at = Some(tx.now().millis());
        tx.update::<users::Entity>()
            .col_expr(users::Column::EmailVerifiedAt, Expr::value(user.email_verified_at))
            .filter(users::Column::Id.eq(user.id))
            .exec(tx)
            .await
            .map_err(StoreError::from)?;
    } else {
        send_verification(identity, tx, id, &user.email).await?;
    }
    link(tx, name, &user, proof).await?;
    let Some(wanted) = wish.tenant else { return Ok((user, None)) };
    let (tenant, row) = create_tenant(tx, &wanted).await?;
    join(tx, tenant, id, &[OWNER.to_owned()]).await?;
    Ok((user, Some(row)))
}

/// What the provider calls the person, cut to what a name may be here; without it the part before the @.
fn display_name(proof: &Proof, email: &str) -> String {
    let clean = |text: &str| text.chars().filter(|char| !char.is_control()).collect::<String>();
    let cut = |text: &str| clean(text).trim().chars().take(120).collect::<String>().trim_end().to_owned();
    let given = proof.name.as_deref().map(cut).filter(|name| !name.is_empty());
    given.unwrap_or_else(|| cut(email.split('@').next().unwrap_or(email)))
}

async fn link(tx: &SystemTx, provider: &str, user: &users::Model, proof: &Proof) -> Result<(), Error> {
    let id: IdentityId = tx.mint();
    let row = linked_identities::ActiveModel {
        id: Set(id.uuid()),
        user_id: Set(user.id),
        provider: Set(provider.to_owned()),
        issuer: Set(proof.issuer.clone()),
        subject: Set(proof.subject.clone()),
        email: Set(proof.email.clone()),
        created_at: Set(tx.now().millis()),
    };
    tx.insert(row).await.map_err(|error| if error.is_duplicate() { Error::IdentityTaken } else { error.into() })?;
    let user = UserId::from_uuid(user.id);
    let told = json!({ "user": user, "identity": id, "provider": provider });
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("identity.linked", format!("user/{user}"), &told));
    Ok(())
}

async fn tell_of_link(tx: &SystemTx, provider: &ProviderConfig, user: &users::Model) -> Result<(), StoreError> {
    let name = &provider.display_name;
    let mail = Mail {
        tenant: None,
        to: user.email.clone(),
        subject: format!("{name} can sign you in now"),
        text: format!(
            "Your account is linked to an account at {name}: whoever can use that account can sign in to yours.\n\n\
             If it was not you, sign in, remove the link from your profile and change your password.\n"
        ),
        purpose: "identity_linked",
        token: None,
    };
    mail::queue(tx, mail).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_person_has_a_name_that_is_allowed_here() {
        let named = |name: Option<&str>| {
            let name = name.map(str::to_owned);
            let (issuer, subject) = (String::new(), String::new());
            display_name(
                &Proof { issuer, subject, email: None, email_verified: false, name },
                "ada.lovelace@example.com",
            )
        };
        assert_eq!(named(Some(" Ada\u{7}\n Lovelace ")), "Ada Lovelace");
        for nothing in [None, Some(""), Some(" \t ")] {
            assert_eq!(named(nothing), "ada.lovelace");
        }
        assert_eq!(named(Some(&"ä".repeat(500))).chars().count(), 120);
    }
}
