//! The mail port's queue: mail is written in the transaction of the change that causes it.

use plinth_core::{MailId, api::operations::OutboxMail, ports::Mail};
use sea_orm::{ActiveValue::Set, EntityTrait, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use crate::{
    Error, SystemTx, Work,
    entities::mails::{ActiveModel, Column, Entity, Model},
};

/// What is sealed: the mail carries a one-time token.
#[derive(Serialize, Deserialize)]
struct Content {
    to: String,
    subject: String,
    text: String,
    token: Option<String>,
}

/// Queues a mail; it leaves only if the transaction commits.
#[expect(clippy::disallowed_methods, reason = "the owner of the mail is set from the unit of work")]
pub async fn queue(work: &impl Work, mail: Mail) -> Result<(), Error> {
    let id: MailId = work.store().world().mint();
    let content = Content { to: mail.to, subject: mail.subject, text: mail.text, token: mail.token };
    let plain = serde_json::to_vec(&content).map_err(|error| Error::Inconsistent(error.to_string()))?;
    let row = ActiveModel {
        id: Set(id.uuid()),
        tenant: Set(work.owner().map(plinth_core::Id::uuid)),
        purpose: Set(mail.purpose.into()),
        sealed: Set(work.store().vault().seal(work, &context(id), &plain).await?),
        state: Set("queued".into()),
        created_at: Set(work.store().world().now().millis()),
    };
    Entity::insert(row).exec_without_returning(work).await?;
    Ok(())
}

/// The newest mails, for a development kernel.
pub async fn newest(tx: &SystemTx, limit: u64) -> Result<Vec<OutboxMail>, Error> {
    let rows =
        tx.find::<Entity>().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(tx).await?;
    let mut mails = Vec::with_capacity(rows.len());
    for row in rows {
        mails.push(read(tx, row).await?);
    }
    Ok(mails)
}

async fn read(tx: &SystemTx, row: Model) -> Result<OutboxMail, Error> {
    let id = MailId::from_uuid(row.id);
    let plain = tx.store().vault().open(tx, &context(id), &row.sealed).await?;
    let content: Content = serde_json::from_slice(&plain).map_err(|error| Error::Inconsistent(error.to_string()))?;
    Ok(OutboxMail {
        id,
        to: content.to,
        subject: content.subject,
        text: content.text,
        purpose: row.purpose,
        token: content.token,
        created_at: plinth_core::Timestamp::from_millis(row.created_at),
    })
}

fn context(id: MailId) -> String {
    format!("mails.sealed {id}")
}
