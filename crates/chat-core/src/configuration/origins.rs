//! `Origins`: the allowed values of the header `Origin`.

/// The origins whose pages may connect; empty for all.
///
/// A browser lets any page open a WebSocket to any host, and sends the page's origin. The check prevents another page from
/// connecting as the user who views it. Other clients can send any origin, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Exact(String),
    /// `https://`, one label, and this suffix, which begins with a dot.
    Subdomain(String),
}

impl Origins {
    /// Parses a comma-separated list. An entry is an origin as browsers send it (`https://chat.example`), the origin of an
    /// app or a browser extension (`capacitor://localhost`, `chrome-extension://ID`), or `https://*.example.com`. The star
    /// stands for one label: `https://a.example.com`, but neither `https://example.com` nor `https://b.a.example.com`.
    ///
    /// The parameter `AllowedOrigins` of the template has a pattern for the same lists.
    ///
    /// # Errors
    /// If an entry is none of these.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        if list.trim().is_empty() {
            return Ok(Self::default());
        }
        list.split(',')
            .map(|origin| Origin::parse(origin.trim_matches(' ')).ok_or(InvalidOrigin))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a page of this origin may connect.
    pub fn allow(&self, origin: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|allowed| allowed.covers(origin))
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        if let Some(parent) = text.strip_prefix("https://*.") {
            // `https://*.com` would allow any site. The last label of an address has digits only.
            let parent = host(parent, "443")?;
            let (name, _) = parent.split_once(':').unwrap_or((parent, ""));
            let (_, last) = name.rsplit_once('.')?;
            return last
                .starts_with(|first: char| first.is_ascii_lowercase())
                .then(|| Self::Subdomain(format!(".{parent}")));
        }
        let (scheme, rest) = text.split_once("://")?;
        let host = match scheme {
            "https" => host(rest, "443")?,
            "http" => host(rest, "80")?,
            _ if is_app(scheme) && is_app_id(rest) => rest,
            _ => return None,
        };
        Some(Self::Exact(format!("{scheme}://{host}")))
    }

    fn covers(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => origin == exact,
            Self::Subdomain(parent) => origin
                .strip_prefix("https://")
                .and_then(|host| host.strip_suffix(parent.as_str()))
                .is_some_and(is_label),
        }
    }
}

/// A host name or an IPv6 address in lower case, with a port unless it is the default one, which browsers leave out.
fn host<'a>(text: &'a str, default_port: &str) -> Option<&'a str> {
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| b"0123456789abcdef:".contains(&byte)),
        None => host.split('.').all(is_label),
    };
    let is_port = port.is_none_or(|port| {
        (1..=5).contains(&port.len()) && !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    (is_host && is_port).then_some(if port == Some(default_port) { host } else { text })
}

/// The scheme of an app or of a browser extension, whose pages have no host.
fn is_app(scheme: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    ["app", "capacitor", "ionic", "tauri"].contains(&scheme) || scheme.strip_suffix("-extension").is_some_and(is_word)
}

/// What follows the scheme of an app: `localhost`, or the id of an extension, whose case matters.
fn is_app_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// One label of a host name.
fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
}

