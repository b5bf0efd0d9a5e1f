//! Reloads, tabs, and networks and servers that go and come back.

use browser::{Browser, Proxy};
use support::Local;

use crate::{address, say, shown, stored, tab, tab_at, until_shown, until_state};

#[tokio::test]
async fn what_was_queued_survives_a_reload() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let network = Proxy::start(address(&chat)).await;
    let url = format!("{}?userId=alice&with=bob&ws=ws://{}/prod", chat.page(), network.address());
    let alice = tab_at(&browser.person().await, &url, "bob").await;
    say(&alice, "1").await;
    until_state(&alice, "sent").await;
    network.cut(true);
    alice.until("chat.connection.state !== 'online'").await;
    for text in ["2", "3"] {
        say(&alice, text).await;
    }
    until_shown(&alice, &["1", "2", "3"]).await;
    until_state(&alice, "queued").await;
    alice.until("!document.querySelector('#notice').hidden").await;
    alice.reload().await;
    until_shown(&alice, &["2", "3"]).await;
    network.cut(false);
    alice.value("chat.connect()").await;
    until_shown(&alice, &["1", "2", "3"]).await;
    until_state(&alice, "sent").await;
    assert_eq!(stored(&chat, "alice", "bob").await, ["1", "2", "3"]);
    alice.reload().await;
    until_shown(&alice, &["1", "2", "3"]).await;
    chat.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_and_starts_in_the_middle_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::start().await;
    let chat = Local::start_in(folder.path()).await;
    let port = address(&chat).port();
    let (one, other) = (browser.person().await, browser.person().await);
    let (alice, bob) = (tab(&one, &chat, "alice", "bob").await, tab(&other, &chat, "bob", "alice").await);
    say(&alice, "before").await;
    until_shown(&bob, &["before"]).await;
    chat.stop().await;
    for page in [&alice, &bob] {
        page.until("chat.connection.state !== 'online'").await;
    }
    say(&alice, "meanwhile").await;
    until_state(&alice, "queued").await;
    let storage = ws_local::dynamodb::Storage::Directory(folder.path().to_owned());
    let chat = Local::start_with(|options| (options.port, options.storage) = (port, storage)).await;
    until_shown(&bob, &["before", "meanwhile"]).await;
    say(&bob, "after").await;
    for page in [&alice, &bob] {
        until_shown(page, &["before", "meanwhile", "after"]).await;
    }
    chat.stop().await;
}

#[tokio::test]
async fn a_network_that_is_cut_on_both_sides_joins_what_both_wrote() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let network = Proxy::start(address(&chat)).await;
    let at = |me, peer| format!("{}?userId={me}&with={peer}&ws=ws://{}/prod", chat.page(), network.address());
    let alice = tab_at(&browser.person().await, &at("alice", "bob"), "bob").await;
    let bob = tab_at(&browser.person().await, &at("bob", "alice"), "alice").await;
    say(&alice, "before").await;
    until_shown(&bob, &["before"]).await;
    // Chromium leaves open sockets alone when it is told to be offline: the wire is cut too.
    for page in [&alice, &bob] {
        page.cut(true).await;
    }
    network.cut(true);
    for (page, text) in [(&alice, "from alice"), (&bob, "from bob")] {
        page.until("chat.connection.state !== 'online'").await;
        for number in 1..=3 {
            say(page, &format!("{text} {number}")).await;
        }
        until_state(page, "queued").await;
    }
    network.cut(false);
    // The event `online` brings each back, without a wait.
    for page in [&alice, &bob] {
        page.cut(false).await;
    }
    for page in [&alice, &bob] {
        page.until(
            "document.querySelectorAll('#log .message').length === 7 && !document.querySelector('[data-state=queued]')",
        )
        .await;
    }
    let whole = stored(&chat, "alice", "bob").await;
    assert_eq!(whole.len(), 7);
    for page in [&alice, &bob] {
        assert_eq!(shown(page).await, serde_json::json!(whole));
    }
    for name in ["from alice", "from bob"] {
        let own: Vec<_> = whole.iter().filter_map(|text| text.as_str()).filter(|text| text.starts_with(name)).collect();
        assert_eq!(own, [1, 2, 3].map(|number| format!("{name} {number}")));
    }
    chat.stop().await;
}

#[tokio::test]
async fn two_tabs_of_one_person_show_the_same_and_send_each_message_once() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let network = Proxy::start(address(&chat)).await;
    let url = format!("{}?userId=alice&with=bob&ws=ws://{}/prod", chat.page(), network.address());
    let person = browser.person().await;
    let (left, right) = (tab_at(&person, &url, "bob").await, tab_at(&person, &url, "bob").await);
    say(&left, "from the left").await;
    until_shown(&right, &["from the left"]).await;
    network.cut(true);
    for tab in [&left, &right] {
        tab.until("chat.connection.state !== 'online'").await;
    }
    let mut texts = vec!["from the left".to_owned()];
    for number in 0..6 {
        let tab = [&left, &right][number % 2];
        texts.push(format!("{number}"));
        say(tab, &format!("{number}")).await;
        for tab in [&left, &right] {
            until_shown(tab, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
    network.cut(false);
    for tab in [&left, &right] {
        tab.value("chat.connect()").await;
    }
    for tab in [&left, &right] {
        tab.until("!document.querySelector('[data-state=queued]') && chat.conversation('bob').pending.length === 0")
            .await;
        assert_eq!(shown(tab).await, serde_json::json!(texts));
    }
    assert_eq!(stored(&chat, "alice", "bob").await, texts);
    chat.stop().await;
}
