//! Two people, and what they see.

use browser::Browser;
use serde_json::json;
use support::Local;

use crate::{say, shown, tab, until_shown, until_state};

#[tokio::test]
async fn a_fresh_visitor_and_a_second_person_talk() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let (one, other) = (browser.person().await, browser.person().await);
    let alice = one.open(chat.page()).await;
    alice.until("document.activeElement.id === 'name'").await;
    alice.write("alice").await;
    alice.press("Enter").await;
    alice.until("document.querySelector('#demo').offsetParent !== null").await;
    assert_eq!(alice.value("document.querySelector('#demo').innerText.trim()").await, "Be bob in a new tab");
    let second = alice.value("document.querySelector('#demo').href").await;
    let bob = other.open(second.as_str().unwrap()).await;
    bob.until("chat.userId === 'bob' && chat.conversation('alice').loaded").await;
    say(&bob, "Hello, Alice!").await;
    until_shown(&bob, &["Hello, Alice!"]).await;
    until_state(&bob, "sent").await;

    alice
        .until("document.title.startsWith('(1)') && document.querySelector('#list .mark').innerText.startsWith('1')")
        .await;
    alice.click("#list button").await;
    until_shown(&alice, &["Hello, Alice!"]).await;
    alice.until("document.title.startsWith('Chat') && !document.querySelector('#list .mark')").await;
    until_state(&bob, "read").await;
    alice.write("Two\nlines").await;
    alice.press("Enter").await;
    for page in [&alice, &bob] {
        until_shown(page, &["Hello, Alice!", "Two\nlines"]).await;
    }
    alice.reload().await;
    until_shown(&alice, &["Hello, Alice!", "Two\nlines"]).await;
    alice.until("chat.unread === 0 && chat.connection.state === 'online'").await;
    chat.stop().await;
}

#[tokio::test]
async fn contents_stay_text() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let mallory = chat.connect("mallory").await;
    let texts = [
        "<script>window.attacked = 1</script>",
        "<img src=x onerror='window.attacked = 2'>",
        "javascript:window.attacked=3",
        "[click](javascript:window.attacked=4) data:text/html,<script>window.attacked=5</script>",
        "see https://example.com/a?b=<c>. (https://example.com/wiki/A_(b)) HTTP://EXAMPLE.COM, https://",
        "\u{202e}gnp.exe",
    ];
    for text in texts {
        mallory.send("alice", text, json!({})).await.unwrap();
    }
    let name = "<b onclick=alert()>x</b>";
    chat.connect(name).await.send("alice", "From a strange name", json!({})).await.unwrap();
    let alice = tab(&browser.person().await, &chat, "alice", "mallory").await;
    until_shown(&alice, &texts).await;
    let links = alice.value("[...document.querySelectorAll('#log a')].map((a) => [a.href, a.rel, a.target])").await;
    let rel = "noopener noreferrer nofollow";
    assert_eq!(
        links,
        json!([
            ["https://example.com/a?b=", rel, "_blank"],
            ["https://example.com/wiki/A_(b)", rel, "_blank"],
            ["http://example.com/", rel, "_blank"],
        ])
    );
    alice.value(&format!("chat.open({}).then(() => {{}})", json!(name))).await;
    alice
        .until(&format!("[...document.querySelectorAll('#list .name')].some((n) => n.textContent === {})", json!(name)))
        .await;
    let markup =
        "document.querySelectorAll('#app script, #app img, #app b, #app [onclick]').length + (window.attacked ?? 0)";
    assert_eq!(alice.value(markup).await, 0);
    chat.stop().await;
}

#[tokio::test]
async fn names_are_shown_as_they_are_and_refused_with_a_reason() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let names = ["bob\u{200b}", "\u{202e}ecila", "👩\u{200d}🚀", "a\u{a0}b", "alice"];
    for name in names {
        chat.connect(name).await.send("alice", "Hello", json!({})).await.unwrap();
    }
    let person = browser.person().await;
    let page = tab(&person, &chat, "alice", "alice").await;
    page.until("document.querySelectorAll('#list .name').length === 5").await;
    let shown = page.value("[...document.querySelectorAll('#list .name')].map((n) => n.textContent).sort()").await;
    assert_eq!(shown, json!(["[U+202E]ecila", "a[U+00A0]b", "alice (you)", "bob[U+200B]", "👩\u{200d}🚀"]));
    assert_eq!(page.value("document.querySelector('#peer').textContent").await, "alice (you)");

    // Whom the server doesn't know, and nobody writes to, is in no list.
    page.value("localStorage.setItem('chat alice', JSON.stringify(['ghost'])), chat.send('carol', 'Hi'), 0").await;
    page.go(&format!("{}?userId=alice", chat.page())).await;
    page.until("chat.hasInbox && document.querySelectorAll('#list .name').length === 6").await;

    for (search, name, problem) in [
        ("?userId=%20bad", " bad", "white space"),
        (&format!("?userId={}", "%E5%AD%97".repeat(50)), &"字".repeat(50), "at most 42 characters; this one has 50"),
    ] {
        page.go(&format!("{}{search}", chat.page())).await;
        page.until("!document.querySelector('#join').hidden").await;
        assert_eq!(page.value("document.querySelector('#name').value").await, name);
        let error = page.value("document.querySelector('#join-error').textContent").await;
        assert!(error.as_str().unwrap().contains(problem), "{error}");
    }
    chat.stop().await;
}