/// The text is neither an origin nor a pattern of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin looks like https://chat.example or https://*.example.com")]
pub struct InvalidOrigin;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn default_port(origin: &str) -> &str {
        if origin.starts_with("https:") { "443" } else { "80" }
    }

    #[track_caller]
    fn check(list: &str, allowed: &[&str], refused: &[&str]) {
        let origins = Origins::parse(list).unwrap();
        for origin in allowed {
            assert!(origins.allow(origin), "{list} allows {origin}");
        }
        for origin in refused {
            assert!(!origins.allow(origin), "{list} refuses {origin}");
        }
    }

    #[test]
    fn an_empty_list_allows_any() {
        for list in ["", "  "] {
            check(list, &["https://chat.example", "null", ""], &[]);
        }
    }

    #[test]
    fn an_exact_origin_is_only_itself() {
        check(
            "https://chat.example, http://localhost:3000",
            &["https://chat.example", "http://localhost:3000"],
            &[
                "",
                "null",
                "http://chat.example",
                "https://chat.example:444",
                "https://chat.example/",
                "https://chat.example.evil.example",
                "https://evil-chat.example",
                "https://a.chat.example",
                "https://CHAT.example",
                "http://localhost",
                "https://localhost:3000",
            ],
        );
        check(
            "http://127.0.0.1:3000,http://[::1]:3000",
            &["http://127.0.0.1:3000", "http://[::1]:3000"],
            &["http://[::1]"],
        );
    }

    #[test]
    fn an_entry_with_the_default_port_is_the_origin_that_browsers_send() {
        let listed = "https://chat.example:443, http://localhost:80, https://*.example.com:443";
        let allowed = ["https://chat.example", "http://localhost", "https://a.example.com"];
        check(listed, &allowed, &["https://chat.example:443", "http://localhost:80", "https://localhost"]);
    }

    #[test]
    fn apps_and_extensions_have_origins_of_their_own() {
        let origins = [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://obsidian.md",
            "chrome-extension://nngceckbapebfimnlniiiahkandclblb",
            "moz-extension://0a4f6c1e-1f0b-4d3e-9f37-0c8f8c2f0a11",
            "safari-web-extension://0A4F6C1E-1F0B-4D3E-9F37-0C8F8C2F0A11",
        ];
        check(
            &origins.join(","),
            &origins,
            &["capacitor://evil", "http://localhost", "chrome-extension://other", "null"],
        );
    }

    #[test]
    fn a_star_is_one_label() {
        check(
            "https://*.example.com",
            &["https://a.example.com", "https://a-1.example.com", "https://xn--bcher-kva.example.com"],
            &[
                "https://example.com",
                "https://.example.com",
                "https://b.a.example.com",
                "http://a.example.com",
                "https://a.example.com:8443",
                "https://a.example.com.evil.example",
                "https://evilexample.com",
                "https://evil.example?.example.com",
                "https://evil.example/.example.com",
                "https://user@a.example.com",
                "https://*.example.com",
                "null",
            ],
        );
        check("https://*.example.com:8443", &["https://a.example.com:8443"], &["https://a.example.com"]);
    }

    #[test]
    fn other_patterns_are_refused() {
        for list in [
            "*",
            "null",
            "https://*",
            "https://*.com",
            "https://*.localhost",
            "https://*.0.0.1",
            "http://*.example.com",
            "*.example.com",
            "*://example.com",
            "https://*example.com",
            "https://a*.example.com",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://example.*",
            "https://.example.com",
            "https://example..com",
            "https://example.com.",
            "https://example.com/",
            "https://example.com/chat",
            "https://example.com?a",
            "https://user@example.com",
            "https://Example.com",
            "https://bücher.example",
            "https://example.com:",
            "https://example.com:0443",
            "https://example.com:+1",
            "https://example.com:*",
            "https://",
            "example.com",
            "ftp://example.com",
            "-extension://a",
            "app://",
            "capacitor://localhost/",
            "https://[]",
            "https://[::1",
            "https://example.com:123456",
            "https://example.com\t,https://b.example",
            "https://a.example https://b.example",
            "https://a.example;https://b.example",
            "https://a.example,",
            ",https://a.example",
            "https://a.example,,https://b.example",
        ] {
            assert_eq!(Origins::parse(list), Err(InvalidOrigin), "{list}");
        }
    }

    proptest! {
        #![proptest_config(support::strategies::cases(2_000))]

        /// For any list and any header: an allowed origin is on the list, or has one label before the suffix of a pattern.
        #[test]
        fn an_allowed_origin_is_on_the_list(
            list in support::strategies::mutated(vec!["https://a.example.com, https://*.example.com:8443,http://[::1]:3000".to_owned()]),
            origin in support::strategies::mutated(
                ["https://a.example.com", "https://b.example.com:8443", "http://[::1]:3000"].map(str::to_owned).into(),
            ),
        ) {
            let Ok(origins) = Origins::parse(&list) else { return Ok(()) };
            if !list.trim().is_empty() && origins.allow(&origin) {
                let is_listed = list.split(',').map(str::trim).any(|allowed| match allowed.split_once("//*.") {
                    None => allowed == origin || allowed == format!("{origin}:{}", default_port(&origin)),
                    Some((scheme, end)) => origin
                        .strip_prefix(&format!("{scheme}//"))
                        .and_then(|host| host.split_once('.'))
                        .is_some_and(|(label, rest)| !label.is_empty() && [rest, &format!("{rest}:443")].contains(&end)),
                });
                prop_assert!(is_listed, "{list:?} allows {origin:?}");
            }
        }
    }
}
