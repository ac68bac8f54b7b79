//! Lists as streams of their items.

use std::collections::VecDeque;

use futures::stream::{self, BoxStream, StreamExt};
use http::Method;
use plinth_api::Page;
use serde::de::DeserializeOwned;

use crate::{Client, Error, Meta, Query, Reply, RequestBuilder, Result, request::Json};

/// The items of a list, page after page. A page is fetched when its first item is asked for.
pub type Pages<T> = BoxStream<'static, Result<T>>;

impl Client {
    /// One page.
    pub fn page<T: DeserializeOwned>(&self, path: &str, query: impl Into<Query>) -> RequestBuilder<Json<Page<T>>> {
        self.request(Method::GET, path).queries(query).typed()
    }

    /// All items from where `query` starts. With `before` or `anchor=last` the pages are read backwards; the items of each
    /// page stay in the list's order. After an error the stream is over.
    pub fn pages<T>(&self, path: &str, query: impl Into<Query>) -> Pages<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let query = query.into();
        let backwards = query.get("before").is_some() || query.get("anchor") == Some("last");
        let reader = Reader {
            client: self.clone(),
            path: path.to_owned(),
            cursor: if backwards { "before" } else { "after" },
            next: Some(query),
            items: VecDeque::new(),
        };
        stream::try_unfold(reader, |mut reader| async move { Ok(reader.item().await?.map(|item| (item, reader))) })
            .boxed()
    }
}

struct Reader<T> {
    client: Client,
    path: String,
    /// The parameter that takes the cursor.
    cursor: &'static str,
    /// What to ask for when the items are used up; nothing at the end of the list.
    next: Option<Query>,
    items: VecDeque<T>,
}

impl<T: DeserializeOwned + Send + 'static> Reader<T> {
    async fn item(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            let Some(query) = self.next.take() else { return Ok(None) };
            let Reply { body: page, status, request_id, .. } = self.client.page::<T>(&self.path, query.clone()).await?;
            self.items = page.data.into();
            let cursor = if self.cursor == "before" { page.prev } else { page.next };
            if page.has_more {
                // Ending here would pass a part off as the whole, and a circle would be read for ever.
                let broken = |reason| Error::decode(reason, Meta { status, request_id, ..Meta::default() });
                let Some(cursor) = cursor else { return Err(broken("the page has more but gives no cursor")) };
                if query.get(self.cursor) == Some(cursor.as_str()) {
                    return Err(broken("the page says that it follows itself"));
                }
                self.next = Some(query.without("anchor").set(self.cursor, cursor));
            }
        }
    }
}
