//! One connection of HTTP/1.1 without TLS: prepared bytes out, answers in.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::answer::{Answer, Answered};
use super::lane::Lane;
use super::turns::Ticket;
use crate::http::{ErrorClass, Failure};

pub(super) struct Wire {
    tcp: TcpStream,
    answer: Answer,
    /// What the socket has not taken yet of the request under way.
    unsent: Vec<u8>,
    write_error: Option<io::Error>,
    /// Set rarely: it is moved only once it fires before the request's time is over.
    timer: Pin<Box<Sleep>>,
    expires: Instant,
    to_head: bool,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, to_head: bool, timeout: Duration) -> Self {
        let expires = Instant::now() + timeout;
        Self {
            tcp,
            answer: Answer::default(),
            unsent: Vec::new(),
            write_error: None,
            timer: Box::pin(tokio::time::sleep_until(expires.into())),
            expires,
            to_head,
        }
    }

    /// Waits for the next request; an error when the server closes the connection meanwhile. `Ok(None)` when there is no more.
    pub(super) async fn wait(&mut self, id: usize, lane: &Lane) -> Result<Option<Ticket>, ErrorClass> {
        poll_fn(|cx| {
            if let Poll::Ready(ticket) = lane.poll_take(id, cx) {
                return Poll::Ready(Ok(ticket));
            }
            // Nothing is under way, so anything that comes is the end.
            let mut byte = [0];
            match Pin::new(&mut self.tcp).poll_read(cx, &mut ReadBuf::new(&mut byte)) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(_) => Poll::Ready(Err(ErrorClass::Closed)),
            }
        })
        .await
    }

    /// Sends one request and reads its answer.
    pub(super) async fn exchange(&mut self, ticket: &Ticket, lane: &Lane) -> Result<Answered, ErrorClass> {
        let sent = self.send(ticket, lane);
        let (at, outcome) = match sent {
            Ok(at) => (at, poll_fn(|cx| self.poll(cx, lane)).await),
            Err(class) => (Instant::now(), Err(class)),
        };
        let now = Instant::now();
        lane.ended(ticket, now.saturating_duration_since(at), now, outcome.map(|answered| answered.status));
        outcome
    }

    /// Writes as much of the request as the socket takes now; when that began.
    fn send(&mut self, ticket: &Ticket, lane: &Lane) -> Result<Instant, ErrorClass> {
        let mut source = lane.source.borrow_mut();
        let message = source.message(ticket.index).map_err(|_| ErrorClass::Other);
        let at = Instant::now();
        lane.sent(ticket, at);
        let message = message?;
        self.expires = at + lane.timeout;
        match self.tcp.try_write(message) {
            Ok(n) => self.unsent.extend_from_slice(&message[n..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unsent.extend_from_slice(message),
            Err(error) => self.write_error = Some(error),
        }
        lane.tally.borrow_mut().bytes_sent += message.len() as u64;
        Ok(at)
    }

    fn poll(&mut self, cx: &mut Context<'_>, lane: &Lane) -> Poll<Result<Answered, ErrorClass>> {
        lane.works();
        self.poll_unsent(cx);
        if let Poll::Ready(outcome) = self.poll_answer(cx, lane) {
            return Poll::Ready(outcome);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.expires {
                return Poll::Ready(Err(ErrorClass::Timeout));
            }
            self.timer.as_mut().reset(self.expires.into());
        }
        Poll::Pending
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.tcp).poll_write(cx, &self.unsent) {
                Poll::Pending => return,
                Poll::Ready(Ok(n)) => drop(self.unsent.drain(..n)),
                Poll::Ready(Err(error)) => {
                    // The server may have answered before it closed.
                    self.write_error = Some(error);
                    self.unsent.clear();
                }
            }
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, lane: &Lane) -> Poll<Result<Answered, ErrorClass>> {
        let mut buffer = lane.buffer.borrow_mut();
        loop {
            let mut read = ReadBuf::new(&mut buffer);
            let n = match Pin::new(&mut self.tcp).poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.end(Some(error)))),
                Poll::Ready(Ok(())) => read.filled().len(),
            };
            if n == 0 {
                return Poll::Ready(self.answer.close().ok_or_else(|| self.end(None)));
            }
            lane.tally.borrow_mut().bytes_received += n as u64;
            match self.answer.feed(read.filled(), self.to_head) {
                Err(_malformed) => return Poll::Ready(Err(ErrorClass::Protocol)),
                Ok(None) => {}
                Ok(Some(mut answered)) => {
                    answered.reusable &= self.unsent.is_empty() && self.write_error.is_none();
                    return Poll::Ready(Ok(answered));
                }
            }
        }
    }

    /// Why there is no answer: what the write said, else what the read says, else that it was the end.
    fn end(&mut self, read_error: Option<io::Error>) -> ErrorClass {
        self.write_error.take().or(read_error).map_or(ErrorClass::Closed, |error| Failure::from(error).class)
    }
}
