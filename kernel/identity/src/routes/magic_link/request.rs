//! POST auth/magic-link: a mail with a link that signs in.

use axum::extract::State;
use plinth_core::api::auth::{MailRequested, MailTo};
use plinth_gateway::{Accepted, Body, Done, Endpoint, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::{
        magic_link,
        passwords::{
            even_time::EvenTime,
            forgot::{self, Error},
        },
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/magic-link", handler)
        .summary("Ask for a mail with a link that signs in")
        .description(
            "The answer is the same, and takes the same time, whether an account has this address or not. The link of the \
             mail before stops working.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    Body(request): Body<MailTo>,
) -> Result<Done<Accepted<MailRequested>>, Error> {
    forgot::check(&request.email)?;
    let even = EvenTime::begin();
    let tx = visitor.change_system().await?;
    magic_link::request(&identity, &tx, &request.email).await?;
    let message = "if an account has this address, a mail with a link is on its way to it".into();
    let done = visitor.commit_system(tx, Accepted(MailRequested { message })).await?;
    even.wait().await;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use crate::{accounts::passwords::even_time::LEAST, routes::sessions::testing::purposes_to, testing::apps};

    #[tokio::test]
    async fn the_answer_does_not_tell_whether_there_is_an_account() {
        for test in apps().await {
            let owner = test.owner().await;
            let mut answers = Vec::new();
            for email in [owner.email.as_str(), "nobody@example.com"] {
                let begun = Instant::now();
                let reply = test.app.post("/api/v1/auth/magic-link").json(&json!({ "email": email })).send().await;
                assert!(begun.elapsed() >= LEAST, "{email} was answered after {:?}", begun.elapsed());
                let mut names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
                names.sort();
                answers.push((names, reply.expect(202)));
            }
            assert_eq!(answers[0], answers[1]);
            assert_eq!(purposes_to(&test, &owner.email).await, ["magic_link", "verify_email"]);
            assert!(purposes_to(&test, "nobody@example.com").await.is_empty());
        }
    }
}