#[tokio::test]
async fn what_is_too_long_says_by_how_much_and_what_is_long_is_folded() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let page = tab(&browser.person().await, &chat, "alice", "bob").await;
    page.value("document.querySelector('#text').focus()").await;
    page.write(&"x".repeat(16 * 1024 + 100)).await;
    page.until("document.querySelector('#error').textContent.includes('by about 100 characters')").await;
    assert_eq!(page.value("document.querySelector('#send').disabled").await, true);
    page.value("document.querySelector('#text').value = ''").await;
    let long = "One of many lines.\n".repeat(40);
    page.write(long.trim_end()).await;
    page.until("document.querySelector('#error').textContent === ''").await;
    page.press("Enter").await;
    until_state(&page, "sent").await;
    let height = "document.querySelector('#log .message').offsetHeight";
    let folded = page.value(height).await.as_f64().unwrap();
    page.click("#log .more").await;
    let whole = page.value(height).await.as_f64().unwrap();
    assert!(folded < 400.0 && whole > 2.0 * folded, "{folded} and {whole}");
    chat.stop().await;
}

#[tokio::test]
async fn a_thousand_messages_are_scrolled_without_a_jump() {
    let browser = Browser::start().await;
    // Bob writes a year's messages in a few seconds.
    let chat = Local::start_with(|options| {
        options.parameters.insert("MessageBurst".to_owned(), "2000".to_owned());
    })
    .await;
    let bob = chat.connect("bob").await;
    for seq in 0..1_000 {
        bob.send("alice", &format!("Message {}", seq + 1), json!({ "lastSeq": seq })).await.unwrap();
    }
    let alice = tab(&browser.person().await, &chat, "alice", "bob").await;
    alice.until("document.querySelectorAll('#log .message').length >= 50").await;
    // Follows one message while older ones come in above it: it must stay where the reader's eye is.
    let walk = "(async () => {
      const box = document.querySelector('#scroll'), log = document.querySelector('#log');
      let worst = 0, pages = 0;
      while (chat.conversation('bob').low > 1) {
        const before = log.childElementCount;
        box.scrollTop = Math.min(box.scrollTop, box.clientHeight / 2);
        const eye = document.elementFromPoint(box.getBoundingClientRect().x + box.clientWidth / 2 - 200,
          box.getBoundingClientRect().y + 200).closest('.message') ?? log.querySelector('.message:nth-child(4)');
        const at = eye.getBoundingClientRect().y;
        while (log.childElementCount === before) await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        worst = Math.max(worst, Math.abs(eye.getBoundingClientRect().y - at));
        pages += 1;
      }
      return [worst, pages];
    })()";
    let walked = alice.value(walk).await;
    assert!(walked[0].as_f64().unwrap() < 2.0, "a message moved: {walked}");
    let expected: Vec<_> = (1..=1_000).map(|seq| format!("Message {seq}")).collect();
    assert_eq!(shown(&alice).await, json!(expected));

    // Who reads what is old is not torn away by what is new, and is told of it.
    bob.send("alice", "Still there?", json!({})).await.unwrap();
    alice.until("document.querySelector('#latest').innerText.trim() === '1 new'").await;
    let top = alice.value("document.querySelector('#scroll').scrollTop").await.as_f64().unwrap();
    assert!(top < 20_000.0, "{top}");
    alice.click("#latest").await;
    alice.until("document.querySelector('#latest').hidden").await;
    chat.stop().await;
}

#[tokio::test]
async fn the_example_page_talks() {
    let (chat, browser) = (Local::start().await, Browser::start().await);
    let support = chat.connect("support").await;
    support.send("visitor", "How can I help?", json!({})).await.unwrap();
    let page = browser.person().await.open(&format!("{}example.html", chat.page())).await;
    page.until("document.querySelector('#support ol').innerText === 'support: How can I help?'").await;
    page.value("document.querySelector('#support input').focus()").await;
    page.write("Where is my order?").await;
    page.press("Enter").await;
    assert_eq!(support.next_message().await.content, "Where is my order?");
    support.send("visitor", "On its way.", json!({})).await.unwrap();
    page.until("document.querySelectorAll('#support li').length === 3").await;
    let rows = page.value("[...document.querySelectorAll('#support li')].map((row) => row.innerText)").await;
    assert_eq!(rows, json!(["support: How can I help?", "You: Where is my order?", "support: On its way."]));
    chat.stop().await;
}
