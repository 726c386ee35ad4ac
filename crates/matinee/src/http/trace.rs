//! The id of a request: it stands in the answer, in every problem and in every line of the log.

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request that this task serves.
pub(super) fn current() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_else(|_| "none".to_owned())
}

/// Serves a request under its id.
pub(super) async fn scope<T>(id: String, serving: impl Future<Output = T>) -> T {
    REQUEST_ID.scope(id, serving).await
}
