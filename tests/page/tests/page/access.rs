//! Who may connect, with what, from where; and who can use the page at all.

use std::{fs, path::Path};

use browser::{Browser, Page};
use serde_json::json;
use support::{Local, LocalIssuer};

use crate::{free_port, say, tab, until_shown, until_state};

#[tokio::test]
async fn only_a_page_of_an_allowed_origin_connects() {
    let (port, browser) = (free_port(), Browser::start().await);
    let allowed = format!("http://chat.test:{port}");
    let chat = Local::start_with(|options| {
        options.port = port;
        options.parameters.insert("AllowedOrigins".to_owned(), allowed.clone());
    })
    .await;
    let page = browser.person().await.open(&format!("{allowed}/?userId=alice&with=bob")).await;
    page.until("chat.connection.state === 'online'").await;
    // A page over plain http: no randomUUID, no Web Locks.
    assert_eq!(page.value("isSecureContext").await, false);
    say(&page, "Hello").await;
    until_shown(&page, &["Hello"]).await;

    let foreign = browser.person().await.open(&format!("http://evil.test:{port}/?userId=alice&with=bob")).await;
    foreign.until("chat.connection.state === 'refused'").await;
    foreign.until("document.querySelector('#notice').innerText.includes('does not let you in')").await;
    assert_eq!(foreign.value("chat.conversation('bob').messages.length").await, 0);
    chat.stop().await;
}

#[tokio::test]
async fn tokens_are_replaced_before_and_after_they_expire() {
    let (browser, folder) = (Browser::start().await, tempfile::tempdir().unwrap());
    let issuer = LocalIssuer::start(folder.path()).await;
    let chat = Local::start_with(|options| issuer.trusted_by(options)).await;
    for (times, what) in [
        ("{ early: 1000, answer: 500 }", "renewed before it expires"),
        ("{ early: -3600000, answer: 500 }", "replaced when the service says that it has expired"),
    ] {
        let page = browser.person().await.open(&format!("{}example.html", chat.page())).await;
        let talk = format!(
            "(async () => {{
              const {{ ChatClient }} = await import('/chat-client.js'), tokens = [{}, {}], states = [];
              let asked = 0, sent = 0;
              const chat = new ChatClient({{ url: '/prod', token: async () => tokens[Math.min(asked++, 1)], times: {times} }});
              chat.addEventListener('connection', (event) => states.push(event.detail.state));
              while (asked < 2 || chat.connection.state !== 'online') {{ await chat.send('bob', `${{sent}}`); sent += 1; }}
              await chat.send('bob', 'last');
              const all = [];
              for await (const page of chat.history('bob')) all.unshift(...page);
              chat.close();
              return [chat.userId, all.slice(-1)[0].content, states.includes('refused') || states.includes('displaced')];
            }})()",
            json!(issuer.token("alice", 6)),
            json!(issuer.token("alice", 3600))
        );
        assert_eq!(page.value(&talk).await, json!(["alice", "last", false]), "{what}");
    }
    chat.stop().await;
}

