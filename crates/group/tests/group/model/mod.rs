//! Random interleavings of several users and processes that send, change messages, and change the group, with the real
//! functions; checked against what every interleaving must give. Transactions are applied item by item, responses are lost,
//! and functions are killed.

mod check;
mod plan;
mod user;
mod world;

use std::sync::Mutex;

use futures_util::future::join_all;
use proptest::{prelude::*, sample::Index};
use support::strategies::cases;

use check::check;
use plan::{Step, USERS, steps};
use user::User;
use world::World;

async fn play(history: &str, plan: &[Vec<Step>], picks: &[Index]) {
    let world = World::start(history).await;
    world.hold_calls(picks.to_vec());
    let running = Mutex::new(plan.len());
    let users = plan.iter().enumerate().map(async |(number, steps)| {
        let mut user = User::new(&world, number);
        user.run(steps).await;
        *running.lock().unwrap() -= 1;
        world.wake();
        user
    });
    let (users, ()) = tokio::join!(join_all(users), world.schedule(&running, picks));
    world.release_all();
    check(&world, users).await;
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn entries_are_written_pushed_and_read_exactly_by_the_members_at_them(
        history in prop_oneof![Just("all"), Just("joined")],
        plan in proptest::collection::vec(proptest::collection::vec(steps(), 1..6), 2..=USERS.len()),
        picks in proptest::collection::vec(any::<Index>(), 60),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(history, &plan, &picks));
    }
}
