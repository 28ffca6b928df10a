//! Refusals that tonic makes before a handler runs, given our tags: too large a message, and bytes that are no message.

use std::convert::Infallible;

use countersign_types::Tag;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{BoxFuture, Context, Poll, Service, http},
    server::NamedService,
};

use crate::errors;

/// A generated server whose every refusal carries a tag. Handlers never answer `OUT_OF_RANGE` or `INTERNAL` themselves.
#[derive(Debug, Clone)]
pub struct Tagged<S>(pub S);

impl<S: NamedService> NamedService for Tagged<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Tagged<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map(tag) })
    }
}

fn tag(response: http::Response<Body>) -> http::Response<Body> {
    let status = Status::from_header_map(response.headers());
    let untagged = status.filter(|status| errors::tag_of(status).is_none());
    match untagged.as_ref().map(Status::code) {
        Some(Code::OutOfRange) => {
            errors::status(Tag::MessageTooLarge, "the message is over its size bound").into_http()
        }
        Some(Code::Internal) => errors::status(Tag::MessageInvalid, "the bytes are not the message").into_http(),
        Some(_) | None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_untagged_refusals_of_the_framework_are_changed() {
        let after = |status: Status| Status::from_header_map(tag(status.into_http()).headers()).unwrap();
        assert_eq!(
            errors::tag_of(&after(Status::out_of_range("m"))),
            Some(Tag::MessageTooLarge)
        );
        assert_eq!(errors::tag_of(&after(Status::internal("m"))), Some(Tag::MessageInvalid));
        assert_eq!(after(Status::unimplemented("m")).code(), Code::Unimplemented);
        let ours = errors::status(Tag::WithdrawalNotFound, "m");
        assert_eq!(errors::tag_of(&after(ours)), Some(Tag::WithdrawalNotFound));
        assert!(Status::from_header_map(tag(http::Response::new(Body::empty())).headers()).is_none());
    }
}
