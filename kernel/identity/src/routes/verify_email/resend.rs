//! POST auth/verify-email/resend: the mail that asks the owner of an address, once more.

use axum::extract::State;
use plinth_core::api::auth::MailRequested;
use plinth_gateway::{Accepted, Done, Endpoint, Person, endpoint::post};

use crate::{
    Identity,
    accounts::{
        passwords::even_time::EvenTime,
        profile::Oneself,
        verify::{self, ResendError as Error},
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/verify-email/resend", handler)
        .summary("Send the mail that confirms your address again")
        .description(
            "It goes to the new address where a change waits for its confirmation. The link of the mail before stops \
             working. The answer is the same where nothing waits to be confirmed.",
        )
        .takes_credentials()
}

async fn handler(person: Person, State(identity): State<Identity>) -> Result<Done<Accepted<MailRequested>>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let even = EvenTime::begin();
    let tx = person.change_system().await?;
    verify::resend(&identity, &tx, oneself).await?;
    let message = "if an address waits to be confirmed, a mail is on its way to it".into();
    let done = person.commit_system(tx, Accepted(MailRequested { message })).await?;
    even.wait().await;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::apps;

    #[tokio::test]
    async fn the_newest_mail_counts() {
        for test in apps().await {
            let owner = test.owner().await;
            let resend = || test.app.post("/api/v1/auth/verify-email/resend").token(&owner.token).send();
            let verify =
                |token: String| test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": token })).send();
            let (_, first) = test.mail_to(&owner.email).await;
            resend().await.expect(202);
            let (purpose, second) = test.mail_to(&owner.email).await;
            assert_eq!(purpose, "verify_email");
            verify(first).await.refused(422, "one_time_token_invalid");
            verify(second.clone()).await.expect(204);
            resend().await.expect(202);
            assert_eq!(test.mail_to(&owner.email).await.1, second, "nothing waits, so nothing is sent");
        }
    }

    #[tokio::test]
    async fn nobody_in_particular_gets_no_mail() {
        for test in apps().await {
            let request = test.app.post("/api/v1/auth/verify-email/resend");
            request.send().await.refused(401, "authentication_needed");
        }
    }
}
