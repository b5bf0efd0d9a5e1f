//! Takes pictures of the page at three widths, light and dark: empty, busy, without a connection, without a
//! token, and with a wrong one.
//!
//! `cargo run --package browser --example pictures -- FOLDER`

use std::path::PathBuf;

use browser::Browser;
use serde_json::json;
use support::{Local, LocalIssuer};

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/pictures".to_owned()));
    std::fs::create_dir_all(&folder).unwrap();
    let chat = Local::start().await;
    talk(&chat).await;
    let browser = Browser::start().await;
    let person = browser.person().await;
    let page = person.open(chat.page()).await;
    let shoot = async |name: &str| {
        for (width, height) in [(1440, 900), (820, 1100), (390, 844)] {
            for is_dark in [false, true] {
                page.looks_like(width, height, is_dark).await;
                page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))").await;
                page.value("Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => 0)")
                    .await;
                page.picture(&folder.join(format!("{name}-{width}-{}.png", if is_dark { "dark" } else { "light" })))
                    .await;
            }
        }
    };
    shoot("join").await;
    page.go(&format!("{}?userId=zoe", chat.page())).await;
    page.until("document.querySelector('#state').dataset.state === 'online'").await;
    shoot("empty").await;
    page.go(&format!("{}?userId=zoe&with=Maya", chat.page())).await;
    page.until("chat.conversation('Maya').loaded").await;
    shoot("hello").await;
    page.go(&format!("{}?userId=zoe&with=zoe", chat.page())).await;
    page.until("chat.conversation('zoe').loaded").await;
    page.value("document.querySelector('#with').value = 'carol'").await;
    shoot("self").await;
    page.go(&format!("{}?userId=alice&with=Maya", chat.page())).await;
    for peer in ["bob", "مريم", "Dr. Bartholomew Featherstonehaugh-Cholmondeley"] {
        page.value(&format!("chat.open({0}).then(() => chat.markRead({0}))", json!(peer))).await;
    }
    for peer in ["bob", "carol"] {
        let friend = chat.connect(peer).await;
        for text in ["Are we still on for tonight?", "I could be there at eight."] {
            friend.send("alice", text, json!({})).await.unwrap();
        }
    }
    page.until("chat.unread === 4 && chat.conversation('Maya').loaded").await;
    shoot("busy").await;
    page.value("document.querySelector('#back').click()").await;
    shoot("list").await;
    page.value("[...document.querySelectorAll('#list .name')].find((n) => n.textContent === 'Maya').click()").await;
    chat.stop().await;
    page.until("chat.connection.state === 'waiting'").await;
    page.value("chat.send('Maya', 'I am on the train, this will reach you in a minute 🚆').catch(() => {}), 0").await;
    page.until("!document.querySelector('#notice').hidden").await;
    shoot("offline").await;

    let issuer = LocalIssuer::start(&folder).await;
    let chat = Local::start_with(|options| issuer.trusted_by(options)).await;
    page.go(&format!("{}?userId=zoe", chat.page())).await;
    page.until("!document.querySelector('#pass').hidden").await;
    shoot("token").await;
    page.go(&format!("{}?userId=zoe&with=Maya", chat.page())).await;
    page.until("!document.querySelector('#use-token').hidden && !document.querySelector('#notice').hidden").await;
    shoot("refused").await;
    std::fs::remove_file(folder.join("issuer.pk8")).unwrap();
    let stranger = LocalIssuer::start(&folder).await.token("zoe", 3600);
    page.go(&format!("{}?with=Maya#token={stranger}", chat.page())).await;
    page.until("document.querySelector('#state').textContent === 'Sign-in needed'").await;
    shoot("signed-out").await;
    chat.stop().await;
    std::fs::remove_file(folder.join("issuer.pk8")).unwrap();
}

async fn talk(chat: &Local) {
    let (alice, maya) = (chat.connect("alice").await, chat.connect("Maya").await);
    let old = chat.connect("Dr. Bartholomew Featherstonehaugh-Cholmondeley").await;
    old.send("alice", "Please find the papers attached.", json!({})).await.unwrap();
    chat.connect("مريم").await.send("alice", "مرحبا! كيف حالك اليوم؟", json!({})).await.unwrap();
    let lines = [
        (0, "Morning! Did the deploy go through?"),
        (
            1,
            "It did, took four minutes. Dashboard is here: https://example.com/dashboards/chat?range=3h&view=latency (p99 looks flat)",
        ),
        (1, "🎉🎉"),
        (0, "Lovely."),
        (
            0,
            "One thing: the release notes say\n\n  - messages are numbered without holes\n  - a repeat is stored once\n\nand I'd like to add who reviewed it.",
        ),
        (
            1,
            "That was Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsangehörige_0123456789_0123456789 and me 😄",
        ),
        (0, "<script>alert('no')</script> stays text, I hope?"),
        (1, "Of course."),
        (0, "שלום, this line is both ways at once"),
        (1, "Then lunch? The place around the corner has the good soup today."),
        (
            0,
            &"Here are the notes of this morning, all of them, because you asked what exactly was said about the \
              numbers: nobody wants two of them, and nobody wants one to be missing. "
                .repeat(8),
        ),
        (1, "Thanks!"),
        (0, "In ten minutes 🍜"),
    ];
    for (who, line) in lines {
        let (sender, recipient) = if who == 0 { (&alice, "Maya") } else { (&maya, "alice") };
        sender.send(recipient, line, json!({})).await.unwrap();
    }
}