#[tokio::test]
async fn a_token_is_taken_from_the_address_or_asked_for_where_a_name_is_not_enough() {
    let (browser, folder) = (Browser::start().await, tempfile::tempdir().unwrap());
    let issuer = LocalIssuer::start(folder.path()).await;
    let chat = Local::start_with(|options| issuer.trusted_by(options)).await;
    let address = format!("{}?with=bob#token={}", chat.page(), issuer.token("alice", 3600));
    let alice = browser.person().await.open(&address).await;
    let is_in = "chat.userId === 'alice' && chat.connection.state === 'online' && chat.conversation('bob').loaded";
    alice.until(is_in).await;
    assert_eq!(alice.value("location.search + location.hash").await, "?with=bob");
    assert_eq!(alice.value("document.querySelector('#me').textContent").await, "alice");
    say(&alice, "Hello").await;
    until_state(&alice, "sent").await;
    alice.reload().await;
    alice.until(is_in).await;
    until_shown(&alice, &["Hello"]).await;

    let other = browser.person().await.open(&format!("{}?userId=bob", chat.page())).await;
    other.until("document.activeElement.id === 'token'").await;
    other.write("nonsense").await;
    other.click("#pass button").await;
    other.until("document.querySelector('#pass-error').textContent.includes('claim')").await;
    other.write(&issuer.token("bob", 3600)).await;
    other.click("#pass button").await;
    other.until("chat.userId === 'bob' && chat.connection.state === 'online'").await;
    other.until("document.querySelector('#list button')").await;
    other.click("#list button").await;
    until_shown(&other, &["Hello"]).await;
    assert_eq!(other.value("location.search + location.hash").await, "?with=alice");

    // Who is in the middle of a conversation keeps it on the screen.
    let third = browser.person().await.open(&format!("{}?userId=carol&with=bob", chat.page())).await;
    third.until("document.querySelector('#notice').innerText.includes('does not let you in')").await;
    third.until("document.querySelector('#use-token').offsetParent !== null").await;
    let hint = third.value("document.querySelector('#hint').textContent").await;
    assert_eq!(hint, "Earlier messages appear once you are connected.", "nothing is said to load");
    assert_eq!(faults(&third).await, json!([]));
    third.click("#use-token").await;
    third.until("document.activeElement.id === 'token'").await;
    third.click("#back-to-name").await;
    third.until("document.querySelector('#peer').offsetParent !== null").await;
    assert_eq!(third.value("document.querySelector('#peer').textContent").await, "bob");
    chat.stop().await;

    // A service that only was in trouble is gone on with.
    let chat = Local::start().await;
    let fourth = browser.person().await.open(&format!("{}?userId=dan", chat.page())).await;
    fourth.until("chat.connection.state === 'online'").await;
    fourth.value("document.querySelector('#use-token').click(), chat.dispatchEvent(new Event('connection'))").await;
    fourth.until("document.querySelector('#pass').hidden && !document.querySelector('#app').hidden").await;
    chat.stop().await;
}

/// What axe finds that is serious.
async fn faults(page: &Page) -> serde_json::Value {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/web/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(&axe)
        .unwrap_or_else(|error| panic!("{}: {error}; `make web-tools` installs it", axe.display()));
    page.value(&format!("{axe}; 0")).await;
    page.value(
        "axe.run().then(({ violations }) => violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
          .map(({ id, nodes }) => [id, nodes.map(({ html, any }) => [html.slice(0, 200), any[0]?.message])]))",
    )
    .await
}

#[tokio::test]
async fn axe_finds_nothing_serious() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let person = browser.person().await;
    let bob = chat.connect("bob").await;
    for text in ["Hello, Alice!", "See https://example.com", "🎉"] {
        bob.send("alice", text, json!({})).await.unwrap();
    }
    let alice = tab(&person, &chat, "alice", "bob").await;
    say(&alice, "Thank you: https://example.com").await;
    alice.until("document.querySelectorAll('#log .message').length === 4").await;
    chat.connect("carol").await.send("alice", "And me?", json!({})).await.unwrap();
    alice.until("document.querySelector('#list .mark')").await;
    let join = person.open(&format!("{}?userId=%20", chat.page())).await;
    join.value("sessionStorage.clear()").await;
    join.go(chat.page()).await;
    join.until("document.activeElement.id === 'name'").await;
    let empty = person.open(&format!("{}?userId=zoe", chat.page())).await;
    empty.until("chat.connection.state === 'online'").await;
    let token = person.open(&format!("{}?userId=zoe", chat.page())).await;
    token.value("document.querySelector('#use-token').click()").await;
    let pages = [("busy", &alice), ("join", &join), ("empty", &empty), ("token", &token)];
    let check = async |named: &str| {
        for (name, page) in pages {
            for (width, is_dark) in [(1440, false), (390, true)] {
                page.come_to_front().await;
                page.looks_like(width, 900, is_dark).await;
                assert_eq!(faults(page).await, json!([]), "{named} {name}, {width} wide, dark: {is_dark}");
            }
        }
    };
    check("connected").await;
    chat.stop().await;
    alice.until("!document.querySelector('#notice').hidden").await;
    say(&alice, "Are you there?").await;
    check("without a connection").await;
}
