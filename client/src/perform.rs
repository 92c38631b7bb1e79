//! Does outside what the full-screen program asks for, and tells it what came of it.
//!
//! Owns which effect is done where. `files` reads folders and files, on threads of their own so that a slow disk does
//! not stop the screen; `run` leads a send through its life.

mod files;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::{spawn_blocking, spawn_local};

use crate::address::Address;
use crate::app::{Effect, Event, Look};
use crate::balancer::{Balancer, Trouble};
use crate::cause::Cause;
use crate::clock;
use crate::send::Order;

/// A look at the fleet that takes longer is given up.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// The hands of the program.
pub(crate) struct Performer {
    events: UnboundedSender<Event>,
    state: Option<PathBuf>,
    order: watch::Sender<Order>,
}

impl Performer {
    /// Hands that tell what they did to `events` and keep journals in `state`.
    pub(crate) fn new(events: UnboundedSender<Event>, state: Option<PathBuf>) -> Self {
        Self { events, state, order: watch::channel(Order::Run).0 }
    }

    /// Begins what is asked for; it goes on beside the screen.
    pub(crate) fn perform(&mut self, effect: Effect) {
        let events = self.events.clone();
        match effect {
            Effect::List(folder) => beside(events, move || {
                let listed = files::list(&folder);
                Event::Listed(folder, listed)
            }),
            Effect::Look(path) => beside(events, move || {
                let looked = files::look_into(&path);
                Event::Looked(path, looked)
            }),
            Effect::Complete(written, folder) => {
                beside(events, move || Event::Completing(written, files::list(&folder).unwrap_or_default()));
            }
            Effect::Load(path) => beside(events, move || {
                let loaded = files::load(&path);
                Event::Loaded(path, loaded)
            }),
            Effect::Test(address) => drop(spawn_local(async move {
                let look = test(address.clone()).await;
                tell(&events, Event::Tested(address, look));
            })),
            Effect::Send(parcel) => {
                self.order = watch::channel(Order::Run).0;
                let orders = self.order.subscribe();
                let state = self.state.clone();
                drop(spawn_local(async move {
                    let end = run::run(*parcel, state.as_deref(), orders, &events).await;
                    tell(&events, Event::RunEnded(end));
                }));
            }
            Effect::Order(order) => {
                self.order.send_replace(order);
            }
            // The loop ends on this one.
            Effect::Leave(_) => {}
        }
    }
}

/// When nobody takes events any more, the program is over.
fn tell(events: &UnboundedSender<Event>, event: Event) {
    drop(events.send(event));
}

fn beside(events: UnboundedSender<Event>, work: impl FnOnce() -> Event + Send + 'static) {
    drop(spawn_blocking(move || tell(&events, work())));
}

async fn test(address: Address) -> Result<Look, Cause> {
    let balancer = Balancer::new(address)?;
    let began = clock::instant();
    let looked = tokio::time::timeout(LOOK_WITHIN, balancer.fleet()).await;
    let millis = u64::try_from(clock::instant().duration_since(began).as_millis()).unwrap_or(u64::MAX);
    match looked {
        Ok(Ok(fleet)) => Ok(Look { millis, fleet: Some(fleet) }),
        // The balancer of 2020 has no such page; that it answers is what counts.
        Ok(Err(Trouble::Refused(_))) => Ok(Look { millis, fleet: None }),
        Ok(Err(Trouble::Unreachable(cause))) => Err(cause),
        Err(_) => Err(Cause::new(format!("{} does not answer", balancer.address()))),
    }
}
